/* SPDX-License-Identifier: MIT
 *
 * Questions about allocated memory: regions, pages, statistics. Runs on: the caller's threads.
 */
#include "pager_priv.h"

#include <errno.h>
#include <stdlib.h>

/* A question whose answer goes to `ret`. */
static int
ask(struct pager *p, const void *ret, struct chan_call *call)
{
	int r = pager_check(p);

	if (r < 0)
		return r;
	return ret ? chan_exchange(&p->chan, call) : -EINVAL;
}

static struct pager_region_info
region_info(const struct pager_wire_region *region)
{
	return (struct pager_region_info){
		.addr = (void *)(uintptr_t)region->address,
		.size_bytes = region->size,
		.object_id = region->object_id,
		.object_offset = region->object_offset,
		.protection = region->protection,
		.max_protection = region->max_protection,
		.behavior = region->behavior,
		.inheritance = region->inheritance,
		.tag = region->tag,
		.user_wired_count = region->user_wired_count,
		.wired_count = region->wired_count,
		.cache_mode = region->cache_mode,
		.pages_resident = region->pages_resident,
		.pages_dirty = region->pages_dirty,
		.pages_compressed = region->pages_compressed,
		.pages_swapped = region->pages_swapped,
		.pages_wired = region->pages_wired,
	};
}

int
pager_region(struct pager *p, const void *addr, struct pager_region_info *ret)
{
	struct pager_req_region request = { .address = (uint64_t)(uintptr_t)addr,
		.flags = PAGER_REGION_EXTENDED };
	struct pager_rep_region reply;
	struct chan_call call = { CHAN_CALL(REGION, &request, &reply) };
	int r;

	r = ask(p, ret, &call);
	if (r < 0)
		return r;
	*ret = region_info(&reply.region);
	return 0;
}

int
pager_region_query(
    struct pager *p, const void *addr, unsigned flags, struct pager_region_query *ret)
{
	struct pager_req_region request = { .address = (uint64_t)(uintptr_t)addr,
		.flags = flags,
		.depth = ret && flags & PAGER_REGION_RECURSIVE ? ret->depth : 0 };
	struct pager_rep_region reply;
	struct chan_call call = { CHAN_CALL(REGION, &request, &reply) };
	const struct pager_wire_region *region = &reply.region;
	int r;

	if (ret && (ret->size < sizeof(*ret) || (flags & ~PAGER_WIRE_REGION_FLAGS) != 0))
		ret = NULL;
	r = ask(p, ret, &call);
	if (r < 0)
		return r;
	*ret = (struct pager_region_query){
		.size = ret->size,
		.depth = region->depth,
		.is_submap = region->is_submap,
		.share_mode = region->share_mode,
		.ref_count = region->ref_count,
		.shadow_depth = region->shadow_depth,
		.external_pager = region->external_pager,
		.billed = region->billed,
		.info = region_info(region),
		.proportional_resident = region->proportional_resident,
		.proportional_stored = region->proportional_stored,
	};
	return 0;
}

int
pager_page_query(struct pager *p, const void *addr, unsigned *ret_disposition)
{
	struct pager_req_page_query request;
	struct pager_rep_page_query reply;
	struct chan_call call = { CHAN_CALL(PAGE_QUERY, &request, &reply) };
	uint64_t size;
	int r;

	r = pager_check(p);
	if (r < 0)
		return r;
	if (!ret_disposition)
		return -EINVAL;
	addr = (const void *)((uintptr_t)addr & ~(uintptr_t)(p->page_size - 1));
	r = range_exchange(p, addr, 1, &request.address, &size, &call);
	if (r < 0)
		return r;
	*ret_disposition = reply.disposition;
	return 0;
}

/* Adds up what the reply says of regions that can be shared. => 0 or -EPROTO */
static int
shared_add(const struct pager *p, const struct pager_rep_map *reply, const struct chan_call *call,
    struct pager_statistics *sum)
{
	if (reply->count > PAGER_REGIONS_PER_REPLY ||
	    call->reply_bytes < call->reply_bytes_min + reply->count * sizeof(reply->regions[0]))
		return -EPROTO;
	for (uint32_t i = 0; i < reply->count; i++) {
		const struct pager_wire_region *r = &reply->regions[i];

		sum->shared_resident += r->pages_resident * p->page_size;
		sum->shared_stored += (r->pages_compressed + r->pages_swapped) * p->page_size;
		sum->shared_proportional_resident += r->proportional_resident;
		sum->shared_proportional_stored += r->proportional_stored;
	}
	return 0;
}

/* What the connection maps of shareable memory. => 0 or -errno */
static int
shared_count(struct pager *p, struct pager_statistics *sum)
{
	struct pager_req_map request = { .flags = PAGER_REGION_EXTENDED | PAGER_REGION_RECURSIVE |
						  PAGER_WIRE_MAP_SHAREABLE,
		.session = p->session };
	struct pager_rep_map *reply = malloc(sizeof(*reply));
	int r = reply ? 0 : -ENOMEM;

	while (r == 0) {
		struct chan_call call = { CHAN_CALL(MAP, &request, reply) };

		call.reply_bytes_min = offsetof(struct pager_rep_map, regions);
		r = chan_exchange(&p->chan, &call);
		if (r == 0)
			r = shared_add(p, reply, &call, sum);
		if (r < 0 || reply->next_cursor == 0)
			break;
		if (reply->next_cursor <= request.cursor)
			r = -EPROTO; /* it would never end */
		request.cursor = reply->next_cursor;
	}
	free(reply);
	return r;
}

int
pager_statistics(struct pager *p, struct pager_statistics *ret)
{
	struct pager_req_statistics request = { 0 };
	struct pager_rep_statistics reply;
	struct chan_call call = { CHAN_CALL(STATISTICS, &request, &reply) };
	int r;

	r = ask(p, ret, &call);
	if (r == 0 && atomic_load_explicit(&p->may_share, memory_order_relaxed))
		r = shared_count(p, &reply.statistics);
	if (r == 0)
		*ret = reply.statistics;
	return r;
}
