/* SPDX-License-Identifier: MIT
 *
 * The bells of ports' handles: port.h says when one is rung. A thread that changes a port notes
 * the handles that have to be rung while it holds the lock of ports, and rings them when it has let
 * go of it.
 */
#ifndef PORT_BELL_H
#define PORT_BELL_H

#include "daemon.h"

/* Drops a reference. The last one gives back what the handle takes of its user's shares, and its
 * reference on the port. No lock held */
void port_handle_put(struct daemon *d, struct port_handle *h);
void port_put(struct daemon *d, struct port *port);
/* Adds the handle to those that this thread rings, if there is a reason to ring it. One that
 * another thread is about to ring is left to it: its client asks only after that. The lock of ports
 * held, here and below */
void bell_ring_locked(struct daemon *d, struct port_handle *h, struct port_handle **ringing);
void bell_ring_senders_locked(struct daemon *d, struct port *port, struct port_handle **ringing);
/* Rings them. A bell whose client does not listen is full, or shut, and that is its affair. No lock
 * held */
void bell_ring_all(struct daemon *d, struct port_handle *ringing);

#endif
