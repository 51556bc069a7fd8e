/* SPDX-License-Identifier: MIT
 *
 * The space that swap files take, as its owner is told of it.
 */
#ifndef SWAPSPACE_H
#define SWAPSPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct daemon;

enum swap_failure { SWAP_FAILED_CREATE, SWAP_FAILED_WRITE, SWAP_FAILED_READ, SWAP_FAILURE_COUNT };

/* A kind of failure that has been told of. The writer's own. */
struct swap_trouble {
	int error;   /* as told; 0: there is none */
	bool better; /* something was written since it was last met */
	uint64_t times, last_ns;
};

/* Makes d->swap from options and parameters. => 0, or -errno and a message
 * with cause and remedy */
int swapspace_create(struct daemon *d, char *message, size_t message_size);
/* It could not be done; told if that is news. Runs on: the writer. */
void swapspace_failed(struct daemon *d, enum swap_failure kind, int error);
/* After each pass; written: a segment went to swap, or moved in it. Runs on: the writer. */
void swapspace_passed(struct daemon *d, bool written);

#endif
