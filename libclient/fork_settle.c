/* SPDX-License-Identifier: MIT
 *
 * A forked child's first call on its connection, which starts the threads that fork_child.c has not
 * started. Runs on: the caller's threads.
 */
#include "pager_priv.h"

#include <stddef.h>

static int
threads_start(struct pager *p)
{
	struct pager_req_fork_step request = { .step = PAGER_FORK_SETTLED };
	struct chan_call call = { CHAN_CALL(FORK_STEP, &request, &p->forking.step) };
	int r;

	call.reply_bytes_min = offsetof(struct pager_rep_fork_step, regions);
	r = event_start(&p->events, p->events.function, p->events.context);
	if (r < 0)
		return r;
	keeper_init(&p->keeper);
	r = agent_open(&p->agent);
	if (r == 0)
		r = keeper_start(p);
	if (r < 0) {
		event_stop(&p->events);
		p->events.running = p->events.stopping = false;
		agent_shut(&p->agent);
		return r;
	}
	/* From now on the program can close nothing. */
	(void)chan_exchange(&p->chan, &call);
	return 0;
}

int
fork_settle_books(struct pager *p)
{
	int r;

	hold_lock(&p->chan.lock);
	r = fork_collect(p);
	hold_unlock(&p->chan.lock);
	hold_lock(&p->space_lock);
	if (r == 0)
		r = fork_windows(p);
	hold_unlock(&p->space_lock);
	return r;
}

int
fork_settle(struct pager *p)
{
	int cancel_state, r;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	pthread_mutex_lock(&p->settle_lock);
	r = 0;
	if (atomic_load_explicit(&p->light, memory_order_relaxed)) {
		r = fork_settle_books(p);
		if (r == 0)
			r = threads_start(p);
		if (r == 0)
			atomic_store_explicit(&p->light, false, memory_order_release);
	}
	pthread_mutex_unlock(&p->settle_lock);
	pthread_setcancelstate(cancel_state, NULL);
	return r;
}
