/* SPDX-License-Identifier: MIT
 *
 * Page tables of all mappers. Runs on: any thread, no lock held. Allocates nothing.
 */
#include "pmap/pmap.h"

#include <errno.h>
#include <sched.h>
#include <unistd.h>

#include "core/watch.h"
#include "pmap/backing.h"
#include "pmap/uffd.h"
#include "vm/copy_link.h"
#include "vm/copy_look.h"
#include "vm/task.h"
#include "vm/vm_mapping.h"

static uint64_t
mapper_address(const struct vm_object *o, const struct mapper *m)
{
	INVARIANT(m->low < m->high);
	return m->base + (m->low << o->daemon->page_shift);
}

static size_t
mapper_bytes(const struct vm_object *o, const struct mapper *m)
{
	INVARIANT(m->low < m->high);
	return (size_t)(m->high - m->low) << o->daemon->page_shift;
}

static int
protect(struct vm_object *o, uint64_t low, uint64_t high, int mode)
{
	uint64_t client = watch_client(0);
	const struct mapper *m;
	struct mapper_walk w;
	int error = 0;

	locks_assert_none();
	mapper_walk_begin_seen(&w, o, low, high);
	while (error == 0 && (m = mapper_walk_next(&w)) != NULL) {
		watch_client(task_cookie(m->task));
		error = uffd_protect(m->task->uffd, mapper_address(o, m), mapper_bytes(o, m), mode);
		if (error == -ENOENT || error == -ESRCH)
			error = 0;
	}
	mapper_walk_end(&w);
	watch_client(client);
	return error;
}

int
pmap_protect(struct vm_object *o, uint64_t low, uint64_t high)
{
	return protect(o, low, high, UFFD_MODE_PATIENT);
}

int
pmap_protect_try(struct vm_object *o, uint64_t low, uint64_t high)
{
	return protect(o, low, high, 0);
}

static void
wake_mappers(struct vm_object *o, uint64_t low, uint64_t high)
{
	const struct mapper *m;
	struct mapper_walk w;

	mapper_walk_begin(&w, o, low, high);
	while ((m = mapper_walk_next(&w)) != NULL)
		uffd_wake(m->task->uffd, mapper_address(o, m), mapper_bytes(o, m));
	mapper_walk_end(&w);
}

/* Those who wait for a page wait where copies of it are mapped, too, and where it was copied from.
 * The depth is bounded by COPY_DEPTH_MAX. */
static void
wake_linked(struct vm_object *o, bool above, uint64_t low, uint64_t high)
{
	while (low < high) {
		struct copy_place at;
		uint64_t count;

		copies_lock(o->daemon);
		count = copy_link_next_locked(o, above, &low, high, &at);
		copies_unlock(o->daemon);
		if (count == 0)
			return;
		/* Nobody who maps a file waits for what follows it. */
		if (!at.object->external)
			wake_mappers(at.object, at.index, at.index + count);
		wake_linked(at.object, above, at.index, at.index + count);
		vm_object_put(at.object);
		low += count;
	}
}

/* Those who wait for a page of a file have private mappings of it, or inherited them. */
static void
wake_followers(struct vm_object *file, uint64_t low, uint64_t high)
{
	uint64_t number = 0, end;
	struct copy_place at;

	while ((at = copy_follower_next(file, low, high, &number, &end)).object) {
		wake_mappers(at.object, at.index, end);
		wake_linked(at.object, true, at.index, end);
		vm_object_put(at.object);
	}
}

void
pmap_wake(struct vm_object *o, uint64_t low, uint64_t high)
{
	locks_assert_none();
	wake_mappers(o, low, high);
	if (unlikely(o->external != NULL))
		wake_followers(o, low, high);
	if (vm_object_is_linked(o, COPY_ABOVE))
		wake_linked(o, true, low, high);
	if (vm_object_is_linked(o, COPY_BELOW))
		wake_linked(o, false, low, high);
}

/* Puts a page of zeroes over the poison of one mapper. A page that an earlier mapper's call has put
 * into the memfd is mapped. */
static void
clear_in(const struct vm_object *o, const struct mapper *m)
{
	const struct daemon *d = o->daemon;
	uint64_t address = mapper_address(o, m);

	CHECK(m->high == m->low + 1);
	watch_client(task_cookie(m->task));
	for (size_t at = 0; at < d->page_bytes && !task_is_dead(m->task); at += d->hw_bytes) {
		size_t done;

		if (m->is_read_only) {
			/* Zeroes put there would be the task's own. */
			(void)backing_allocate(o, (m->low << d->page_shift) + at, d->hw_bytes);
			(void)uffd_continue(m->task->uffd, address + at, d->hw_bytes, UFFD_MODE_WP);
			continue;
		}
		if (uffd_zeropage(m->task->uffd, address + at, d->hw_bytes, UFFD_MODE_PATIENT,
			&done) == -EEXIST)
			(void)uffd_continue(m->task->uffd, address + at, d->hw_bytes, 0);
	}
}

void
pmap_clear(struct vm_object *o, uint64_t index)
{
	struct daemon *d = o->daemon;
	uint64_t client = watch_client(0);
	const struct mapper *m;
	struct mapper_walk w;

	locks_assert_none();
	CHECK(index < o->page_count);
	mapper_walk_begin(&w, o, index, index + 1);
	while ((m = mapper_walk_next(&w)) != NULL)
		clear_in(o, m);
	mapper_walk_end(&w);
	watch_client(client);
	backing_punch(o, index << d->page_shift, d->page_bytes);
}

/* The kernel refuses memory for a page only while it is killing somebody for it. */
#define WRITE_TRIES 1000u

static bool
backing_read(const struct vm_object *o, uint64_t index, char *page)
{
	const struct daemon *d = o->daemon;
	size_t have = 0;

	while (have < d->page_bytes) {
		ssize_t got = pread(o->backing.memfd, page + have, d->page_bytes - have,
		    (off_t)((index << d->page_shift) + have));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		have += (size_t)got;
	}
	return true;
}

int
pmap_unmap(struct vm_object *o, uint64_t index, void *page)
{
	const struct daemon *d = o->daemon;

	locks_assert_none();
	CHECK(index < o->page_count);
	if (!backing_read(o, index, page))
		return -EIO;
	backing_punch(o, index << d->page_shift, d->page_bytes);
	for (unsigned tries = 0; tries < WRITE_TRIES; tries++) {
		if (backing_write(o, index << d->page_shift, page, d->page_bytes))
			return 0;
		sched_yield();
	}
	return -ENOMEM;
}

int
pmap_hide(struct vm_object *o, uint64_t index, struct vm_page *p, void *page)
{
	uint32_t word = load_acquire(&p->word);
	int error;

	CHECK(word & PAGE_BUSY);
	if (likely(!page_word_is_shown(word)))
		return 0;
	error = pmap_unmap(o, index, page);
	/* What is lost is in no page table either. */
	if (error != -EIO)
		vm_page_flags_clear(p, PAGE_SHOWN);
	return error;
}
