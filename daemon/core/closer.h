/* SPDX-License-Identifier: MIT
 *
 * Closing descriptors that came from clients. The last close(2) of a descriptor runs the end of
 * whatever it names in the thread that closes: a TCP socket lingers, a file of a user's own file
 * system is flushed by that user's program, a userfaultfd waits for the lock of its process's
 * address space, and a unix socket lets go of everything unread in its queue. So the maker of the
 * descriptor decides how long that takes. Therefore no thread that others depend on closes one:
 * descriptors are handed in here and closed by threads that nobody waits for.
 *
 * One thread closes, one stands by. When a close(2) has not come back after CLOSER_LATE_NS, the one
 * that stands by goes on with the rest. One user can keep some of the threads occupied in this way,
 * but not all. The rest of that user's descriptors are set aside until one of the threads comes
 * back, and the user gets no further connections meanwhile.
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
/* Whether too many descriptors of that user are stuck for another connection. */
bool closer_refuses(struct daemon *d, uid_t uid);
/* Close calls that are late now, and descriptors that wait for one. */
void closer_counts(struct daemon *d, unsigned *ret_late, unsigned *ret_waiting);
/* Ends the threads, after what can be closed in little time. => false: some do not come back: they
 * go on using the daemon's memory, and end with the process. Nobody hands anything in any more. */
bool closer_stop(struct daemon *d);

#endif
