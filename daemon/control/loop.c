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

#include "control/accept.h"
#include "control/gauges.h"
#include "core/closer.h"
#include "control/connection.h"
#include "control/jobs.h"
#include "control/listen.h"
#include "control/names.h"
#include "control/stop.h"
#include "fault/direct.h"
#include "pageq/cost.h"
#include "watch/watcher.h"

#define REFRESH_MS   100
#define COST_TICKS   20 /* of these ticks */
#define SILENT_TICKS 10

struct control {
	struct daemon *daemon;
	uv_loop_t loop;
	struct listening listening;
	struct acceptor acceptor;
	uv_signal_t stop[3];
	uv_async_t jobs_finished;
	uv_timer_t refresh;
	unsigned ticks; /* of refresh */
	bool stopping;
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
}

static void
names_have_gone(struct daemon *d)
{
	loop_assert(d);
	uv_stop(&d->control->loop);
}

static void
all_have_gone(struct daemon *d)
{
	loop_assert(d);
	CHECK(d->control->stopping && d->control->connections.count == 0);
	names_end(d, names_have_gone);
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
	stop_begin(d);
	watch_hasten(d);
	acceptor_stop(&control->acceptor);
	connections_end(&control->connections, all_have_gone);
}

static void
refresh(uv_timer_t *timer)
{
	struct control *control = timer->data;

	loop_assert(control->daemon);
	log_limits_tell(false);
	gauges_refresh(control->daemon);
	direct_refresh(control->daemon);
	latency_refresh(control->daemon, REFRESH_MS);
	if (exchange_acq_rel(&control->daemon->tasks_end_wanted, false))
		connections_end_wanted(&control->connections);
	if (++control->ticks % COST_TICKS == 0)
		cost_refresh(control->daemon);
	if (control->ticks % SILENT_TICKS == 0) {
		connections_end_silent(&control->connections);
		processes_sweep(control->daemon);
	}
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
	error = listen_open(&d->options, &control->listening, message, message_size);
	if (error) {
		free(control);
		d->control = NULL;
		return error;
	}
	CHECK(uv_loop_init(&control->loop) == 0);
	CHECK(names_create(d, &control->loop) == 0);
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
	uv_timer_init(&control->loop, &control->refresh);
	control->refresh.data = control;
	uv_timer_start(&control->refresh, refresh, REFRESH_MS, REFRESH_MS);
	return 0;
}

void
control_run(struct daemon *d)
{
	loop_assert(d);
	uv_run(&d->control->loop, UV_RUN_DEFAULT);
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
	control_name_remove(d);
	/* Connections that nobody has accepted go with it, and all that has been sent to them. */
	closer_close(d, control->listening.fd, getpid(), geteuid());
	free(control);
}
