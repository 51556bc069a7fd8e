/* SPDX-License-Identifier: MIT
 *
 * Protection. The daemon's books and the kernel's mappings have the same protections, except
 * between two steps of pager_protect:
 *
 *   mappings parted at both ends -> PROTECT -> mprotect -> mappings joined again
 *
 * Parting is the only step at which the kernel may lack a mapping, and it comes before the daemon
 * is asked; the daemon's refusal comes before the mapping is changed. Nobody but the caller sees
 * the range in between, and change_lock keeps other changes of the range off. Runs on: the caller's
 * threads.
 */
#include "ordinary.h"

#include <errno.h>
#include <sys/mman.h>

#define RIGHTS (PROT_READ | PROT_WRITE | PROT_EXEC)

int
region_each(struct pager *p, uint64_t address, uint64_t size, region_function *each)
{
	const uint64_t end = address + size;

	while (address < end) {
		struct pager_req_region request = { .address = address };
		struct pager_rep_region reply;
		struct chan_call call = { CHAN_CALL(REGION, &request, &reply) };
		uint64_t start, until;
		int r = chan_exchange(&p->chan, &call);

		if (r < 0)
			return r;
		start = reply.region.address;
		until = start + reply.region.size;
		if (until <= address || until < start)
			return -EPROTO;
		start = start < address ? address : start;
		until = until > end ? end : until;
		if (start < until)
			r = each(p, start, until - start, (int)reply.region.protection);
		if (r < 0)
			return r;
		address = until;
	}
	return 0;
}

int
range_protect(struct pager *p, uint64_t address, uint64_t size, int protection)
{
	struct pager_req_protect request = {
		.address = address, .size = size, .protection = (uint32_t)protection
	};
	struct pager_rep_protect reply;
	struct chan_call call = { CHAN_CALL(PROTECT, &request, &reply) };
	bool is_device = device_has(p, address, size);
	int (*part)(struct pager *, uint64_t, uint64_t, bool) =
	    is_device ? device_part : space_part_mappings;
	region_function *protect = is_device ? device_protect : space_protect;
	int r = part(p, address, size, true);

	if (r == 0)
		r = chan_exchange(&p->chan, &call);
	if (r == 0) {
		/* What a new maximum leaves may differ from part to part. */
		r = protection & PAGER_PROT_MAXIMUM ? region_each(p, address, size, protect)
						    : protect(p, address, size, protection);
		/* Not for lack of mappings, unless the program has given advice of its own. */
		r = r == -ENOMEM ? -EIO : r;
	}
	part(p, address, size, false);
	return r;
}

int
pager_protect(struct pager *p, void *addr, size_t size, int protection)
{
	uint64_t address, rounded;
	int r;

	r = release_check(p);
	if (r < 0)
		return r;
	if (protection & ~(RIGHTS | PAGER_PROT_MAXIMUM))
		return -EINVAL;
	hold_lock(&p->change_lock);
	if (release_is_done(p)) {
		hold_unlock(&p->change_lock);
		return ordinary_protect(p, addr, size, protection);
	}
	r = space_check(p, addr, size, &address, &rounded);
	if (r == 0)
		r = pager_check_descriptors(p);
	if (r == 0)
		r = range_protect(p, address, rounded, protection);
	hold_unlock(&p->change_lock);
	return r;
}
