/* SPDX-License-Identifier: MIT
 *
 * Users whose clients delayed calls until they were ended, or several of whose clients are apart.
 * All clients of such a user begin in a side lane: each would cost others the time until it is
 * noticed. Runs on: the watcher; suspects_has and suspects_refuse on any thread. One lock, a leaf.
 */
#ifndef SUSPECTS_H
#define SUSPECTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lock.h"

struct daemon;

#define SUSPECTS_MAX 16u
/* A user with this many clients apart is suspect. */
#define SUSPECT_CLIENTS 3u

struct suspect {
	uid_t uid;
	uint64_t until;         /* tick until which it is suspect */
	uint64_t refused_until; /* tick */
	unsigned ended;         /* clients ended since it became suspect */
	unsigned times_refused;
};

struct suspects {
	struct lock lock;
	uint64_t tick;
	uint64_t until; /* tick after which there are none */
	struct suspect users[SUSPECTS_MAX];
};

void suspects_init(struct suspects *s);
void suspects_fini(struct suspects *s);
/* Ticks of the watcher. */
void suspects_tick(struct suspects *s, uint64_t tick);
/* Whether there are any. Runs on: the watcher */
bool suspects_any(const struct suspects *s);
bool suspects_has(struct suspects *s, uid_t uid);
/* Whether the user gets no connections now. */
bool suspects_refuse(struct suspects *s, uid_t uid);
/* Clients that are not attached cannot be set apart, and the next clients of the same user would
 * delay the next threads. => whether as many of the user's clients as make it suspect have delayed
 * a thread for `ticks` looks by now. Runs on: the watcher */
bool suspects_hold_up_many(const struct daemon *d, uid_t uid, unsigned ticks);
void suspects_add(struct suspects *s, uid_t uid);
/* A client of the user is ended, or a process that has its memory. */
void suspects_ended(struct suspects *s, uid_t uid);

#endif
