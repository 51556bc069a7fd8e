/* SPDX-License-Identifier: MIT
 *
 * Advice and questions about allocated memory: wiring, behaviours, inheritance, tags, region and
 * page information, statistics. Runs on: the caller's threads.
 */
#include "pager_priv.h"

#include <errno.h>
#include <sys/mman.h>

/* Reads every page. */
static void
wire_look(struct pager *p, uint64_t address, uint64_t size)
{
	for (uint64_t offset = 0; offset < size; offset += p->page_size)
		(void)*(const volatile unsigned char *)(uintptr_t)(address + offset);
}

/* Writes every page without changing it. A compare-and-swap, because an atomic addition of zero is
 * known to be turned into a load by compilers. */
static void
wire_touch(struct pager *p, uint64_t address, uint64_t size)
{
	volatile unsigned char *byte;
	unsigned char value;

	for (uint64_t offset = 0; offset < size; offset += p->page_size) {
		byte = (volatile unsigned char *)(uintptr_t)(address + offset);
		value = __atomic_load_n(byte, __ATOMIC_RELAXED);
		while (!__atomic_compare_exchange_n(
		    byte, &value, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			continue;
	}
}

/* Brings in what is wired, and maps it for all that may be done with it. */
static int
wire_part(struct pager *p, uint64_t address, uint64_t size, int protection)
{
	if (protection & PROT_WRITE)
		wire_touch(p, address, size);
	else if (protection & PROT_READ)
		wire_look(p, address, size);
	return 0;
}

/* Makes a request about a range, which is put into *ret_address and *ret_size of the request. */
static int
range_exchange(struct pager *p, const void *addr, size_t size, uint64_t *ret_address,
    uint64_t *ret_size, struct chan_call *call)
{
	int r;

	r = pager_check(p);
	if (r == 0)
		r = space_check(p, addr, size, ret_address, ret_size);
	return r == 0 ? chan_exchange(&p->chan, call) : r;
}

int
pager_wire(struct pager *p, void *addr, size_t size)
{
	struct pager_req_wire request;
	struct pager_rep_wire reply;
	struct chan_call call = { CHAN_CALL(WIRE, &request, &reply) };
	int r;

	r = range_exchange(p, addr, size, &request.address, &request.size, &call);
	return r < 0 ? r : region_each(p, request.address, request.size, wire_part);
}

int
pager_unwire(struct pager *p, void *addr, size_t size)
{
	struct pager_req_unwire request;
	struct pager_rep_unwire reply;
	struct chan_call call = { CHAN_CALL(UNWIRE, &request, &reply) };

	return range_exchange(p, addr, size, &request.address, &request.size, &call);
}

int
pager_inherit(struct pager *p, void *addr, size_t size, enum pager_inheritance inheritance)
{
	struct pager_req_inherit request = { .inheritance = (uint32_t)inheritance };
	struct pager_rep_inherit reply;
	struct chan_call call = { CHAN_CALL(INHERIT, &request, &reply) };
	int r;

	r = pager_check(p);
	if (r < 0)
		return r;
	if ((unsigned)inheritance > PAGER_INHERIT_NONE)
		return -EINVAL;
	return range_exchange(p, addr, size, &request.address, &request.size, &call);
}

int
pager_tag(struct pager *p, void *addr, size_t size, unsigned tag)
{
	struct pager_req_tag request = { .tag = tag };
	struct pager_rep_tag reply;
	struct chan_call call = { CHAN_CALL(TAG, &request, &reply) };
	int r;

	r = pager_check(p);
	if (r < 0)
		return r;
	if (tag > PAGER_TAG_MAX)
		return -EINVAL;
	return range_exchange(p, addr, size, &request.address, &request.size, &call);
}

int
pager_behavior(struct pager *p, void *addr, size_t size, enum pager_behavior behavior)
{
	struct pager_req_behavior request = { .behavior = (uint32_t)behavior };
	struct pager_rep_behavior reply;
	struct chan_call call = { CHAN_CALL(BEHAVIOR, &request, &reply) };
	int r;

	r = pager_check(p);
	if (r < 0)
		return r;
	if ((unsigned)behavior > PAGER_BEHAVIOR_PAGEOUT)
		return -EINVAL;
	return range_exchange(p, addr, size, &request.address, &request.size, &call);
}

/* A question whose answer goes to `ret`. */
static int
ask(struct pager *p, const void *ret, struct chan_call *call)
{
	int r = pager_check(p);

	if (r < 0)
		return r;
	return ret ? chan_exchange(&p->chan, call) : -EINVAL;
}

int
pager_region(struct pager *p, const void *addr, struct pager_region_info *ret)
{
	struct pager_req_region request = { .address = (uint64_t)(uintptr_t)addr };
	struct pager_rep_region reply;
	struct chan_call call = { CHAN_CALL(REGION, &request, &reply) };
	const struct pager_wire_region *region = &reply.region;
	int r;

	r = ask(p, ret, &call);
	if (r < 0)
		return r;
	*ret = (struct pager_region_info){
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
		.pages_resident = region->pages_resident,
		.pages_dirty = region->pages_dirty,
		.pages_compressed = region->pages_compressed,
		.pages_swapped = region->pages_swapped,
		.pages_wired = region->pages_wired,
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

int
pager_statistics(struct pager *p, struct pager_statistics *ret)
{
	struct pager_req_statistics request = { 0 };
	struct pager_rep_statistics reply;
	struct chan_call call = { CHAN_CALL(STATISTICS, &request, &reply) };
	int r;

	r = ask(p, ret, &call);
	if (r < 0)
		return r;
	*ret = reply.statistics;
	return 0;
}
