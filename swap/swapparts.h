/* SPDX-License-Identifier: MIT
 *
 * A device of fixed size as a number of equal parts, each of which may be a swap file. Its first
 * MiB is no part's. Runs on: the thread that starts and stops swap, and the thread in swap_balance.
 */
#ifndef SWAPPARTS_H
#define SWAPPARTS_H

#include "swap_priv.h"

struct swap_parts {
	uint64_t part_bytes, bytes;
	unsigned count;
	bool *taken; /* [count] */
};

/* => 0, -ENOMEM, or -ENOSPC: the device is too small for one file */
int swap_parts_init(struct swap_parts *p, const struct swap_backend *b, uint64_t bytes);
void swap_parts_fini(struct swap_parts *p);
/* => 0 and where the first free part begins; -ENOSPC: only the last part is free, which is smaller;
 * -EDQUOT: all are taken */
int swap_parts_take(struct swap_parts *p, uint64_t bytes, uint64_t *ret_offset);
/* Where a part begins, how large it is, and which one begins there. */
uint64_t swap_parts_offset(const struct swap_parts *p, unsigned part);
uint64_t swap_parts_bytes(const struct swap_parts *p, unsigned part);
unsigned swap_parts_at(const struct swap_parts *p, uint64_t offset);
/* The part that begins there is taken already. => false: there is none that is free */
bool swap_parts_adopt(struct swap_parts *p, uint64_t offset);
void swap_parts_give(struct swap_parts *p, uint64_t offset);

#endif
