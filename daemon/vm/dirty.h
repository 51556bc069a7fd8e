/* SPDX-License-Identifier: MIT
 *
 * Dirty pages of files: who is billed for them, and how many there may be. A page is billed to the
 * session that made it dirty, from its first store until its content is in the file or is gone. The
 * daemon sees only a store into a clean page, so of several who store into one page the first pays.
 * Pages that become dirty because they are wired are billed like others, but do not count while
 * they are wired: wire_percent bounds those.
 *
 * The bounds are on stores. Of a session, of a user with all its sessions, and of all users
 * together; parts of the frames that are not wired. At its bound a store waits until pages have
 * been written; where that is not to be expected it is refused. A page that is dirty already may
 * always be written to, and what is dirty stays. So that a file which hangs or fails does not stop
 * its user's other files, each file that can be written may have a few dirty pages more
 * (OBJECT_PART), up to a quarter above the bounds.
 */
#ifndef DIRTY_H
#define DIRTY_H

#include <stdbool.h>
#include <stdint.h>

#include "atomics.h"
#include "vm/books.h"

struct daemon;

/* Of all users. */
struct dirty_total {
	atomic_uint pages; /* (A) that count */
	atomic_uint held;  /* (A) tasks that are kept by their dirty pages */
};

/* The task whose dirty page it is, as a frame's word has it: its index in the table and one. */
#define DIRTY_NOBODY 0u

/* A page has become dirty, and counts unless it is wired. => what dirty_unbill is told. Any thread
 */
uint32_t dirty_bill(struct vm_object *o, struct task *task, bool is_wired);
/* It is clean, or gone. */
void dirty_unbill(struct vm_object *o, uint32_t payer, bool is_wired);
/* A dirty page is wired, or is not any more. */
void dirty_wired(struct vm_object *o, uint32_t payer, bool is_wired);

enum dirty_answer {
	DIRTY_MAY,
	DIRTY_WAITS,  /* for pages of the user's to be written */
	DIRTY_REFUSED /* writes of the file fail or do not come back, or nothing has been written
			 for the session for long */
};
/* Whether the task may make another page of the object dirty. Any thread */
enum dirty_answer dirty_may_store(struct task *task, struct vm_object *o);
/* Whether there is room below its bounds, whatever the file. Any thread */
bool dirty_has_room(const struct task *task);
/* Whether pages should go out before a store must wait: half of a bound is used. Any thread */
bool dirty_is_much(const struct task *task);
/* The same for the task that has last made a page of the object dirty. => no lock held */
bool dirty_object_is_much(struct vm_object *o);
/* A page of the object has been written to its place: the payer's ledger counts it, and those who
 * wait for writes have reason to hope again. */
void dirty_progress(struct vm_object *o, uint32_t payer);
/* Tasks that have ended and have no dirty page any more are let go. Runs on: the cleaner; no lock
 * held */
void dirty_release(struct daemon *d);
/* For how long a file's writes, and a session's, are counted on (file_patience_ms). Any thread */
uint64_t dirty_patience_ns(const struct daemon *d);
/* The most pages that count, of one session and of one user. Any thread */
uint64_t dirty_most_of_session(const struct daemon *d);
uint64_t dirty_most_of_user(const struct daemon *d);

#endif
