/* SPDX-License-Identifier: MIT
 *
 * The control loop runs on the main thread and has it to itself. Fields marked (L) belong to that
 * thread alone, and functions that use them call loop_assert.
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
