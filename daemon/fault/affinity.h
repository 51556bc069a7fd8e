/* SPDX-License-Identifier: MIT
 *
 * Which servers poll a client.
 */
#ifndef AFFINITY_H
#define AFFINITY_H

#include "fault/seat.h"

/* Called after faults have been answered; cheap but
 * for the one in 32 to 256 that is a sample. Runs on: fault servers, direct servers */
void affinity_note(
    struct fault_server *server, struct task *task, uint32_t thread, unsigned faults);

#endif
