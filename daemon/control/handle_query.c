/* SPDX-License-Identifier: MIT
 *
 * Questions: statistics, clients, maps and ledgers. Runs on: the control loop, or jobs where pages
 * are walked.
 */
#include <errno.h>

#include "control/clients.h"
#include "control/request.h"
#include "control/gauges.h"
#include "region/describe.h"
#include "region/piece.h"
#include "vm/vm_mapping.h"

/* Whether it is still the one that a region in the reply describes; between two pieces the map may
 * have changed. */
static bool
region_is(const struct region *region, const struct pager_wire_region *described)
{
	const struct vm_entry *e = &region->entry;

	CHECK_OBJ(e->mapping, VM_MAPPING_MAGIC);
	return e->start == described->address && e->end - e->start == described->size &&
	       e->mapping->object->id == described->object_id;
}

int
handle_region(struct request *r)
{
	const struct pager_req_region *in = r->body;
	struct pager_rep_region *out = r->reply;
	unsigned work = 0;
	bool is_recursive = (in->flags & PAGER_REGION_RECURSIVE) != 0;
	struct region region;

	CHECK(r->task);
	if ((in->flags & ~PAGER_WIRE_REGION_FLAGS) != 0 || (in->depth != 0 && !is_recursive))
		return -EINVAL;
	if (!region_at(r->task, in->address, in->depth, &region))
		return r->resumed ? 0 : -ENOENT;
	if (!r->resumed)
		out->region = region_describe(&region);
	/* A region of a submap, which others may change, stays as far as it has been counted. */
	if ((in->flags & PAGER_REGION_EXTENDED) && region_is(&region, &out->region))
		r->again = !region_count(&region, &r->progress, &work, &out->region);
	vm_mapping_put(region.entry.mapping);
	return 0;
}

int
handle_page_query(struct request *r)
{
	const struct pager_req_page_query *in = r->body;
	struct pager_rep_page_query *out = r->reply;
	struct vm_entry e;

	CHECK(r->task);
	if (!task_entry_get(r->task, in->address, &e))
		return -ENOENT;
	if (in->address >= e.start)
		out->disposition = page_disposition(e.mapping->object,
		    (e.offset + (in->address - e.start)) >> r->daemon->page_shift,
		    e.wired_count > 0);
	vm_mapping_put(e.mapping);
	return in->address >= e.start ? 0 : -ENOENT;
}

int
handle_statistics(struct request *r)
{
	struct pager_rep_statistics *out = r->reply;

	CHECK(r->task);
	task_statistics(r->task, &out->statistics);
	return 0;
}

int
handle_stat_segment(struct request *r)
{
	struct pager_rep_stat_segment *out = r->reply;

	loop_assert(r->daemon);
	gauges_refresh(r->daemon);
	out->segment_bytes = r->daemon->stats.bytes;
	r->reply_fd = r->daemon->stats.fd;
	return 0;
}

int
handle_clients(struct request *r)
{
	const struct pager_req_clients *in = r->body;
	struct pager_rep_clients *out = r->reply;
	uint32_t cursor = (uint32_t)in->cursor;
	struct task *task = NULL;

	loop_assert(r->daemon);
	while (out->count < PAGER_CLIENTS_PER_REPLY &&
	       (task = task_next(r->daemon, &cursor)) != NULL) {
		task_describe(task, &out->clients[out->count++]);
		task_put(task);
	}
	out->next_cursor = task ? cursor : 0;
	r->reply_bytes =
	    offsetof(struct pager_rep_clients, clients) + out->count * sizeof(out->clients[0]);
	return 0;
}

/* The lowest region at or above the address of all clients named, with a reference on its mapping.
 * => false: none */
static bool
lowest_region(
    struct clients c, uint64_t address, uint32_t depth, struct region *ret, int *ret_error)
{
	struct task *task;
	bool any = false;

