/* SPDX-License-Identifier: MIT
 *
 * Events for the program: a thread, "pager-event", with the program's own descriptor table, calls
 * the function that pager_connect was given. The agent only posts events: it has none of the
 * program's descriptors, and must not wait for the function. An event that is posted again before
 * it has been delivered is delivered once, with the last value.
 */
#include "pager_priv.h"

#include <errno.h>
#include <signal.h>

static bool
event_take(struct events *e, enum pager_event *ret_event, uint64_t *ret_value)
{
	bool any = false;

	pthread_mutex_lock(&e->lock);
	while (!e->stopping && e->waiting == 0)
		pthread_cond_wait(&e->changed, &e->lock);
	for (unsigned i = 1; !e->stopping && !any && i < EVENTS_MAX; i++) {
		if (!(e->waiting & 1u << i))
			continue;
		e->waiting &= ~(1u << i);
		*ret_event = (enum pager_event)i;
		*ret_value = e->values[i];
		any = true;
	}
	pthread_mutex_unlock(&e->lock);
	return any;
}

static void *
event_run(void *argument)
{
	struct events *e = argument;
	enum pager_event event;
	uint64_t value;

	pthread_setname_np(pthread_self(), "pager-event");
	while (event_take(e, &event, &value))
		e->function(e->context, event, value);
	return NULL;
}

int
event_start(struct events *e, void (*function)(void *, enum pager_event, uint64_t), void *context)
{
	sigset_t all, old;
	int r;

	e->function = function;
	e->context = context;
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->changed, NULL);
	if (!function)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&e->thread, NULL, event_run, e);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r == EAGAIN ? -ENOMEM : -r;
}

void
event_post(struct events *e, enum pager_event event, uint64_t value)
{
	pthread_mutex_lock(&e->lock);
	e->waiting |= 1u << event;
	e->values[event] = value;
	pthread_cond_signal(&e->changed);
	pthread_mutex_unlock(&e->lock);
}

bool
event_is_self(const struct events *e)
{
	return e->function && pthread_equal(e->thread, pthread_self());
}

void
event_stop(struct events *e)
{
	if (!e->function)
		return;
	pthread_mutex_lock(&e->lock);
	e->stopping = true;
	pthread_cond_signal(&e->changed);
	pthread_mutex_unlock(&e->lock);
	pthread_join(e->thread, NULL);
}
