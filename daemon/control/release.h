/* SPDX-License-Identifier: MIT
 *
 * A client that is let go of makes no request that would add to what it has to leave.
 */
#ifndef CONTROL_RELEASE_H
#define CONTROL_RELEASE_H

#include <stdbool.h>
#include <stdint.h>

struct task;

/* Whether a request of that type is refused (-ESHUTDOWN). Runs on: the control loop */
bool release_stops(struct task *task, uint16_t type);

#endif
