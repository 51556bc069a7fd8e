/* SPDX-License-Identifier: MIT
 *
 * Faults on stored pages, and reads of those that are away. Runs on: fault servers.
 */
#ifndef SWAPIN_H
#define SWAPIN_H

#include "fault/seat.h"

/* FAULT_ANSWERED, or FAULT_NO_IO with the fill aborted; hands over to swapin_start where the first
 * is away. */
enum fault_outcome fill_stored(
    struct fault_server *server, const struct fault *fault, struct fill *fill);
enum fault_outcome swapin_start(
    struct fault_server *server, const struct fault *fault, struct fill *fill);
void swapin_reap(struct fault_server *server);
/* Entries that a relieved server has left behind are free again. Runs on: the seat's server */
void swapin_collect(struct fault_seat *seat);

#endif
