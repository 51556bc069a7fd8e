/* SPDX-License-Identifier: MIT
 *
 * Faults that a server puts off, first in, first out: those that find no room for a read, and those
 * that a recording's window holds up. They are in the seat. Runs on: the seat's server.
 */
#ifndef DEFERRED_H
#define DEFERRED_H

#include "fault/seat.h"

/* => 0 or -ENOMEM */
int deferred_create(struct fault_seat *seat);
/* Drops what is still there. */
void deferred_destroy(struct fault_seat *seat);
/* => false: there is no place, or the seat is another server's by now; nothing is kept */
bool deferred_add(struct fault_server *server, const struct fault *fault);
/* Tries each of them again, once. => no lock held */
void deferred_serve(struct fault_server *server);

#endif