	CHECK(depth <= REGION_DEPTH_MAX);
	while ((task = clients_next(&c)) != NULL) {
		struct region region;

		if (region_at(task, address, depth, &region)) {
			bool lower = !any || region.entry.start < ret->entry.start;

			if (any || !lower)
				vm_mapping_put(lower ? ret->entry.mapping : region.entry.mapping);
			if (lower)
				*ret = region;
			any = true;
		}
		task_put(task);
	}
	*ret_error = c.error;
	return any;
}

/* Adds the next region of the named clients to the reply, passes over one that is not asked for, or
 * goes on with the one of which r->progress bytes have been counted. The reply's cursor says how
 * far the clients' maps have been listed. => false: there is none; *ret_error: -ESRCH, -EPERM or 0
 */
static bool
map_add(struct request *r, unsigned *work, int *ret_error)
{
	const struct pager_req_map *in = r->body;
	struct pager_rep_map *out = r->reply;
	struct pager_wire_region *described = &out->regions[out->count];
	bool is_there, whole = true;
	struct region region;

	CHECK(out->count < PAGER_REGIONS_PER_REPLY);
	is_there = lowest_region(clients_named(r, in->pid, in->session), out->next_cursor,
	    in->flags & PAGER_REGION_RECURSIVE ? REGION_DEPTH_MAX : 0, &region, ret_error);
	*work += PIECE_ENTRY;
	if (r->progress > 0 && !(is_there && region_is(&region, described))) {
		/* It stays as far as it has been counted, so that a client that changes its map
		 * all the time is described, too. */
	} else if (!is_there) {
		return false;
	} else if ((in->flags & PAGER_WIRE_MAP_SHAREABLE) &&
		   !region.entry.mapping->object->is_shareable) {
		out->next_cursor = region.entry.end;
		whole = false;
	} else {
		if (r->progress == 0)
			*described = region_describe(&region);
		if (in->flags & PAGER_REGION_EXTENDED)
			whole = region_count(&region, &r->progress, work, described);
	}
	if (is_there)
		vm_mapping_put(region.entry.mapping);
	if (whole) {
		r->progress = 0;
		out->next_cursor = described->address + described->size;
		out->count++;
	}
	return true;
}

int
handle_map(struct request *r)
{
	const struct pager_req_map *in = r->body;
	struct pager_rep_map *out = r->reply;
	unsigned work = 0;
	bool more = true;
	int error = 0;

	CHECK(out->count <= PAGER_REGIONS_PER_REPLY);
	if ((in->flags & ~PAGER_WIRE_MAP_FLAGS) != 0)
		return -EINVAL;
	if (!r->resumed)
		out->next_cursor = in->cursor;
	while (more && out->count < PAGER_REGIONS_PER_REPLY && work < PIECE_WORK)
		more = map_add(r, &work, &error);
	if (error)
		return error;
	r->again = more && out->count < PAGER_REGIONS_PER_REPLY;
	if (!more)
		out->next_cursor = 0;
	r->reply_bytes =
	    offsetof(struct pager_rep_map, regions) + out->count * sizeof(out->regions[0]);
	return 0;
}

static void
client_add(struct pager_wire_client *sum, const struct pager_wire_client *c)
{
	sum->virtual_bytes += c->virtual_bytes;
	sum->regions += c->regions;
	sum->phys_footprint_peak += c->phys_footprint_peak;
	for (int i = 0; i < PAGER_LEDGER_COUNT; i++)
		sum->ledger[i] += c->ledger[i];
}

int
handle_footprint(struct request *r)
{
	const struct pager_req_footprint *in = r->body;
	struct pager_rep_footprint *out = r->reply;
	struct clients clients = clients_named(r, in->pid, in->session);
	struct task *task;

	loop_assert(r->daemon);
	while ((task = clients_next(&clients)) != NULL) {
		struct pager_wire_client c;

		task_describe(task, &c);
		if (out->sessions++ == 0)
			out->client = c;
		else
			client_add(&out->client, &c);
		task_put(task);
	}
	return clients.error;
}
