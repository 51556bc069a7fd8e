/* SPDX-License-Identifier: MIT
 *
 * A fill's content is put in place, into the memfd and into the client's page tables. Runs on:
 * fault servers. Allocates nothing. The pages are busy; no lock is held.
 */
#include "transit/put.h"

#include <errno.h>
#include <limits.h>

#include "failpt.h"
#include "pmap/backing.h"
#include "pmap/uffd.h"

/* Punches for one page. What is still in the way then is not the object's memory. */
#define IN_THE_WAY_TRIES 8u
/* Writes of the rest of a page: what was written to its front would be lost with it. */
#define REST_TRIES 64u

/* Punches away what is in the way of page `at`: planted by the client, or the rest of a system page
 * that was put in place in part, where there was no memory for the others. The content that counts
 * replaces it. *last and *tries: of this fill, for the bound. => whether to try again; no lock held
 */
static bool
clear_the_way(
    struct stat_shard stats, struct fill *fill, unsigned at, unsigned *last, unsigned *tries)
{
	locks_assert_none();
	INVARIANT(at < fill->count);
	if (at != *last)
		*tries = 0;
	*last = at;
	if (++*tries > IN_THE_WAY_TRIES)
		return false;
	backing_punch(fill->object, (fill->index + at) << fill->object->daemon->page_shift,
	    fill->object->daemon->page_bytes);
	stat_add(stats, STAT_PLANTED, 1);
	return true;
}

/* Writes the rest of a page of which other parts may be written to by now. => false: there is no
 * memory */
static bool
rest_write(const struct vm_object *o, uint64_t offset, const char *content, size_t bytes)
{
	bool is_there = false;

	for (unsigned tries = 0; !is_there && tries < REST_TRIES; tries++)
		is_there = backing_write(o, offset, content, bytes);
	return is_there;
}

/* Puts content in place, or zeroes (NULL). => as uffd_copy */
static int
put_run(const struct fill *fill, unsigned at, const void *pages, size_t bytes, int mode,
    size_t *ret_done)
{
	uint64_t address = fill_address(fill, at);
	size_t hw_bytes = fill->object->daemon->hw_bytes;
	int error = bytes > hw_bytes ? failpt_hit(FAIL_FILL_PART) : 0;

	bytes = error ? round_down_u64(bytes / 2, hw_bytes) : bytes;
	if (pages)
		return uffd_copy(fill->task->uffd, address, pages, bytes, mode, ret_done) ?: error;
	return uffd_zeropage(fill->task->uffd, address, bytes, mode, ret_done) ?: error;
}

/* Parts of the page are in place, and the rest could not be put there. The client may have written
 * to them by now, so the page cannot be filled anew: the rest goes into the memfd, and is mapped
 * by its own touch. page NULL: zeroes. => false: there is no memory; no lock held */
static bool
put_rest(const struct fill *fill, unsigned at, size_t done, const char *page)
{
	struct vm_object *o = fill->object;
	size_t bytes = o->daemon->page_bytes - done;
	uint64_t offset = ((fill->index + at) << o->daemon->page_shift) + done;
	bool is_there;

	locks_assert_none();
	/* What was planted there is not zeroes. */
	is_there =
	    page ? rest_write(o, offset, page + done, bytes) : backing_punch(o, offset, bytes) == 0;
	/* The thread that waits may do so in the rest. */
	uffd_wake(fill->task->uffd, fill_address(fill, at), o->daemon->page_bytes);
	return is_there;
}

/* Puts a system page in place by hardware pages. Calls for the whole of it answer ENOENT if the
 * client has made mappings of their own of its parts (by changing the protection of one) or has
 * unmapped some. A part that is not mapped still gets its content. page NULL: zeroes. => whether
 * any part is mapped now, and all of the content is there; no lock held */
static bool
put_parts(struct stat_shard stats, struct fill *fill, unsigned at, const char *page, int mode)
{
	struct vm_object *o = fill->object;
	struct daemon *d = o->daemon;
	uint64_t offset = (fill->index + at) << d->page_shift;
	unsigned last = UINT_MAX, tries = 0;
	bool any = false, whole = true;

	locks_assert_none();
	CHECK(d->page_bytes > d->hw_bytes);
	for (size_t part = 0; part < d->page_bytes && whole;) {
		uint64_t address = fill_address(fill, at) + part;
		size_t done;
		int error = page ? uffd_copy(fill->task->uffd, address, page + part, d->hw_bytes,
				       mode, &done)
				 : uffd_zeropage(fill->task->uffd, address, d->hw_bytes, 0, &done);

		if (error == -EEXIST && clear_the_way(stats, fill, at, &last, &tries)) {
			/* All parts are gone. */
			part = 0;
			any = false;
			continue;
		}
		any |= error == 0;
		if (error && page)
			whole = rest_write(o, offset + part, page + part, d->hw_bytes);
		part += d->hw_bytes;
	}
	if (!any || !whole)
		backing_punch(o, offset, d->page_bytes);
	return any && whole;
}

