/* SPDX-License-Identifier: MIT
 *
 * The libuv loop: it, accept.c and session.c alone know uv.h. Runs on: the main thread.
 */
#include "control/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "control/accept.h"
#include "control/gauges.h"
#include "core/closer.h"
#include "control/connection.h"
#include "control/freezer.h"
#include "control/jobs.h"
#include "control/listen.h"
#include "control/names.h"
#include "control/stop.h"
#include "fault/direct.h"
#include "memorystatus/host_watch.h"
#include "pageq/cost.h"
#include "takeover/takeover.h"
#include "watch/watcher.h"
#include "record/profiles.h"

#define REFRESH_MS   100
#define COST_TICKS   20 /* of these ticks */
#define SILENT_TICKS 10
/* Of these ticks: for so long a private daemon waits for its clients' ends. */
#define KILL_TICKS 30

struct control {
	struct daemon *daemon;
	uv_loop_t loop;
	struct listening listening;
	struct acceptor acceptor;
	uv_signal_t stop[3];
	uv_async_t jobs_finished;
	uv_timer_t refresh;
	uv_async_t woken;     /* by a beat of the pulse: the timer goes on */
	uv_async_t rested;    /* by another timer that rests: gauges may have changed */
	unsigned quiet_ticks; /* in which the pulse was not beaten */
	unsigned ticks;       /* of refresh */
	bool stopping;
	bool hands_over;
	unsigned kill_ticks; /* still to wait; 0: no client's end is waited for */
	struct connections connections;
};

static void
jobs_are_finished(uv_async_t *async)
{
	struct control *control = async->data;
	struct job *job;

	loop_assert(control->daemon);
	while ((job = jobs_collect(control->daemon)) != NULL)
		job->done(job);
	pulse_beat(&control->daemon->pulse);
}

void
control_job_finished(void *context)
{
	struct daemon *d = context;

	CHECK(d->control);
	uv_async_send(&d->control->jobs_finished);
}

static void
accepted(void *context, int fd)
{
	struct control *control = context;

	loop_assert(control->daemon);
	connection_open(&control->connections, fd);
	pulse_beat(&control->daemon->pulse);
}

static void
names_have_gone(struct daemon *d)
{
	loop_assert(d);
	uv_stop(&d->control->loop);
}

static void
freezer_has_ended(struct daemon *d)
{
	names_end(d, names_have_gone);
}

static void
all_have_gone(struct daemon *d)
{
	loop_assert(d);
	CHECK(d->control->stopping && d->control->connections.count == 0);
	freezer_end(d, freezer_has_ended);
}

static void
stop(struct control *control)
{
	struct daemon *d = control->daemon;

	loop_assert(d);
	stop_begin(d);
	watch_hasten(d);
	connections_end(&control->connections, all_have_gone);
}

static void
stop_requested(uv_signal_t *handle, int signal)
{
	struct control *control = handle->data;
	struct daemon *d = control->daemon;

	loop_assert(d);
	if (control->stopping)
		return;
	log_notice("stopping on SIG%s", sigabbrev_np(signal));
	control->stopping = true;
	pulse_beat(&d->pulse);
	acceptor_stop(&control->acceptor);
	if (stop_is_private(d) && stop_kill_clients(d))
		control->kill_ticks = KILL_TICKS;
	else
		stop(control);
}

/* Children that were being forked come to be known, and processes go. */
static void
killed_look(struct control *control)
{
	loop_assert(control->daemon);
	if (control->kill_ticks == 0)
		return;
	if (!stop_kill_clients(control->daemon))
		control->kill_ticks = 1;
	if (--control->kill_ticks == 0)
		stop(control);
}

/* Whether something is to be done at a later tick, whatever the others do. */
static bool
is_timed(struct control *control)
{
	struct daemon *d = control->daemon;
	unsigned late, waiting;

	loop_assert(d);
	closer_counts(d, &late, &waiting);
	return late > 0 || waiting > 0 || control->stopping || d->latency.fd >= 0 ||
	       load_acquire(&d->tasks_end_wanted) || log_limits_are_left() || direct_is_busy(d) ||
	       processes_sweep(d) || groups_sweep(d) || profiles_sweep(d) ||
	       connections_are_timed(&control->connections);
}

/* Stops this timer, and has the others stop, when nothing has moved for a while. */
static void
rest(struct control *control)
{
	struct daemon *d = control->daemon;
	uint64_t after = param(d, rest_after_ms);

	loop_assert(d);
	control->quiet_ticks = pulse_tick(&d->pulse) ? 0 : control->quiet_ticks + 1;
	if (after == 0 || control->quiet_ticks < after / REFRESH_MS || is_timed(control) ||
	    !pulse_stop(&d->pulse))
		return;
	stat_resting(&d->stats, 1);
	uv_timer_stop(&control->refresh);
}

static void
wake(void *argument)
{
	uv_async_send(&((struct control *)argument)->woken);
}

static void
refresh(uv_timer_t *timer)
{
	struct control *control = timer->data;

	loop_assert(control->daemon);
	log_limits_tell(false);
	killed_look(control);
	gauges_refresh(control->daemon);
	freezer_look(control->daemon);
	host_watch_apply(control->daemon);
	direct_refresh(control->daemon);
	latency_refresh(control->daemon, REFRESH_MS);
	if (exchange_acq_rel(&control->daemon->tasks_end_wanted, false))
		connections_end_wanted(&control->connections);
	if (++control->ticks % COST_TICKS == 0)
		cost_refresh(control->daemon);
	if (control->ticks % SILENT_TICKS == 0) {
		connections_end_silent(&control->connections);
		connections_look_at_forks(&control->connections);
		(void)processes_sweep(control->daemon);
		(void)groups_sweep(control->daemon);
		(void)profiles_sweep(control->daemon);
	}
	rest(control);
}

