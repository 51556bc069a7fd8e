/* SPDX-License-Identifier: MIT
 *
 * The daemon's end does not depend on anybody: what has not ended STOP_NS after it was told to
 * stop, because a thread is in a call that a client makes last, ends with the process. The socket's
 * name and the swap files are removed then too.
 */
#ifndef STOP_H
#define STOP_H

struct daemon;

#define STOP_NS 4000000000ull

/* name_remove takes the socket's name away. => 0 or -errno */
int stop_create(struct daemon *d, void (*name_remove)(struct daemon *d));
/* The time runs from now on. Any thread. */
void stop_begin(struct daemon *d);
/* All threads have been waited for: what is left does not take long. */
void stop_end(struct daemon *d);

#endif