/* Leaves only the page that faulted in a fill of several, none of which could be put in place:
 * where the client has split the range (by mprotect, by a guard page) its thread would otherwise
 * come back to the same fill without end. => no lock held */
static void
fill_narrow(struct daemon *d, struct fill *fill)
{
	locks_assert_none();
	CHECK(fill->count > 1 && fill->first < fill->count);
	fill_abort(d, fill, fill->first + 1);
	fill_drop_front(d, fill, fill->first);
}

/* The daemon is killed with a part of a page in place. page NULL: zeroes */
static void
die_in_part(struct fill *fill, unsigned at, const void *page, int mode)
{
	struct daemon *d = fill->object->daemon;
	size_t part = d->page_bytes / d->hw_bytes / 2 * d->hw_bytes, done;

	if (part == 0 || failpt_hit(FAIL_DIE_FILL_PART) == 0)
		return;
	if (page)
		uffd_copy(fill->task->uffd, fill_address(fill, at), page, part, mode, &done);
	else
		uffd_zeropage(fill->task->uffd, fill_address(fill, at), part, 0, &done);
	failpt_kill();
}

/* Puts `count` pages in place from page `from` of the fill on. => how many are, the first ones; no
 * lock held */
static unsigned
copy_run(struct stat_shard stats, struct fill *fill, unsigned from, const void *pages,
    unsigned count, int mode)
{
	struct daemon *d = fill->object->daemon;
	unsigned in_place = 0, last = UINT_MAX, tries = 0;

	locks_assert_none();
	CHECK(from + count <= fill->count);
	if (count > 0)
		die_in_part(fill, from, pages, mode);
	while (in_place < count) {
		unsigned at = from + in_place;
		size_t done = 0, part;
		int error =
		    put_run(fill, at, (const char *)pages + ((size_t)in_place << d->page_shift),
			(size_t)(count - in_place) << d->page_shift, mode, &done);

		in_place += (unsigned)(done >> d->page_shift);
		part = done & (d->page_bytes - 1);
		if (error != -EEXIST && part > 0)
			return in_place +
			       put_rest(fill, from + in_place, part,
				   (const char *)pages + ((size_t)in_place << d->page_shift));
		if (error == -ENOENT && count == 1 && d->page_bytes > d->hw_bytes)
			return put_parts(stats, fill, at, pages, mode) ? 1 : 0;
		if (error != -EEXIST || !clear_the_way(stats, fill, from + in_place, &last, &tries))
			return in_place;
	}
	return in_place;
}

/* Maps pages [from, from + count) of the fill, which are in the memfd. Where they cannot be mapped
 * the task faults again, or has unmapped them. */
static void
map_from_backing(struct fill *fill, unsigned from, unsigned count, int mode)
{
	size_t bytes = (size_t)count << fill->object->daemon->page_shift;

	if (count > 0 &&
	    uffd_continue(fill->task->uffd, fill_address(fill, from), bytes, mode) != 0)
		uffd_wake(fill->task->uffd, fill_address(fill, from), bytes);
}

/* Content of what several may see goes into the memfd, and is mapped from there: what is put at an
 * address goes to whatever the task has mapped there, which may not be the object, and with it what
 * others rely on. Whoever may only read has a private mapping, where a page that is put would be
 * the task's own. pages NULL: zeroes; protect: as of fill_copy. => pages in place */
static unsigned
put_in_backing(struct fill *fill, const void *pages, unsigned count, bool protect)
{
	struct vm_object *o = fill->object;
	struct daemon *d = o->daemon;
	unsigned done = 0;

	for (bool good = true; good && done < count; done += good) {
		uint64_t offset = (fill->index + done) << d->page_shift;

		if (pages && done == 0 &&
		    backing_write(o, offset, pages, (size_t)count << d->page_shift)) {
			done = count;
			break;
		}
		if (pages)
			good = backing_write(o, offset,
			    (const char *)pages + ((size_t)done << d->page_shift), d->page_bytes);
		else /* What was planted there is not zeroes. */
			good = backing_punch(o, offset, d->page_bytes) == 0 &&
			       backing_allocate(o, offset, d->page_bytes) == 0;
		if (!good)
			backing_punch(o, offset, d->page_bytes);
	}
	if (fill->is_read_only || !protect || !fill->write || fill->first >= done) {
		map_from_backing(fill, 0, done, fill->is_read_only || protect ? UFFD_MODE_WP : 0);
		return done;
	}
	/* The page being written is mapped writable, its neighbours are not. */
	map_from_backing(fill, 0, fill->first, UFFD_MODE_WP);
	map_from_backing(fill, fill->first, 1, 0);
	map_from_backing(fill, fill->first + 1, done - fill->first - 1, UFFD_MODE_WP);
	return done;
}

