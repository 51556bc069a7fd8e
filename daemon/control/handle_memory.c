/* SPDX-License-Identifier: MIT
 *
 * Requests that change a client's map: ALLOCATE (control loop), DEALLOCATE, WIRE, UNWIRE, BEHAVIOR,
 * PROTECT, INHERIT, TAG (jobs). Nothing that a client says is trusted: ranges are checked against
 * its own map before anything is touched.
 */
#include <errno.h>

#include "control/flush.h"
#include "control/request.h"
#include "record/profiles.h"
#include "region/allocate.h"
#include "region/attribute.h"
#include "region/behave.h"
#include "region/evict.h"
#include "region/prefetch.h"
#include "region/willneed.h"
#include "region/wire.h"
#include "vm/kept_task.h"
#include "vm/vm_mapping.h"

/* Purgeable memory has entries of its own, and only what has a tag is not counted. */
static bool
tag_is_valid(uint32_t flags)
{
	if (flags & PAGER_WIRE_ALLOC_TAGGED)
		return !(flags & PAGER_WIRE_ALLOC_PURGEABLE);
	return !(flags & PAGER_WIRE_ALLOC_UNCOUNTED);
}

int
handle_allocate(struct request *r)
{
	const struct pager_req_allocate *in = r->body;
	struct pager_rep_allocate *out = r->reply;
	struct range range;
	struct vm_entry e;
	int error = range_init(&range, r->task, in->address, in->size);

	loop_assert(r->daemon);
	if (!error && ((in->flags & ~PAGER_WIRE_ALLOC_FLAGS) != 0 || in->reserved != 0 ||
			  !tag_is_valid(in->flags)))
		error = -EINVAL;
	/* Limits on the footprint do not see such memory. */
	if (!error && (in->flags & PAGER_WIRE_ALLOC_UNCOUNTED) && !task_is_trusted(r->task))
		error = -EPERM;
	/* The worker before may have carried it out. */
	if (!error && !(request_is_asked_again(r) && region_is_allocated(&range, &e)))
		error = region_allocate(&range, in->flags, &e);
	if (error)
		return error;
	profile_allocated(r->task, range.address, range.end - range.address);
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

/* Parts of the range may have gone before the worker died. */
static int
deallocate_again(struct request *r)
{
	const struct pager_req_deallocate *in = r->body;
	struct range range;
	struct vm_entry e;
	int error = range_init(&range, r->task, in->address, in->size);

	CHECK(request_is_asked_again(r));
	while (!error && task_entry_get(r->task, range.at, &e) && e.start < range.end) {
		struct range part;

		vm_mapping_put(e.mapping);
		error = range_init(&part, r->task, max_u64(e.start, range.at),
		    min_u64(e.end, range.end) - max_u64(e.start, range.at));
		part.stats = r->stats;
		part.place = r->place;
		if (!error)
			error = region_deallocate_begin(&part);
		while (!error && !range_is_done(&part))
			region_deallocate(&part);
		range.at = part.end;
	}
	return error;
}

int
handle_deallocate(struct request *r)
{
	const struct pager_req_deallocate *in = r->body;
	struct pager_rep_deallocate *out = r->reply;
	struct range range;

	CHECK(r->task);
	if (request_is_asked_again(r) && !r->resumed)
		return deallocate_again(r);
	/* The client has put the range out of its own reach: it changes no more. */
	if (!r->resumed && range_init(&range, r->task, in->address, in->size) == 0) {
		range.stats = r->stats;
		if (!flush_quietly(r, &range))
			return 0;
	}
	return range_request(
	    r, in->address, in->size, region_deallocate_begin, region_deallocate, &out->pages);
}

/* Whether the worker before this one has changed the entries for the request, so that only the
 * pages are left to do. */
static bool
is_counted(const struct request *r)
{
	const struct task_record *record = r->task->map.record;

	return request_is_asked_again(r) && record && task_record_is_counted(record);
}

int
handle_wire(struct request *r)
{
	const struct pager_req_wire *in = r->body;
	uint64_t pages = 0;

	CHECK(r->task);
	return range_request(r, in->address, in->size,
	    is_counted(r) ? range_is_covered : region_wire_begin, region_wire, &pages);
}

int
handle_unwire(struct request *r)
{
	const struct pager_req_unwire *in = r->body;
	uint64_t pages = 0;

	CHECK(r->task);
	return range_request(r, in->address, in->size,
	    is_counted(r) ? range_is_covered : region_unwire_begin, region_unwire, &pages);
}

/* Files are another thread's work, which is asked once. */
static int
willneed_begin(struct range *range)
{
	int error = range_is_covered(range);

	if (!error)
		willneed_ask(range);
	return error;
}

int
handle_behavior(struct request *r)
{
	CHECK(r->task);
	/* Behaviors that act once; all others are notes in the entries. */
	static const struct {
		int (*begin)(struct range *range);
		uint64_t (*piece)(struct range *range);
	} once[PAGER_BEHAVIOR_REUSE + 1] = {
		[PAGER_BEHAVIOR_WILLNEED] = { willneed_begin, region_prefetch },
		[PAGER_BEHAVIOR_DONTNEED] = { range_is_covered, region_cool },
		[PAGER_BEHAVIOR_FREE] = { region_may_be_discarded, region_discard },
		[PAGER_BEHAVIOR_PAGEOUT] = { region_may_leave, region_evict },
		[PAGER_BEHAVIOR_REUSABLE] = { region_may_be_discarded, region_reusable },
		[PAGER_BEHAVIOR_REUSE] = { region_may_be_discarded, region_reuse },
	};
	const struct pager_req_behavior *in = r->body;
	struct pager_rep_behavior *out = r->reply;
	struct range range;
	int error;

	if (in->reserved != 0 || in->behavior > PAGER_BEHAVIOR_REUSE)
		return -EINVAL;
	/* Dirty pages of files leave by the cleaner. */
	if (in->behavior == PAGER_BEHAVIOR_PAGEOUT && !r->resumed &&
	    range_init(&range, r->task, in->address, in->size) == 0) {
		range.stats = r->stats;
		if (!flush_quietly(r, &range))
			return 0;
	}
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
