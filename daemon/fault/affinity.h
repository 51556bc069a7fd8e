/* SPDX-License-Identifier: MIT
 *
 * The choice of the servers that read a client's faults.
 */
#ifndef AFFINITY_H
#define AFFINITY_H

#include "fault/seat.h"

/* Called after `faults` faults of the task have been answered, the last one by `thread`. Cheap,
 * except for one fault in 32 to 256, which is a sample. Runs on: fault servers, direct servers. =>
 * no lock held */
void affinity_note(
    struct fault_server *server, struct task *task, uint32_t thread, unsigned faults);

#endif
