/* SPDX-License-Identifier: MIT
 *
 * --host-pressure: the machine's memory is looked at, and the daemon's pressure and size follow
 * (memorystatus/host.h).
 */
#ifndef HOST_WATCH_H
#define HOST_WATCH_H

struct daemon;
struct host_watch;

/* Before there are other threads. => 0 or -errno, explained in the log */
int host_watch_start(struct daemon *d);
void host_watch_stop(struct daemon *d);
/* The size that the machine leaves becomes the daemon's. Runs on: the control loop, now and then */
void host_watch_apply(struct daemon *d);

#endif
