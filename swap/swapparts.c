/* SPDX-License-Identifier: MIT
 *
 * A device of fixed size as a number of equal parts. The last one may be smaller. Runs on: the
 * thread that starts and stops swap, and the thread in swap_balance.
 */
#include "swapparts.h"

#include <stdlib.h>

#include "check.h"

#define FIRST_BYTES (1u << 20)

int
swap_parts_init(struct swap_parts *p, const struct swap_backend *b, uint64_t bytes)
{
	uint64_t room = bytes > FIRST_BYTES ? bytes - FIRST_BYTES : 0;
	uint64_t least =
	    min_u64(SWAP_FILE_SLOTS_MIN, b->slots_per_file) * (uint64_t)b->stride_bytes;

	p->part_bytes = b->slots_per_file * (uint64_t)b->stride_bytes;
	p->bytes = room;
	p->count = (unsigned)min_u64(room / p->part_bytes, SWAP_FILES_MAX);
	if (p->count < SWAP_FILES_MAX && room - p->count * p->part_bytes >= least)
		p->count++;
	if (p->count == 0)
		return -ENOSPC;
	p->taken = calloc(p->count, sizeof(*p->taken));
	return p->taken ? 0 : -ENOMEM;
}

void
swap_parts_fini(struct swap_parts *p)
{
	free(p->taken);
}

uint64_t
swap_parts_offset(const struct swap_parts *p, unsigned part)
{
	CHECK(part < p->count);
	return FIRST_BYTES + part * p->part_bytes;
}

uint64_t
swap_parts_bytes(const struct swap_parts *p, unsigned part)
{
	CHECK(part < p->count);
	return min_u64(p->part_bytes, p->bytes - part * p->part_bytes);
}

unsigned
swap_parts_at(const struct swap_parts *p, uint64_t offset)
{
	uint64_t part = (offset - FIRST_BYTES) / p->part_bytes;

	CHECK(part < p->count && swap_parts_offset(p, (unsigned)part) == offset);
	return (unsigned)part;
}

int
swap_parts_take(struct swap_parts *p, uint64_t bytes, uint64_t *ret_offset)
{
	int error = -EDQUOT;

	CHECK(bytes <= p->part_bytes);
	for (unsigned i = 0; i < p->count; i++) {
		if (p->taken[i])
			continue;
		error = -ENOSPC;
		if (bytes > swap_parts_bytes(p, i))
			continue;
		p->taken[i] = true;
		*ret_offset = swap_parts_offset(p, i);
		return 0;
	}
	return error;
}

bool
swap_parts_adopt(struct swap_parts *p, uint64_t offset)
{
	for (unsigned i = 0; i < p->count; i++) {
		if (swap_parts_offset(p, i) != offset || p->taken[i])
			continue;
		p->taken[i] = true;
		return true;
	}
	return false;
}

void
swap_parts_give(struct swap_parts *p, uint64_t offset)
{
	unsigned part = swap_parts_at(p, offset);

	CHECK(p->taken[part]);
	p->taken[part] = false;
}
