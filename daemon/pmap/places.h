/* SPDX-License-Identifier: MIT
 *
 * Where a client's process maps shared memory, as its /proc/PID/smaps says.
 */
#ifndef PLACES_H
#define PLACES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct task;

/* One mapping of the process. */
struct place {
	uint64_t start, end; /* addresses */
	uint64_t offset;     /* bytes in the file, at start */
	dev_t device;
	uint64_t inode;
	bool is_shared;     /* MAP_SHARED */
	bool is_accessible; /* its threads may read or write there */
	bool is_registered; /* with a userfaultfd, for MISSING, MINOR and write-protect faults */
};

/* Calls `see` for each mapping of a file, in the order of addresses. Mappings that come and go
 * meanwhile may be missed. => 0; -EACCES: the daemon may not look; -ESRCH: the process or its
 * address space has gone; -EAGAIN: the client is served in another lane than the calling thread's;
 * or -errno, also what `see` returns when it is not 0. No lock held */
int places_read(
    struct task *task, int (*see)(void *context, const struct place *place), void *context);

#endif
