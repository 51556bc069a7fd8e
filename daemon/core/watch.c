/* SPDX-License-Identifier: MIT
 *
 * Watched threads and their duties. Runs on: each watched thread; the watcher gives duties.
 */
#include "core/watch.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "daemon.h"

_Thread_local struct watch *watch_own;

void
watch_begin(struct watch *w)
{
	CHECK(!watch_own || watch_own == w);
	store_release(&w->tid, (pid_t)syscall(SYS_gettid));
	watch_own = w;
}

void
watch_add(struct daemon *d, struct watch *w, void (*relieve)(struct daemon *d, struct watch *w))
{
	CHECK(relieve != NULL && !w->next);
	w->relieve = relieve;
	w->pulse = &d->pulse;
	w->next = d->watches;
	d->watches = w;
}

bool
watch_relieved(struct watch *w)
{
	unsigned word = w->seen;

	return cas_acq_rel(&w->word, &word, word | WATCH_RELIEVED);
}

void
watch_on_duty(struct watch *w, unsigned lane)
{
	CHECK(lane <= SIDE_LANES);
	w->relieved = false;
	store_relaxed(&w->lane, lane);
}

bool
watch_any_inside(const struct daemon *d)
{
	for (const struct watch *w = d->watches; w; w = w->next)
		if (load_acquire((atomic_uint *)&w->word) & WATCH_INSIDE)
			return true;
	return false;
}

/* --- duties --- */

int
duty_wait(struct daemon *d, struct duty *duty)
{
	int number;

	locks_assert_none();
	lock_acquire(&d->duty_lock);
	while (!duty->is_new && !d->duties_end)
		cond_wait(&d->duty_given, &d->duty_lock);
	number = duty->is_new ? duty->number : DUTY_NONE;
	duty->is_new = false;
	lock_release(&d->duty_lock);
	return number;
}

void
duty_give_locked(struct daemon *d, struct duty *duty, int number)
{
	lock_assert_held(&d->duty_lock);
	CHECK(number >= 0);
	duty->number = number;
	duty->is_new = true;
	cond_broadcast(&d->duty_given);
}

void
duty_end(struct daemon *d, struct duty *duty)
{
	CHECK(duty->number != DUTY_NONE);
	/* What it has ended may have come long after the last beat. */
	pulse_beat(&d->pulse);
	lock_acquire(&d->duty_lock);
	duty->number = DUTY_NONE;
	lock_release(&d->duty_lock);
}

void
duties_stop(struct daemon *d)
{
	CHECK(!d->duties_end);
	lock_acquire(&d->duty_lock);
	d->duties_end = true;
	cond_broadcast(&d->duty_given);
	lock_release(&d->duty_lock);
}
