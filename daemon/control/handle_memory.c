/* SPDX-License-Identifier: MIT
 *
 * Requests that change a client's map: ALLOCATE (control loop), DEALLOCATE, WIRE, UNWIRE, BEHAVIOR,
 * PROTECT, INHERIT, TAG (jobs). Nothing that a client says is trusted: ranges are checked against
 * its own map before anything is touched.
 */
#include <errno.h>

#include "control/flush.h"
#include "control/request.h"
#include "region/allocate.h"
#include "region/attribute.h"
#include "region/behave.h"
#include "region/evict.h"
#include "region/prefetch.h"
#include "region/wire.h"

int
handle_allocate(struct request *r)
{
	const struct pager_req_allocate *in = r->body;
	struct pager_rep_allocate *out = r->reply;
	struct range range;
	struct vm_entry e;
	int error = range_init(&range, r->task, in->address, in->size);

	loop_assert(r->daemon);
	if (!error && ((in->flags & ~PAGER_WIRE_ALLOC_FLAGS) != 0 || in->reserved != 0))
		error = -EINVAL;
	if (!error)
		error = region_allocate(&range, in->flags, &e);
	if (error)
		return error;
	out->object_id = e.mapping->object->id;
	out->object_offset = e.offset;
	r->reply_fd = e.mapping->object->backing.memfd;
	return 0;
}

/* Carries a piece of an operation out; `begin` goes before the first one. Adds the pages acted on
 * to *ret_pages. => 0, or -errno of the range or of `begin` */
static int
range_request(struct request *r, uint64_t address, uint64_t size, int (*begin)(struct range *range),
    uint64_t (*piece)(struct range *range), uint64_t *ret_pages)
{
	struct range range;
	int error = range_init(&range, r->task, address, size);

	CHECK(begin && piece);
	if (error)
		return error;
	range.stats = r->stats;
	range.place = r->place;
	error = r->resumed ? 0 : begin(&range);
	if (error)
		return error;
	range.at += r->progress;
	*ret_pages += piece(&range);
	r->progress = range.at - range.address;
	r->again = !range_is_done(&range);
	return 0;
}

int
handle_deallocate(struct request *r)
{
	const struct pager_req_deallocate *in = r->body;
	struct pager_rep_deallocate *out = r->reply;
	struct range range;

	CHECK(r->task);
	/* The client has put the range out of its own reach: it changes no more. */
	if (!r->resumed && range_init(&range, r->task, in->address, in->size) == 0) {
		range.stats = r->stats;
		if (!flush_quietly(r, &range))
			return 0;
	}
	return range_request(
	    r, in->address, in->size, region_deallocate_begin, region_deallocate, &out->pages);
}

int
handle_wire(struct request *r)
{
	const struct pager_req_wire *in = r->body;
	uint64_t pages = 0;

	CHECK(r->task);
	return range_request(r, in->address, in->size, region_wire_begin, region_wire, &pages);
}

int
handle_unwire(struct request *r)
{
	const struct pager_req_unwire *in = r->body;
	uint64_t pages = 0;

	CHECK(r->task);
	return range_request(r, in->address, in->size, region_unwire_begin, region_unwire, &pages);
}

int
handle_behavior(struct request *r)
{
	CHECK(r->task);
	/* Behaviors that act once; all others are notes in the entries. */
	static const struct {
		int (*begin)(struct range *range);
		uint64_t (*piece)(struct range *range);
	} once[PAGER_BEHAVIOR_PAGEOUT + 1] = {
		[PAGER_BEHAVIOR_WILLNEED] = { range_is_covered, region_prefetch },
		[PAGER_BEHAVIOR_DONTNEED] = { range_is_covered, region_cool },
		[PAGER_BEHAVIOR_FREE] = { region_may_be_discarded, region_discard },
		[PAGER_BEHAVIOR_PAGEOUT] = { region_may_leave, region_evict },
	};
	const struct pager_req_behavior *in = r->body;
	struct pager_rep_behavior *out = r->reply;
	struct range range;
	int error;

	if (in->reserved != 0 || in->behavior > PAGER_BEHAVIOR_PAGEOUT)
		return -EINVAL;
	if (once[in->behavior].piece)
		return range_request(r, in->address, in->size, once[in->behavior].begin,
		    once[in->behavior].piece, &out->pages);
	error = range_init(&range, r->task, in->address, in->size);
	return error ? error : region_behave(&range, in->behavior);
}

int
handle_protect(struct request *r)
{
	const struct pager_req_protect *in = r->body;
	struct range range;
	int error = range_init(&range, r->task, in->address, in->size);

	if (!error && in->reserved != 0)
		error = -EINVAL;
	return error ? error : region_protect(&range, in->protection);
}

int
handle_inherit(struct request *r)
{
	const struct pager_req_inherit *in = r->body;
	struct range range;
	int error = range_init(&range, r->task, in->address, in->size);

	if (!error && in->reserved != 0)
		error = -EINVAL;
	return error ? error : region_inherit(&range, in->inheritance);
}

int
handle_tag(struct request *r)
{
	const struct pager_req_tag *in = r->body;
	struct range range;
	int error = range_init(&range, r->task, in->address, in->size);

	if (!error && in->reserved != 0)
		error = -EINVAL;
	return error ? error : region_tag(&range, in->tag);
}
