/* SPDX-License-Identifier: MIT
 *
 * Faults on pages without a frame: content is brought in, zeroes or what the pager keeps.
 */
#ifndef CONTENT_H
#define CONTENT_H

#include "fault/seat.h"
#include "fault/target.h"

/* The page has no frame; `slot` says what it is. Its neighbours in the direction of its thread's
 * run are brought in along with it. *ret_wait: what it waits for (FAULT_WAITS). => O held, dropped
 */
enum fault_outcome content_answer(struct fault_server *server, const struct fault *f,
    const struct target *t, uint64_t slot, enum wait_for *ret_wait);

#endif
