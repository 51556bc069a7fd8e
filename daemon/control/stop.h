/* SPDX-License-Identifier: MIT
 *
 * The daemon's end depends on nobody. If not everything has ended STOP_NS after the daemon was
 * told to stop, because a client delays a call that a thread is in, the process ends all the same,
 * and removes the socket's name and the swap files first.
 */
#ifndef STOP_H
#define STOP_H

#include <stdbool.h>

struct daemon;

#define STOP_NS 4000000000ull

/* name_remove takes the socket's name away. is_private: --private. => 0 or -errno */
int stop_create(struct daemon *d, void (*name_remove)(struct daemon *d), bool is_private);
/* Whether the daemon is one run's: its clients, and the directory of its socket, end with it. */
bool stop_is_private(const struct daemon *d);
/* Sends SIGKILL to the clients that are known. => whether there are any, children that are being
 * forked among them */
bool stop_kill_clients(struct daemon *d);
/* The time runs from now on. Any thread. */
void stop_begin(struct daemon *d);
/* All threads have been waited for: the rest does not take long. */
void stop_end(struct daemon *d);

#endif
