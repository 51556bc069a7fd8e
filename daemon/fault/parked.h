/* SPDX-License-Identifier: MIT
 *
 * Parked faults are answered here; memorystatus/frame_wait.h keeps them.
 */
#ifndef PARKED_H
#define PARKED_H

#include "fault/fault.h"
#include "memorystatus/frame_wait.h"

/* After each wake-up: answers what can be answered now. Runs on: fault servers. */
void parked_look(struct fault_server *server);
void parked_serve(struct fault_server *server);
/* Drops a dead task's faults. Runs on: jobs, no lock held. */
void parked_drop(struct daemon *d, struct task *task);

#endif
