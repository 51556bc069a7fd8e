/* SPDX-License-Identifier: MIT
 *
 * Holding the lock of a memfd's inode: a write(2) to it, from a page of a userfaultfd that nobody
 * reads, so that its fault is never answered.
 */
#ifndef LIVE_HOLD_H
#define LIVE_HOLD_H

#include "harness.h"

struct held_write {
	int uffd, memfd;
	void *page;
	size_t bytes;
	uint64_t offset;
	enum { HOLD_WRITE, HOLD_RING } how; /* by a system call, or by an io_uring */
};

/* => the lock is held, by another thread: the fault under it has been raised. device: an open
 * /dev/userfaultfd. The caller sets w->how; *w stays the thread's */
void hold(struct held_write *w, int device, int memfd, uint64_t offset, size_t page_bytes);
/* => a descriptor of the memory that is mapped there, as a client that has kept it has one; -1: it
 * may not be opened */
int hold_open(const void *address);
/* => the process was ended by a SIGKILL that is not the test's, which has forgotten it
 * (client_forget) */
void require_killed(pid_t pid);

#endif
