/* SPDX-License-Identifier: MIT
 *
 * A well-behaved client beside what a test does: it reads and writes twice the daemon's memory,
 * verifies every page that it reads, and asks for its statistics now and then.
 */
#ifndef LIVE_HONEST_H
#define LIVE_HONEST_H

#include <stdatomic.h>

#include "harness.h"

struct honest {
	atomic_bool stop;
	_Atomic uint64_t touches; /* pages verified and written again, since all were filled */
	pid_t pid;
};

/* The client's process; the argument is a shared struct honest. */
void honest_client(struct live *d, void *argument);
/* => its pages are filled, and it has begun to touch them */
struct honest *honest_start(struct live *d);
/* Waits until it has touched this many pages more. */
void honest_wait(struct live *d, struct honest *h, uint64_t touches);
/* It ends well, with every page as it was written. */
void honest_stop(struct live *d, struct honest *h);

#endif
