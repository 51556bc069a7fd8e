/* SPDX-License-Identifier: MIT
 *
 * DESCRIPTOR: memory descriptors are prepared, told in pieces, and completed. Runs on: jobs.
 */
#include <errno.h>
#include <sys/mman.h>

#include "control/handle_entry.h"
#include "region/wire.h"
#include "vm/vm_mapping.h"

static bool
direction_is_valid(uint32_t direction)
{
	return direction >= PAGER_DIRECTION_IN && direction <= PAGER_DIRECTION_INOUT;
}

/* => 0 or -errno; a piece of the work at a time */
static int
descriptor_prepare(struct request *r, struct range *range, uint32_t direction)
{
	int error = r->resumed ? 0 : region_pin_begin(range, direction);

	if (error)
		return error;
	range->at += r->progress;
	region_wire(range);
	r->progress = range->at - range->address;
	r->again = !range_is_done(range);
	return 0;
}

static int
descriptor_complete(struct request *r, struct range *range)
{
	int error = r->resumed ? 0 : region_unpin_begin(range);

	if (error)
		return error;
	range->at += r->progress;
	region_unwire(range);
	r->progress = range->at - range->address;
	r->again = !range_is_done(range);
	return 0;
}

/* The memfd goes along with no more rights than the client has, and the direction needs. */
static int
descriptor_piece(struct request *r, const struct range *range, uint32_t direction)
{
	struct pager_rep_descriptor *out = r->reply;
	struct vm_entry part;
	bool is_writable;
	int error = region_pinned_part(range, &part);

	if (error)
		return error;
	is_writable = direction & PAGER_DIRECTION_IN && !part.mapping->is_read_only &&
		      part.max_protection & PROT_WRITE;
	error = view_open(r, part.mapping->object, !is_writable);
	*out = (struct pager_rep_descriptor){ .object_id = part.mapping->object->id,
		.object_offset = part.offset,
		.size = part.end - part.start,
		.protection = is_writable ? PROT_READ | PROT_WRITE : PROT_READ };
	vm_mapping_put(part.mapping);
	return error;
}

int
handle_descriptor(struct request *r)
{
	const struct pager_req_descriptor *in = r->body;
	struct range range;
	int error = range_init(&range, r->task, in->address, in->size);

	if (!error && !direction_is_valid(in->direction))
		error = -EINVAL;
	if (error)
		return error;
	range.stats = r->stats;
	range.place = r->place;
	switch (in->op) {
	case PAGER_DESCRIPTOR_PREPARE:
		return descriptor_prepare(r, &range, in->direction);
	case PAGER_DESCRIPTOR_PIECE:
		return descriptor_piece(r, &range, in->direction);
	case PAGER_DESCRIPTOR_COMPLETE:
		return descriptor_complete(r, &range);
	default:
		return -EINVAL;
	}
}
