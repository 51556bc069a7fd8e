/* SPDX-License-Identifier: MIT
 *
 * Swap on an NBD server. Transfers are handed to the backend's own thread, which answers into the
 * box of the channel that they are from.
 */
#ifndef SWAPSERVER_H
#define SWAPSERVER_H

#include "swapbox.h"

/* r->place.server is the backend, and r->box where the answer goes. Any thread; never waits. */
void swapserver_submit(struct swap_request *r);

#endif
