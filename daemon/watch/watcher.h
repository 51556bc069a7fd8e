/* SPDX-License-Identifier: MIT
 *
 * The watch over calls that a client can make last. A userfaultfd call waits for the lock of the
 * client's address space, a hole in its memory for the lock of the memfd's inode, and the client
 * decides for how long. So threads that many clients depend on say before such a call whose it is
 * (watch_client) and are inside of it between watch_enter and watch_leave; the watcher, a thread of
 * its own, looks every WATCH_TICK_MS milliseconds and
 *
 *   moves a client that was met blocking often, or once for long, to a side lane: servers, workers
 *     and jobs that serve such clients only (struct task: lane). There it waits for itself.
 *     After a while that gets longer each time it comes back;
 *   relieves a thread of the common lane that does not come back: another takes its duty over, with
 *     all that it has not begun. The thread learns of it when it does come back
 *     (watch_is_relieved), ends what it is at and takes up nothing else;
 *   ends the client after the time that tbl/watch_call.h states, and whoever else holds the memfd's
 *   lock if that does not help. A user of whom several have been ended gets no connections for
 *     a while, which gets longer each time.
 *
 * The watcher counts only looks that found the thread asleep: one that has no processor is not the
 * client's doing.
 */
#ifndef WATCHER_H
#define WATCHER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/watch.h"

struct daemon;
struct task;

#define WATCH_TICK_MS 25u

/* The lane in which a new client of that user begins. Any thread */
unsigned watch_lane_of(struct daemon *d, uid_t uid);
/* Whether so many clients of that user had to be ended lately that it gets no further connections
 * for a while. Any thread */
bool watch_refuses(struct daemon *d, uid_t uid);

int watch_create(struct daemon *d);
int watch_start(struct daemon *d);
/* One look at all threads, and what follows from it. Runs on: the watcher */
void watch_look(struct daemon *d);
/* The daemon stops: whoever holds a call up for two seconds is ended. Any thread. */
void watch_hasten(struct daemon *d);
void watch_stop(struct daemon *d);
/* => stopped, and all who were watched have ended */
void watch_destroy(struct daemon *d);

#endif
