/* SPDX-License-Identifier: MIT
 *
 * The steps of region.c by which ranges come and go, for other calls that end with a range.
 */
#ifndef REGION_PRIV_H
#define REGION_PRIV_H

#include "pager_priv.h"

/* What an allocation is to be. */
struct region_wish {
	unsigned flags;   /* enum pager_allocate_flags */
	uint64_t align;   /* a power of 2, at least the page size */
	uint64_t address; /* with PAGER_ALLOC_FIXED */
	uint64_t size;
};

/* From now on the connection may have memory that others see. */
void region_is_shared(struct pager *p);
/* Gives back what is owed. */
void region_settle(struct pager *p);
/* Reserves addresses. => 0 or -errno */
int region_place(struct pager *p, const struct region_wish *wish, uint64_t *ret_address);
/* sharing: MAP_SHARED or MAP_PRIVATE, perhaps with MAP_NORESERVE. => 0: the range is mapped,
 * registered and inaccessible; or -errno: nothing of ours is mapped there, except perhaps what was
 * there before */
int region_map(
    struct pager *p, uint64_t address, uint64_t size, int memfd, uint64_t offset, int sharing);
/* Gives a range that no thread can reach back to the daemon, at once or later. The addresses are
 * used again only when the daemon has let go of them, or the connection is gone. => false: later */
bool region_give_back(struct pager *p, uint64_t address, uint64_t size);
/* Puts the range out of reach and makes a request after which it is not ours any more. => 0:
 * its addresses are free; -EINVAL: part of it is not managed; -errno of the request: all is as
 * before, but with -ENOTCONN the range is gone; -EIO: it is as if it were gone. change_lock held */
int region_hand_over(struct pager *p, uint64_t address, uint64_t size, struct chan_call *call);

#endif
