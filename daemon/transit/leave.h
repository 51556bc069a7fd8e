/* SPDX-License-Identifier: MIT
 *
 * Victims on their way out of memory. Each is CLEANING, busy by the calling thread, and holds a
 * reference on its object (pageq_launder_begin_locked). It leaves, or it stays.
 */
#ifndef LEAVE_H
#define LEAVE_H

#include "daemon.h"
#include "pageq/victim.h"
#include "vm/vm_object.h"

/* Pages [low, high) of an object, which no mapping can write to until they are let go. Only pages
 * of such a range are copied. */
struct still_range {
	struct vm_object *object;
	uint64_t low, high;
};

static inline struct vm_page *
victim_page(const struct daemon *d, const struct victim *v)
{
	return &d->frames.pages[v->frame];
}

/* Write-protects pages [low, high) of an object. => 0, or the -errno of a mapping that cannot be
 * protected; no lock held */
int still_range_make(struct vm_object *o, uint64_t low, uint64_t high, struct still_range *ret);
/* How many victims from v[0] on can be taken away in one range: they are of one object, and between
 * two of them lie at most VM_GAP_MAX pages, all kept by the pager. v[] is sorted. => a hint unless
 * O is held
 */
unsigned victims_group_length(const struct daemon *d, const struct victim *v, unsigned count);
/* Sorted victims, each with a copy, leave: punched, published, freed, and their waiting threads
 * woken. Drops their references. hole: the calling thread's, not in use. => no lock held */
void victims_leave(
    struct stat_shard stats, struct hole *hole, const struct victim *v, unsigned count);
/* Why a victim stays. */
enum victim_stays {
	STAYS_WANTED,  /* by a fault */
	STAYS_NO_ROOM, /* it could not be stored, or is to be written to its file first */
	STAYS_PINNED,  /* a device may write into it */
};
/* A victim becomes ACTIVE; wakes the threads that met it busy. Drops its reference. => no lock held
 */
void victim_stay(struct stat_shard stats, const struct victim *v, enum victim_stays why);

#endif