static void
others_rest(void *argument)
{
	uv_async_send(&((struct control *)argument)->rested);
}

static void
timer_rests(uv_async_t *async)
{
	struct control *control = async->data;

	loop_assert(control->daemon);
	gauges_refresh(control->daemon);
}

static void
timer_goes_on(uv_async_t *async)
{
	struct control *control = async->data;

	loop_assert(control->daemon);
	if (uv_is_active((uv_handle_t *)&control->refresh))
		return;
	stat_resting(&control->daemon->stats, -1);
	control->quiet_ticks = 0;
	uv_timer_start(&control->refresh, refresh, REFRESH_MS, REFRESH_MS);
}

/* The keeper's, or a new one. => 0, or -errno with a message */
static int
listener_open(struct daemon *d, struct listening *ret, char *message, size_t message_size)
{
	int fd = keeper_take(d->keeper, KEPT_LISTENER, 0), error;

	loop_assert(d);
	if (fd >= 0) {
		listen_take_over(&d->options, fd, ret);
		return 0;
	}
	error = listen_open(&d->options, ret, message, message_size);
	if (!error && d->keeper)
		keeper_keep(d->keeper, KEPT_LISTENER, 0, ret->fd);
	return error;
}

int
control_create(struct daemon *d, char *message, size_t message_size)
{
	struct control *control = calloc(1, sizeof(*control));
	int error;

	CHECK(!d->control);
	if (!control)
		return -ENOMEM;
	d->control = control;
	control->daemon = d;
	error = listener_open(d, &control->listening, message, message_size);
	if (error) {
		free(control);
		d->control = NULL;
		return error;
	}
	CHECK(uv_loop_init(&control->loop) == 0);
	CHECK(names_create(d, &control->loop) == 0);
	CHECK(freezer_create(d) == 0);
	control->connections.daemon = d;
	control->connections.loop = &control->loop;
	acceptor_start(
	    &control->acceptor, d, &control->loop, control->listening.fd, accepted, control);
	for (unsigned i = 0; i < ARRAY_LEN(control->stop); i++) {
		/* SIGQUIT comes from a key of the terminal: it must leave neither swap files nor a
		 * core with the clients' memory. */
		static const int signals[ARRAY_LEN(control->stop)] = { SIGTERM, SIGINT, SIGQUIT };

		uv_signal_init(&control->loop, &control->stop[i]);
		control->stop[i].data = control;
		uv_signal_start(&control->stop[i], stop_requested, signals[i]);
	}
	uv_async_init(&control->loop, &control->jobs_finished, jobs_are_finished);
	control->jobs_finished.data = control;
	uv_async_init(&control->loop, &control->woken, timer_goes_on);
	control->woken.data = control;
	uv_async_init(&control->loop, &control->rested, timer_rests);
	control->rested.data = control;
	pulse_hear(&d->pulse, others_rest, control);
	pulse_join(&d->pulse, wake, control);
	uv_timer_init(&control->loop, &control->refresh);
	control->refresh.data = control;
	uv_timer_start(&control->refresh, refresh, REFRESH_MS, REFRESH_MS);
	return 0;
}

void
control_take_over(struct daemon *d)
{
	struct keeper_link *link = d->keeper;
	struct stat_shard shard = stats_shard(&d->stats, shard_index_extra(d, SHARD_CONTROL));
	uint64_t waited_ns = 0;

	loop_assert(d);
	if (!link)
		return;
	for (struct successor *s; (s = d->successors) != NULL;) {
		pid_t pid = s->task->pid;
		int error = connection_take_over(&d->control->connections, s->task, s->socket);

		if (error)
			log_warning_limited(
			    "process %d was not taken over: %s", (int)pid, strerror(-error));
		d->successors = s->next;
		free(s);
	}
	names_take_over(d);
	keeper_forget_rest(link);
	if (link->died_ns)
		waited_ns = clock_now_ns() - link->died_ns;
	store_relaxed(&d->takeover_ns, link->waited_ns + waited_ns);
	stat_add(shard, STAT_TAKEOVERS, link->takeovers);
	stat_add(shard, STAT_TAKEOVER_NS, link->waited_ns + waited_ns);
	keeper_ready(link, waited_ns);
}

void
control_run(struct daemon *d)
{
	loop_assert(d);
	uv_run(&d->control->loop, UV_RUN_DEFAULT);
}

void
control_hand_over(struct daemon *d)
{
	loop_assert(d);
	d->control->hands_over = true;
	uv_stop(&d->control->loop);
}

bool
control_hands_over(const struct daemon *d)
{
	loop_assert(d);
	return d->control->hands_over;
}

void
control_name_remove(struct daemon *d)
{
	CHECK(d->control);
	listen_name_remove(&d->options, &d->control->listening);
}

static void
close_handle(uv_handle_t *handle, void *ignored)
{
	(void)ignored;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

void
control_destroy(struct daemon *d)
{
	struct control *control = d->control;

	loop_assert(d);
	CHECK(control->connections.count == 0);
	uv_walk(&control->loop, close_handle, NULL);
	uv_run(&control->loop, UV_RUN_DEFAULT);
	uv_loop_close(&control->loop);
	acceptor_fini(&control->acceptor);
	names_destroy(d);
	freezer_destroy(d);
	control_name_remove(d);
	/* Connections that nobody has accepted go with it, and all that has been sent to them. */
	closer_close(d, control->listening.fd, getpid(), geteuid());
	free(control);
}
