/* SPDX-License-Identifier: MIT
 *
 * The thread that watches how much memory is available, announces pressure, and tells clients of
 * it (pressure.h, notice.h), and that ends processes where memory runs out (jetsam.h, reap.h). It
 * looks ten times a second, and whenever it is asked to.
 *
 * A notice goes to the client's agent, without waiting for it; where the agent does not listen the
 * notice is sent again later, and nobody waits. What the client's footprint was then, the least
 * that it has been since, and what it was when the client said that it has done what it could, are
 * kept for `pagerctl pressure`.
 */
#ifndef MEMORYSTATUS_H
#define MEMORYSTATUS_H

#include "memorystatus/status.h"

struct daemon;
struct task;

/* => 0 or -ENOMEM; memorystatus_fini also after a failure */
int memorystatus_create(struct daemon *d);
int memorystatus_start(struct daemon *d);
void memorystatus_stop(struct daemon *d);
void memorystatus_fini(struct daemon *d);
/* It is to look now. Any thread; no lock at or below JOBS held */
void memorystatus_want(struct daemon *d);
/* Levels of pressure of which the client wants to be told; bit n: level n. */
void memorystatus_listen(struct task *task, unsigned levels);
/* The client has done what it could about its last notice. */
void memorystatus_done(struct task *task);
/* From now on that level is announced, at once; PRESSURE_MEASURED: what is measured. */
void memorystatus_simulate(struct daemon *d, int level);
/* What is available now, and what the levels go by. Any thread */
void memorystatus_measure(struct daemon *d, struct space *ret, struct pressure_limits *ret_limits);
/* One look, as the thread takes it. For tests */
void memorystatus_look(struct daemon *d, uint64_t now_ns);

#endif