/* As fill_copy, but does not narrow the fill. => how many pages are in place; no lock held */
static unsigned
copy_pages(
    struct stat_shard stats, struct fill *fill, const void *pages, unsigned count, bool protect)
{
	size_t page = fill->object->daemon->page_bytes;
	unsigned done;

	locks_assert_none();
	if (!protect || !fill->write || fill->first >= count)
		return copy_run(stats, fill, 0, pages, count, protect ? UFFD_MODE_WP : 0);
	/* The page being written is mapped writable, its neighbours are not. */
	done = copy_run(stats, fill, 0, pages, fill->first, UFFD_MODE_WP);
	if (done < fill->first)
		return done;
	done += copy_run(stats, fill, done, (const char *)pages + done * page, 1, 0);
	if (done == fill->first || done == count)
		return done;
	return done + copy_run(stats, fill, done, (const char *)pages + done * page, count - done,
			  UFFD_MODE_WP);
}

unsigned
fill_copy(
    struct stat_shard stats, struct fill *fill, const void *pages, unsigned count, bool protect)
{
	struct daemon *d = fill->object->daemon;
	unsigned done, first = fill->first;

	locks_assert_none();
	CHECK(count > 0 && count <= fill->count);
	if (unlikely(fill->object->is_shareable || fill->is_read_only))
		return put_in_backing(fill, pages, count, protect);
	done = copy_pages(stats, fill, pages, count, protect);
	if (done > 0 || fill->count == 1 || first >= count)
		return done;
	fill_narrow(d, fill);
	return copy_pages(
	    stats, fill, (const char *)pages + ((size_t)first << d->page_shift), 1, protect);
}

bool
fill_zero(struct stat_shard stats, struct fill *fill)
{
	struct vm_object *o = fill->object;
	struct daemon *d = o->daemon;
	unsigned done_pages = 0, last = UINT_MAX, tries = 0, first;

	locks_assert_none();
	CHECK(fill->count > 0 && fill_page(fill, fill->first)->cref == 0);
	die_in_part(fill, 0, NULL, 0);
	if (unlikely(fill->is_read_only))
		done_pages = put_in_backing(fill, NULL, fill->count, true);
	while (!fill->is_read_only && done_pages < fill->count) {
		size_t done = 0, part;
		int error = put_run(fill, done_pages, NULL,
		    (size_t)(fill->count - done_pages) << d->page_shift, 0, &done);

		done_pages += (unsigned)(done >> d->page_shift);
		part = done & (d->page_bytes - 1);
		if (error != -EEXIST && part > 0) {
			done_pages += put_rest(fill, done_pages, part, NULL);
			break;
		}
		if (error == -EEXIST && clear_the_way(stats, fill, done_pages, &last, &tries))
			continue;
		if (error && done_pages == 0 && fill->count > 1) {
			fill_narrow(d, fill);
			continue;
		}
		if (error == -ENOENT && fill->count == 1 && d->page_bytes > d->hw_bytes)
			done_pages = put_parts(stats, fill, 0, NULL, 0) ? 1 : 0;
		break;
	}
	first = fill->first;
	stat_add(stats, STAT_ZERO_FILLS, done_pages);
	ledger_count(&fill->task->bill.ledger, PAGER_LEDGER_ZERO_FILLS, done_pages);
	if (done_pages == 0) {
		fill_abort(d, fill, 0);
		vm_object_put(o);
		return false;
	}
	fill_finish(&stats, fill, done_pages, PAGE_ACTIVE, false);
	return first < done_pages;
}

unsigned
fill_put(struct fill *fill, const void *pages, unsigned count)
{
	struct vm_object *o = fill->object;
	unsigned shift = o->daemon->page_shift;

	locks_assert_none();
	CHECK(count > 0 && count <= fill->count);
	if (uffd_write(o->backing.memfd, fill->index << shift, pages, (size_t)count << shift))
		return count;
	uffd_punch(o->backing.memfd, fill->index << shift, (uint64_t)count << shift);
	return 0;
}
