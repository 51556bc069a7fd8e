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

/* Fills a run's next pages with zeroes before they are touched, if that is all that they need.
 * => FAULT_ANSWERED: it has; no lock held */
enum fault_outcome fault_fill_ahead(struct fault_server *server, const struct fault *fault);

#endif
