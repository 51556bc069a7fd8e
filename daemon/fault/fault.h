/* SPDX-License-Identifier: MIT
 *
 * From a fault to an outcome.
 */
#ifndef FAULT_H
#define FAULT_H

#include "fault/seat.h"

/* Answers the fault, or says why it cannot be answered now. *ret_wait: what it waits for
 * (FAULT_WAITS). => no lock held */
enum fault_outcome fault_handle(
    struct fault_server *server, const struct fault *fault, enum wait_for *ret_wait);
/* Answers the fault with SIGBUS, and keeps it, to be answered truly once there is room. What is
 * stored stays stored. => false: the page is resident and needs no refusal; no lock held */
bool fault_refuse(struct fault_server *server, const struct fault *fault, enum refusal why);

#endif
