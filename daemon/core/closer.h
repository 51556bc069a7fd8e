/* SPDX-License-Identifier: MIT
 *
 * Closing what came from clients. The last close(2) of a descriptor runs the end of whatever it
 * names in the thread that closes: a TCP socket lingers, a file of a user's own file system is
 * flushed by that user's program, a userfaultfd waits for the lock of its process's address space,
 * and a unix socket lets go of all that lies unread in its queue. So who made the descriptor
 * decides how long it takes, and no thread that others depend on closes one: it is handed in here,
 * and closed by threads that nobody waits for.
 *
 * One thread closes, one stands by. When a close(2) has not come back after CLOSER_LATE_NS, the one
 * that stands by goes on with the rest. Some of the threads can be lost so to one user, not all;
 * what that user has besides is set aside until one of them comes back, and he gets no further
 * connections meanwhile.
 */
#ifndef CLOSER_H
#define CLOSER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CLOSER_THREADS  8u
#define CLOSER_USER_MAX 4u /* threads that descriptors of one user may keep */
#define CLOSER_LATE_NS  50000000ull

struct daemon;

/* => the limit on descriptors (RLIMIT_NOFILE) does not grow any more */
int closer_create(struct daemon *d);
/* Takes over a descriptor (-1: none) that came from that process, or stands for it. Never waits,
 * never allocates. Any thread, no lock held. */
void closer_close(struct daemon *d, int fd, pid_t pid, uid_t uid);
/* Whether that user has so many descriptors stuck that he gets no further connection. */
bool closer_refuses(struct daemon *d, uid_t uid);
/* Close calls that are late now, and descriptors that wait for one. */
void closer_counts(struct daemon *d, unsigned *ret_late, unsigned *ret_waiting);
/* Ends the threads, after what can be closed in little time. => false: some do not come back: they
 * go on using the daemon's memory, and end with the process. Nobody hands anything in any more. */
bool closer_stop(struct daemon *d);

#endif
