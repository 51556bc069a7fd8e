/* SPDX-License-Identifier: MIT
 *
 * The control loop has a thread to itself, the main thread. What is marked (L) is that thread's
 * alone, and functions that use it say so here.
 */
#ifndef LOOP_THREAD_H
#define LOOP_THREAD_H

#include <pthread.h>

#include "daemon.h"

static inline void
loop_assert(const struct daemon *d)
{
	CHECK(pthread_equal(pthread_self(), d->loop_thread));
}

#endif
