/* SPDX-License-Identifier: MIT
 *
 * Pages that the kernel has pinned, for O_DIRECT, io_uring buffers, RDMA and the like. The kernel
 * tells nobody that a page is pinned, but it counts each pin as a reference on the page, and a
 * small program inside of it (pin_program.h) can be asked for that count.
 *
 * The order that makes the answer count: a page is write-protected in all mappings, then looked at,
 * and only then copied. Pinning a page to write into it takes a page table entry that allows
 * writes. So whoever pins it before the protection is seen by the look, and whoever comes later
 * gets a fault, which the busy page makes wait. A page that is clean has had such a look since.
 *
 * Without the right to run programs in the kernel (CAP_BPF and CAP_PERFMON), or a kernel that
 * says where its members lie, no page is ever found pinned, and pins must be announced:
 * pager_wire(3).
 */
#ifndef PINS_H
#define PINS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct daemon;
struct vm_object;
struct pin_look;

struct pins {
	int map, program;       /* (C) descriptors; valid if looks is not NULL */
	struct pin_look *looks; /* (C) elements of the map. NULL: pins are not known */
	atomic_bool *taken;     /* a thread is using the look; one for each */
	unsigned count;         /* (C) of looks: as many as there are threads that may look */
	unsigned pages;         /* (C) system pages of one look */
};

/* Finds out whether pins can be known; says so in the log if not. Runs on: start */
void pins_start(struct daemon *d);
void pins_stop(struct daemon *d);

static inline bool
pins_are_known(const struct pins *pins)
{
	return pins->looks != NULL;
}

/* Which of the object's pages, given by their numbers, are pinned. They are write-protected, and
 * busy by the caller. What cannot be found out counts as pinned. Allocates nothing. => how many
 * are; no lock held */
unsigned pins_find(struct daemon *d, const struct vm_object *o, const uint64_t *indexes,
    unsigned count, bool *ret_pinned);

#endif
