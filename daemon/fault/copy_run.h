/* SPDX-License-Identifier: MIT
 *
 * Writes to pages that have been copied, or are copies (vm/copy_link.h). A thread that writes a run
 * of them gets those that follow at once, for one fault.
 */
#ifndef COPY_RUN_H
#define COPY_RUN_H

#include "fault/seat.h"
#include "fault/target.h"

#define COPY_RUN_MAX 15u

/* Pages behind the one that faulted, in the direction of its thread's run, busy by the server. */
struct copy_run {
	unsigned count;
	uint32_t frames[COPY_RUN_MAX]; /* the nearest first */
};

/* Before a page that the server holds busy is written to: what a copy of it lacks goes up. =>
 * false: that cannot be now, the page has been let go, and *ret says what becomes of the fault; no
 * lock held */
bool copies_told(struct fault_server *server, const struct fault *f, const struct target *t,
    struct vm_page *p, enum fault_outcome *ret, enum wait_for *ret_wait);
/* Mapped neighbours that a write would have to wait for in its turn. => O held, and the page that
 * faulted busy */
struct copy_run copy_run_take_locked(struct daemon *d, const struct target *t);
/* They can be written to, as many as can be now, and are let go. => no lock held */
void copy_run_answer(struct fault_server *server, const struct fault *f, const struct target *t,
    const struct copy_run *run);
/* They are let go as they are. => no lock held */
void copy_run_drop(const struct target *t, const struct copy_run *run);

#endif
