/* SPDX-License-Identifier: MIT
 *
 * Victims on their way out of memory. Here each of them is CLEANING, busy by the calling thread and
 * holds a reference on its object (pageq_launder_begin_locked). It leaves, or it stays.
 */
#ifndef LEAVE_H
#define LEAVE_H

#include "daemon.h"
#include "pageq/victim.h"
#include "vm/vm_object.h"

/* Pages of an object that no mapping can write until they are let go: only these are copied. */
struct still_range {
	struct vm_object *object;
	uint64_t low, high;
};

static inline struct vm_page *
victim_page(const struct daemon *d, const struct victim *v)
{
	return &d->frames.pages[v->frame];
}

/* Write-protects pages [low, high) of an object. => 0, or the range cannot be protected; no lock
 * held */
int still_range_make(struct vm_object *o, uint64_t low, uint64_t high, struct still_range *ret);
/* How many of the first victims can be taken away with one range: neighbours, with nothing but a
 * few stored pages between them. v[] are sorted. => a hint unless O is held */
unsigned victims_group_length(const struct daemon *d, const struct victim *v, unsigned count);
/* Sorted victims that have a copy each: punched, published, freed, woken. hole: of the calling
 * thread, not in use. Drops their references. No lock held */
void victims_leave(
    struct stat_shard stats, struct hole *hole, const struct victim *v, unsigned count);
/* The page becomes ACTIVE, because a fault wants it (rescued) or it could not be stored; wakes the
 * threads that met it. Drops its reference. No lock held */
void victim_stay(struct stat_shard stats, const struct victim *v, bool rescued);

#endif
