/* SPDX-License-Identifier: MIT
 *
 * What becomes of a fault.
 */
#ifndef FAULT_DISPATCH_H
#define FAULT_DISPATCH_H

#include "fault/fault.h"

/* Handles the fault or, where it cannot be answered now, parks it, refuses it or puts it off. => no
 * lock held */
void fault_dispatch(struct fault_server *server, const struct fault *fault);
/* Parks the fault, and asks for what it waits for. => no lock held */
void fault_park(struct fault_server *server, const struct fault *fault, enum wait_for wait);

#endif
