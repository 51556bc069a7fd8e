/* SPDX-License-Identifier: MIT
 *
 * Answers to parked faults, which memorystatus/frame_wait.h keeps.
 */
#ifndef PARKED_H
#define PARKED_H

#include "fault/fault.h"
#include "memorystatus/frame_wait.h"

/* After each wake-up: calls parked_serve if there may be anything to answer. Runs on: fault
 * servers, here and below. */
void parked_look(struct fault_server *server);
/* Answers what can be answered now. => no lock held */
void parked_serve(struct fault_server *server);
/* Drops a dead task's faults. Runs on: jobs. => no lock held */
void parked_drop(struct daemon *d, struct task *task);

#endif
