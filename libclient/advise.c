/* SPDX-License-Identifier: MIT
 *
 * Advice about allocated memory: wiring, behaviours, inheritance, tags. Runs on: the caller's
 * threads.
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

int
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
	/* Where other memory is shown, its own must be mapped first. */
	if (r == -EBUSY && show_open_range(p, request.address, request.size) == 0)
		r = range_exchange(p, addr, size, &request.address, &request.size, &call);
	/* A device's memory is there, and perhaps no memory to be touched without need. */
	if (r < 0 || device_has(p, request.address, request.size))
		return r;
	return region_each(p, request.address, request.size, wire_part);
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
	if ((unsigned)behavior > PAGER_BEHAVIOR_REUSE)
		return -EINVAL;
	return range_exchange(p, addr, size, &request.address, &request.size, &call);
}

int
pager_msync(struct pager *p, void *addr, size_t size, unsigned flags)
{
	struct pager_req_msync request = { .flags = flags };
	struct pager_rep_msync reply;
	struct chan_call call = { CHAN_CALL(MSYNC, &request, &reply) };

	return range_exchange(p, addr, size, &request.address, &request.size, &call);
}
