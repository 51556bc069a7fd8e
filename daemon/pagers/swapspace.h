/* SPDX-License-Identifier: MIT
 *
 * The space that swap files take, as its owner is told of it.
 */
#ifndef SWAPSPACE_H
#define SWAPSPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomics.h"

struct daemon;
struct swap_fault;

enum swap_failure { SWAP_FAILED_CREATE, SWAP_FAILED_WRITE, SWAP_FAILED_READ, SWAP_FAILURE_COUNT };

/* A kind of failure that has been logged. The writer's own. */
struct swap_trouble {
	int error;        /* as logged; 0: there is none */
	bool better;      /* a segment was written since the last failure */
	uint64_t times;   /* failures since it was logged */
	uint64_t last_ns; /* the time of the last one */
};

struct swapspace {
	atomic_bool full; /* no place can be had, as seen after the writer's last pass */
	struct swap_trouble trouble[SWAP_FAILURE_COUNT];
};

/* Makes d->swap from options and parameters. => 0, or -errno and a message
 * with cause and remedy */
int swapspace_create(struct daemon *d, char *message, size_t message_size);
/* It could not be done (fault->error < 0); told if that is news. Runs on: the writer. */
void swapspace_failed(struct daemon *d, enum swap_failure kind, const struct swap_fault *fault);
/* After each pass; written: a segment went to swap, or moved in it. Runs on: the writer. */
void swapspace_passed(struct daemon *d, bool written);

#endif
