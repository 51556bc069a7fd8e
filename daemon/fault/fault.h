/* SPDX-License-Identifier: MIT
 *
 * From a fault to a decision.
 */
#ifndef FAULT_H
#define FAULT_H

#include "fault/seat.h"

/* *ret_wait: what it waits for (FAULT_WAITS). */
enum fault_outcome fault_handle(
    struct fault_server *server, const struct fault *fault, enum wait_for *ret_wait);
/* The fault is answered with SIGBUS, and kept, to be answered truly once there is room. What is
 * stored stays stored. => false: the page is resident, it needs no refusal. */
bool fault_refuse(struct fault_server *server, const struct fault *fault, enum refusal why);

#endif
