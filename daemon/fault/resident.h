/* SPDX-License-Identifier: MIT
 *
 * Faults on pages that are resident: soft faults, and writes to pages that are write-protected.
 */
#ifndef RESIDENT_H
#define RESIDENT_H

#include "fault/seat.h"
#include "fault/target.h"

/* The page is in `frame`. Neighbours in the direction of its thread's run are mapped along with it.
 * *ret_soft: whether it was a soft fault and is answered. *ret_wait: what it waits for
 * (FAULT_WAITS). => O held, dropped */
enum fault_outcome resident_answer(struct fault_server *server, const struct fault *f,
    const struct target *t, uint32_t frame, bool *ret_soft, enum wait_for *ret_wait);

#endif
