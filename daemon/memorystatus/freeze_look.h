/* SPDX-License-Identifier: MIT
 *
 * Processes that are frozen without being asked for: memorystatus/freeze_policy.h chooses.
 */
#ifndef FREEZE_LOOK_H
#define FREEZE_LOOK_H

#include <stdint.h>

#include "memorystatus/pressure.h"

struct daemon;

/* Has the next one frozen, if it is time. Runs on: the memorystatus thread, while it has the
 * processes as jetsam sees them */
void freeze_look(struct daemon *d, const struct space *space, uint64_t now_ns);

#endif
