/* SPDX-License-Identifier: MIT
 *
 * What files about ports call in one another.
 */
#ifndef PORT_PRIV_H
#define PORT_PRIV_H

#include <time.h>

#include "pager_priv.h"

/* Whether the port and its connection can be used. => 0 or -errno */
int port_check(const struct pager_port *port);

/* How long a call waits for its port's bell. */
struct patience {
	int timeout_ms;        /* the caller's */
	bool is_hung_up;       /* the bell was found hung up before */
	int cancel_state;      /* the caller's, for the time that it waits */
	struct timespec until; /* with a time-out above 0 */
};

/* The call begins, and cannot be cancelled but while it waits: the caller gives its thread
 * cancel_state back. */
struct patience patience_begin(int timeout_ms);
/* To be called before each request: the daemon rings after it if there is a reason. */
void bell_empty(const struct pager_port *port);
/* Waits until it is rung. => 0: it is worth asking again; or what the caller is told */
int bell_wait(const struct pager_port *port, struct patience *patience);

#endif
