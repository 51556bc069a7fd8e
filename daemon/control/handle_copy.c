/* SPDX-License-Identifier: MIT
 *
 * Requests about copies: COPY, COPYIN, COPYOUT, COPY_DISCARD, SHARE_READS, FORK_SHARE,
 * WINDOW_OPEN, WINDOW_DONE
 * (jobs).
 */
#include <errno.h>
#include <poll.h>

#include "control/handle_entry.h"
#include "control/rights.h"
#include "pmap/uffd.h"
#include "region/copy.h"
#include "region/window.h"
#include "vm/vm_mapping.h"

/* Times that frames for a block are waited for, a millisecond each, with others' jobs in between.
 */
#define OPEN_TRIES 64u

/* A range of a request, as far as it has been worked on. */
static int
range_resume(struct request *r, struct range *range, uint64_t address, uint64_t size, uint64_t done)
{
	int error = range_init(range, r->task, address, size);

	range->stats = r->stats;
	range->place = r->place;
	range->at += done;
	return error;
}

int
handle_copy(struct request *r)
{
	const struct pager_req_copy *in = r->body;
	struct range source, destination;
	int error = range_resume(r, &source, in->source, in->size, r->progress);

	CHECK(r->task);
	if (!error)
		error = range_resume(r, &destination, in->destination, in->size, r->progress);
	if (!error && !r->resumed)
		error = region_copy_check(&source, &destination);
	if (!error)
		error = region_copy(&source, &destination);
	r->progress = source.at - source.address;
	r->again = !error && !range_is_done(&source);
	return error;
}

/* The first piece makes the copy, whose number is the request's progress. */
static int
copyin_begin(struct request *r, struct range *source, struct copy_held **ret)
{
	int error = region_copy_check(source, NULL);

	if (!error)
		error = copy_held_create(r->task, source->end - source->address, ret);
	if (!error)
		r->progress = copy_held_id(*ret);
	return error;
}

int
handle_copyin(struct request *r)
{
	const struct pager_req_copyin *in = r->body;
	struct pager_rep_copyin *out = r->reply;
	struct copy_held *c = NULL;
	struct range source;
	int error = range_resume(r, &source, in->source, in->size, 0);

	CHECK(r->task);
	if (error)
		return error;
	if (r->resumed) {
		c = copy_held_find(r->task, r->progress);
		CHECK(c);
		source.at = source.end - copy_held_size(c);
	} else {
		error = copyin_begin(r, &source, &c);
		if (error)
			return error;
	}
	error = copy_held_fill(c, &source);
	if (error) {
		while (copy_held_discard(r->task, c))
			continue;
		return error;
	}
	out->copy = copy_held_id(c);
	r->again = !range_is_done(&source);
	return 0;
}

int
handle_copyout(struct request *r)
{
	const struct pager_req_copyout *in = r->body;
	struct copy_held *c = copy_held_find(r->task, in->copy);
	struct range destination;
	int error;

	CHECK(r->task);
	if (!c)
		return -ENOENT;
	error = range_resume(r, &destination, in->destination, in->size, 0);
	if (!error && !r->resumed && copy_held_size(c) != in->size)
		error = -EINVAL;
	if (error)
		return error;
	if (r->resumed)
		destination.at = destination.end - copy_held_size(c);
	else
		error = region_copy_check_destination(&destination);
	if (!error)
		error = copy_held_put(c, &destination);
	r->again = !error && !range_is_done(&destination);
	if (!error && !r->again)
		while (copy_held_discard(r->task, c))
			continue;
	return error;
}

int
handle_copy_discard(struct request *r)
{
	const struct pager_req_copy_discard *in = r->body;
	struct copy_held *c = copy_held_find(r->task, in->copy);

	CHECK(r->task);
	if (!c)
		return -ENOENT;
	r->again = copy_held_discard(r->task, c);
	return 0;
}

/* Sends the memory that is to be shown along, or nothing is shown in the range. => 0 or -errno */
static int
shown_give(struct request *r, struct range *range, const struct shown *shown)
{
	int error = view_open(r, shown->source, true);

	if (error) {
		range->end = range->address + shown->bytes;
		while (!range_is_done(range))
			region_window_done(range, true);
	}
	vm_object_put(shown->source);
	return error;
}

int
handle_share_reads(struct request *r)
{
	const struct pager_req_share_reads *in = r->body;
	struct pager_rep_share_reads *out = r->reply;
	struct shown shown;
	struct range range;
	int error = range_resume(r, &range, in->address, in->size, 0);

	CHECK(r->task);
	if (!error)
		error = rights_are_kept(r->task) ? region_share_reads(&range, &shown) : -EOPNOTSUPP;
	if (error)
		return error;
	out->size = shown.bytes;
	out->offset = shown.offset;
	return shown_give(r, &range, &shown);
}

int
handle_fork_share(struct request *r)
{
	const struct pager_req_fork_share *in = r->body;
	struct pager_rep_fork_share *out = r->reply;
	struct range range = {
		.task = r->task, .stats = r->stats, .place = r->place, .address = in->cursor
	};
	struct shown shown;
	int error = rights_are_kept(r->task) ? region_fork_share(&range, &shown, &out->protection)
					     : -ENOENT;

	if (error)
		return error;
	out->address = range.address;
	out->size = shown.bytes;
	out->offset = shown.offset;
	return shown_give(r, &range, &shown);
}

int
handle_window_open(struct request *r)
{
	const struct pager_req_window_open *in = r->body;
	struct pager_rep_window_open *out = r->reply;
	uint64_t pages, done, tries;
	struct window_part part;
	struct range range;
	int error = range_resume(r, &range, in->address, r->daemon->page_bytes, 0);

	CHECK(r->task);
	if (error)
		return error;
	if (!region_window_find(&range, &part)) {
		uffd_wake(r->task->uffd, range.address, r->daemon->page_bytes);
		return 0;
	}
	pages = part.end - part.first;
	done = region_window_wire(&range, &part, r->progress % (pages + 1));
	tries = r->progress / (pages + 1) + 1;
	r->again = done < pages && tries < OPEN_TRIES;
	r->progress = tries * (pages + 1) + done;
	*out = (struct pager_rep_window_open){ .address = part.address,
		.size = pages << r->daemon->page_shift,
		.protection = part.protection };
	vm_mapping_put(part.mapping);
	if (r->again) {
		poll(NULL, 0, 1);
	} else if (done < pages) {
		/* The thread asks again, and other requests of its process pass. */
		range = (struct range){ .task = r->task,
			.stats = r->stats,
			.address = out->address,
			.end = out->address + out->size,
			.at = out->address };
		region_window_done(&range, false);
		out->size = 0;
	}
	return 0;
}

int
handle_window_done(struct request *r)
{
	const struct pager_req_window_done *in = r->body;
	struct range range;
	int error = range_resume(r, &range, in->address, in->size, r->progress);

	CHECK(r->task);
	if (error || in->is_mapped > 1 || in->reserved != 0)
		return error ? error : -EINVAL;
	region_window_done(&range, in->is_mapped);
	r->progress = range.at - range.address;
	r->again = !range_is_done(&range);
	return 0;
}
