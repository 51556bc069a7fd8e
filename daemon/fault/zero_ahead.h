/* SPDX-License-Identifier: MIT
 *
 * Filling ahead. Most of a first touch is the page's zeroes, and the thread waits for them. So
 * while a thread runs through new memory, and there is plenty, a server whose processor has no
 * faults of its own fills what comes next. It is asked through its seat, which has one place: where
 * that is taken nothing is filled ahead.
 */
#ifndef ZERO_AHEAD_H
#define ZERO_AHEAD_H

#include "fault/seat.h"

/* A fault that brings fewer pages is not on a run that is worth it. */
#define AHEAD_LEAST 16u

/* A fault on a run has filled a cluster with zeroes. => no lock held */
void zero_ahead_ask(struct fault_server *server, const struct fault *f);
/* => whether the seat has been asked. Runs on: the seat's server */
bool zero_ahead_take(struct fault_seat *seat, struct zero_ahead *ret);
/* Whether memory and time are left for it. */
bool zero_ahead_may(const struct daemon *d);

#endif
