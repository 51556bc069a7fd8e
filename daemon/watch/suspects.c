/* SPDX-License-Identifier: MIT
 *
 * Users that are suspect.
 */
#include "watch/suspects.h"

#include <unistd.h>

#include "check.h"
#include "core/watch.h"
#include "daemon.h"
#include "log.h"
#include "vm/task.h"

#define SUSPECT_TICKS (60000u / WATCH_TICK_MS)
/* A suspect user of whom this many clients have been ended gets no connections for a while, and
 * for twice as long each further time: even in a side lane each of them would cost others
 * something. */
#define REFUSED_CLIENTS 3u
#define REFUSED_TICKS   (1000u / WATCH_TICK_MS)
#define REFUSED_TIMES   6u

void
suspects_init(struct suspects *s)
{
	*s = (struct suspects){ .tick = 0 };
	lock_init(&s->lock, RANK_JOBS);
}

void
suspects_fini(struct suspects *s)
{
	lock_fini(&s->lock);
}

void
suspects_tick(struct suspects *s, uint64_t tick)
{
	lock_acquire(&s->lock);
	CHECK(tick >= s->tick);
	s->tick = tick;
	lock_release(&s->lock);
}

bool
suspects_any(const struct suspects *s)
{
	return s->until > s->tick;
}

bool
suspects_has(struct suspects *s, uid_t uid)
{
	bool found = false;

	lock_acquire(&s->lock);
	for (unsigned i = 0; i < SUSPECTS_MAX; i++)
		found |= s->users[i].until > s->tick && s->users[i].uid == uid;
	lock_release(&s->lock);
	return found;
}

bool
suspects_refuse(struct suspects *s, uid_t uid)
{
	bool refuses = false;

	lock_acquire(&s->lock);
	for (unsigned i = 0; i < SUSPECTS_MAX; i++)
		refuses |= s->users[i].uid == uid && s->users[i].refused_until > s->tick;
	lock_release(&s->lock);
	return refuses;
}

/* The user's entry: its own, or else the one whose time ends first. */
static struct suspect *
suspect_locked(struct suspects *s, uid_t uid)
{
	struct suspect *user = &s->users[0];

	lock_assert_held(&s->lock);
	for (unsigned i = 0; i < SUSPECTS_MAX; i++) {
		if (s->users[i].uid == uid) {
			user = &s->users[i];
			break;
		}
		if (s->users[i].until < user->until)
			user = &s->users[i];
	}
	if (user->uid != uid || user->until <= s->tick)
		*user = (struct suspect){ .uid = uid };
	user->until = max_u64(user->until, s->tick + SUSPECT_TICKS);
	s->until = max_u64(s->until, user->until);
	return user;
}

void
suspects_add(struct suspects *s, uid_t uid)
{
	lock_acquire(&s->lock);
	(void)suspect_locked(s, uid);
	lock_release(&s->lock);
}

void
suspects_ended(struct suspects *s, uid_t uid)
{
	struct suspect *user;
	uint64_t ticks = 0;
	unsigned ended;

	lock_acquire(&s->lock);
	user = suspect_locked(s, uid);
	CHECK(user->times_refused <= REFUSED_TIMES);
	ended = ++user->ended;
	/* Clients that connected before their user was refused do not make it refused for longer.
	 */
	if (ended >= REFUSED_CLIENTS && user->refused_until <= s->tick) {
		ticks = (uint64_t)REFUSED_TICKS << user->times_refused;
		user->times_refused += user->times_refused < REFUSED_TIMES;
		user->refused_until = s->tick + ticks;
		user->until = user->refused_until + SUSPECT_TICKS;
		s->until = max_u64(s->until, user->until);
	}
	lock_release(&s->lock);
	if (ticks > 0 && uid != 0 && uid != geteuid())
		log_warning_limited("user %u gets no further connections for %u s: %u of its "
				    "clients have delayed calls of the daemon until they were "
				    "ended",
		    (unsigned)uid, (unsigned)(ticks * WATCH_TICK_MS / 1000), ended);
}

bool
suspects_hold_up_many(const struct daemon *d, uid_t uid, unsigned ticks)
{
	unsigned count = 0;

	CHECK(d->watcher);
	for (const struct watch *w = d->watches; w; w = w->next) {
		struct task *task =
		    w->ticks >= ticks
			? task_find_cookie((struct daemon *)(uintptr_t)d, load_relaxed(&w->client))
			: NULL;

		if (!task)
			continue;
		count += task->uid == uid && load_acquire(&task->state) == TASK_ATTACHING;
		task_put(task);
	}
	return count >= SUSPECT_CLIENTS;
}
