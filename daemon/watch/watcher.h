/* SPDX-License-Identifier: MIT
 *
 * The watch over calls that a client can delay. A userfaultfd call waits for the lock of the
 * client's address space, and a punch in its memory for the lock of the memfd's inode; the client
 * decides for how long. So a thread on which many clients depend announces the client before such
 * a call (watch_client), and is inside of it between watch_enter and watch_leave. The watcher, a
 * thread of its own, looks every WATCH_TICK_MS milliseconds, and
 *
 * - sets apart a client that was found blocking often, or once for long: it moves to a side lane,
 *   with servers, workers and jobs for such clients only (struct task: lane). There it waits for
 *   itself. After a while, which gets longer each time, it comes back;
 * - relieves a thread of the common lane that does not come back: another one takes over its duty,
 *   that is all that it has not begun. When the thread does come back it learns of this
 *   (watch_is_relieved), finishes what it has begun and takes up nothing else;
 * - ends the client after the time in tbl/watch_call.h and, if that does not help, other processes
 *   that hold the memfd's lock. A user of whom several clients have been ended gets no connections
 *   for a while, which gets longer each time.
 *
 * The watcher counts only looks that found the thread asleep: for a thread without a processor the
 * client is not to blame.
 */
#ifndef WATCHER_H
#define WATCHER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/watch.h"

struct daemon;
struct task;

/* The lane in which a new client of that user begins. Any thread */
unsigned watch_lane_of(struct daemon *d, uid_t uid);
/* Whether the user gets no connections for a while, because its clients had to be ended lately. Any
 * thread */
bool watch_refuses(struct daemon *d, uid_t uid);

int watch_create(struct daemon *d);
int watch_start(struct daemon *d);
/* One look at all threads, and what follows from it. Runs on: the watcher */
void watch_look(struct daemon *d);
/* The daemon stops: a client that delays a call for two seconds is ended. Any thread. */
void watch_hasten(struct daemon *d);
void watch_stop(struct daemon *d);
/* => stopped, and all watched threads have ended */
void watch_destroy(struct daemon *d);

#endif
