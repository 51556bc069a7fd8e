/* SPDX-License-Identifier: MIT
 *
 * Faults that stand: nothing has woken their threads. A signal for a fault is exact only if its
 * thread is still in the touch when it arrives. A message proves that the thread waited when it was
 * read, but not a moment later: any call for the page, for whatever reason, wakes it, and then the
 * signal would hit the thread elsewhere. So a fault that is to be answered by a signal is noted
 * here, and its thread is woken once; its fault comes again, and if no other call has woken the
 * page meanwhile, the thread waits, and goes on waiting until one does. Such a call passes through
 * here first (standing_woken) and so before or after the signal. Only a call that has looked here
 * before the fault was noted, and is made after it has come again, is not seen: its thread has been
 * stopped between two instructions for that long.
 *
 * Thread-safe. Few are noted at a time: what is old, or the oldest of too many, is forgotten, and
 * begins again.
 */
#ifndef STANDING_H
#define STANDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomics.h"
#include "base.h"

/* A fault: the thread in the client's pid namespace, and its page. */
struct standing {
	int uffd;
	unsigned thread;
	uint64_t page; /* its address */
};

extern atomic_uint standing_count;

/* Once, before all others. */
void standing_init(void);
/* The fault has just come. => true: its thread waits, as long as standing_end says so; false: it is
 * noted now, and its thread is to be woken by uffd_send_back */
bool standing_look(const struct standing *fault);
/* Forgets the fault, and calls `f` before that if it stands, while nobody can wake its thread: `f`
 * may not sleep; NULL: nothing is called. => whether it stood; no lock held */
bool standing_end(
    const struct standing *fault, void (*f)(const void *argument), const void *argument);

void standing_woken_slow(int uffd, uint64_t address, uint64_t bytes);

/* Before a call that wakes the threads which wait in the range. Locks may be held. */
static inline void
standing_woken(int uffd, uint64_t address, uint64_t bytes)
{
	if (unlikely(load_acquire(&standing_count) > 0))
		standing_woken_slow(uffd, address, bytes);
}

#endif
