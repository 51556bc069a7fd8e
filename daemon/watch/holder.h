/* SPDX-License-Identifier: MIT
 *
 * Who holds the lock of a memfd's inode. A client may have handed the memfd to another process; a
 * write(2) there, from a page whose fault nobody answers, holds the lock even after the client's
 * end. Where several clients see an object, each of them can do that.
 */
#ifndef WATCH_HOLDER_H
#define WATCH_HOLDER_H

#include "vm/task.h"

/* How far a search goes; each step includes those before it. */
enum holder_search {
	/* Processes that have the memfd open and are inside of a call on it: system calls, and
	 * those that the kernel makes for an io_uring. */
	HOLDERS_INSIDE,
	/* Processes that have it open for writing. libpager has not: it closes what it has mapped.
	 */
	HOLDERS_WRITERS,
	/* Processes inside of a write to any file in memory whose fault is not answered: the
	 * descriptor may have been closed meanwhile. Only those of users that have clients, not
	 * root's, and not those of the daemon's own user. Needs root. */
	HOLDERS_HIDDEN,
	/* The same, of any user but these: its clients may have ended. */
	HOLDERS_GONE,
};

struct holders {
	struct daemon *daemon;
	int memfd;
	enum holder_search search;
	const struct task *task; /* the client whose memfd it is alone: all processes of its user
				    that have it open count too; NULL: several see it */
	void (*ended)(void *argument, uid_t uid); /* a process of that user has been killed */
	void *argument;
};

/* Kills them. Walks /proc. => how many. Runs on: the watcher */
unsigned watch_holders_end(const struct holders *h);
/* => whether a process is inside of a call that takes the memfd's lock. Walks /proc. Runs on: the
 * watcher */
bool watch_holder_seen(struct daemon *d, int memfd);

#endif
