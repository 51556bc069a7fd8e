/* SPDX-License-Identifier: MIT
 *
 * Events for the program: a thread, "pager-event", with the program's own descriptor table, calls
 * the function that pager_connect was given. The agent only posts events: it has none of the
 * program's descriptors, and must not wait for the function. An event that is posted again before
 * it has been delivered is delivered once, with the last value; limits on entries of the ledger are
 * events of their own.
 */
#include "pager_priv.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

/* Which event it is: its place. An entry that this library does not know is one of the process's
 * limits to it. */
static unsigned
place_of(enum pager_event event, uint64_t value)
{
	uint64_t entry = PAGER_AGENT_LIMIT_ENTRY(value);

	return event == PAGER_EVENT_LIMIT && entry > 0 && entry <= PAGER_LEDGER_COUNT
		   ? EVENTS_MAX - 1 + (unsigned)entry
		   : (unsigned)event;
}

static bool
event_take(struct events *e, enum pager_event *ret_event, uint64_t *ret_value)
{
	bool any = false;

	hold_lock(&e->lock);
	while (!e->stopping && e->waiting == 0)
		pthread_cond_wait(&e->changed, &e->lock);
	for (unsigned i = 1; !e->stopping && !any && i < EVENT_PLACES; i++) {
		if (!(e->waiting & 1ull << i))
			continue;
		e->waiting &= ~(1ull << i);
		*ret_event = i < EVENTS_MAX ? (enum pager_event)i : PAGER_EVENT_LIMIT;
		*ret_value = e->values[i];
		any = true;
	}
	hold_unlock(&e->lock);
	return any;
}

int
notice_done(struct pager *p)
{
	struct pager_req_pressure_done request = { 0 };
	struct pager_rep_pressure_done reply;
	struct chan_call call = { CHAN_CALL(PRESSURE_DONE, &request, &reply) };

	return chan_exchange(&p->chan, &call);
}

static void
notice_deliver(struct pager *p, uint64_t value)
{
	struct events *e = &p->events;
	enum pager_pressure level = (enum pager_pressure)PAGER_AGENT_PRESSURE_LEVEL(value);
	struct fd_note note;
	uint64_t one = 1;
	int fd;

	hold_lock(&e->lock);
	e->has_notice = true;
	e->pressure = level;
	fd = e->notice_fd;
	note = e->notice_note;
	hold_unlock(&e->lock);
	if (fd_is_noted(fd, &note))
		while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
			continue;
	if (!e->function)
		return;
	e->function(e->context, PAGER_EVENT_PRESSURE, (uint64_t)level);
	/* If that fails the daemon is gone, and there is nobody to tell. */
	(void)notice_done(p);
}

static struct pager *
pager_of(struct events *e)
{
	return (struct pager *)(void *)((char *)e - offsetof(struct pager, events));
}

static void *
event_main(void *argument)
{
	struct events *e = argument;
	enum pager_event event;
	uint64_t value;

	pthread_setname_np(pthread_self(), "pager-event");
	while (event_take(e, &event, &value)) {
		if (event == PAGER_EVENT_PRESSURE)
			notice_deliver(pager_of(e), value);
		else if (e->function)
			e->function(e->context, event, value);
	}
	return NULL;
}

int
event_start(struct events *e, void (*function)(void *, enum pager_event, uint64_t), void *context)
{
	e->function = function;
	e->context = context;
	e->notice_fd = -1;
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->changed, NULL);
	return function ? event_run(e) : 0;
}

int
event_run(struct events *e)
{
	sigset_t all, old;
	bool is_running;
	int r;

	hold_lock(&e->lock);
	is_running = e->running;
	/* What was posted while nobody listened is of no interest any more. */
	if (!is_running)
		e->waiting = 0;
	e->running = true;
	hold_unlock(&e->lock);
	if (is_running)
		return 0;
	/* libc takes memory for it, which may be in a window (hold.h). */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&e->thread, NULL, event_main, e);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r != 0) {
		hold_lock(&e->lock);
		e->running = false;
		hold_unlock(&e->lock);
	}
	return r == EAGAIN ? -ENOMEM : -r;
}

void
event_post(struct events *e, enum pager_event event, uint64_t value)
{
	unsigned place = place_of(event, value);

	hold_lock(&e->lock);
	e->waiting |= 1ull << place;
	e->values[place] = value;
	pthread_cond_signal(&e->changed);
	hold_unlock(&e->lock);
}

bool
event_is_self(const struct events *e)
{
	return e->running && pthread_equal(e->thread, pthread_self());
}

void
event_stop(struct events *e)
{
	if (!e->running)
		return;
	hold_lock(&e->lock);
	e->stopping = true;
	pthread_cond_signal(&e->changed);
	hold_unlock(&e->lock);
	pthread_join(e->thread, NULL);
}
