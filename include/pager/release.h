/* SPDX-License-Identifier: MIT
 *
 * Letting go: the process keeps its memory, and needs no pager any more. A part of pager.h.
 */
#ifndef PAGER_RELEASE_H
#define PAGER_RELEASE_H

#include <stdint.h>

#include "pager/pager.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Why it was refused. */
struct pager_refusal {
	const char *reason;       /* with the remedy; constant */
	void *addr;               /* of what stands in the way; NULL: no particular place */
	uint64_t away_bytes;      /* what is not in memory, and would have to come */
	uint64_t available_bytes; /* what the machine, or the process's cgroup, has for that */
};

/* Brings all memory of the connection in, and makes it private anonymous memory of the process,
 * with the content, addresses and protections that it has; other threads may go on using it
 * meanwhile. Then the connection is gone. pager_allocate, pager_deallocate and pager_protect do
 * what mmap(2), munmap(2) and mprotect(2) do from then on, and all other calls answer -ENOTCONN;
 * pager_disconnect frees p, and leaves the memory. Errors, when nothing has changed: -ENOSPC: it
 * does not fit; -ENOTSUP: some of it is not the process's alone, or is wired (ret->reason);
 * -EAGAIN: the same call may succeed later; -ENOMEM; -ENOTCONN: the daemon is gone. ret: filled in
 * if it is refused; may be NULL. */
PAGER_API int pager_release(struct pager *p, struct pager_refusal *ret);

#ifdef __cplusplus
}
#endif

#endif
