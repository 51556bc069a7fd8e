/* SPDX-License-Identifier: MIT
 *
 * The last resort at the daemon's end. Runs on: its own thread, which does nothing else.
 */
#include "control/stop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "control/listen.h"
#include "core/closer.h"
#include "daemon.h"
#include "own.h"
#include "pagers/vnode_lost.h"
#include "vm/task.h"

struct stop {
	struct daemon *daemon;
	void (*name_remove)(struct daemon *d); /* (C) */
	bool is_private;                       /* (C) */
	pthread_t thread;
	struct lock lock;
	struct cond cond;  /* waited for by the thread, signalled by stop_begin and stop_end */
	bool begun, ended; /* under lock */
};

static void NORETURN
end_by_force(struct daemon *d)
{
	unsigned late, waiting, tasks;

	CHECK(d->stop);
	closer_counts(d, &late, &waiting);
	lock_acquire(&d->tasks.lock);
	tasks = d->tasks.count;
	lock_release(&d->tasks.lock);
	vnode_lost_tell_all(d);
	log_limits_tell(true);
	log_warning_limited("not everything has ended in time (%u sessions are not taken apart "
			    "yet, %u close calls have not come back): the "
			    "daemon ends without waiting for them",
	    tasks, late);
	d->stop->name_remove(d);
	if (d->swap)
		swap_abandon(d->swap);
	if (d->stop->is_private)
		listen_directory_remove(&d->options);
	_exit(0);
}

static void *
stop_main(void *argument)
{
	struct stop *stop = argument;
	bool in_time = true;

	own_thread("stop");
	lock_acquire(&stop->lock);
	while (!stop->begun && !stop->ended)
		cond_wait(&stop->cond, &stop->lock);
	while (!stop->ended && in_time)
		in_time = cond_wait_for(&stop->cond, &stop->lock, STOP_NS);
	in_time = stop->ended;
	lock_release(&stop->lock);
	if (!in_time)
		end_by_force(stop->daemon);
	return NULL;
}

int
stop_create(struct daemon *d, void (*name_remove)(struct daemon *d), bool is_private)
{
	struct stop *stop = calloc(1, sizeof(*stop));

	CHECK(!d->stop && name_remove);
	if (!stop)
		return -ENOMEM;
	stop->daemon = d;
	stop->name_remove = name_remove;
	stop->is_private = is_private;
	lock_init(&stop->lock, RANK_JOBS);
	cond_init(&stop->cond);
	d->stop = stop;
	return -pthread_create(&stop->thread, NULL, stop_main, stop);
}

bool
stop_is_private(const struct daemon *d)
{
	CHECK(d->stop);
	return d->stop->is_private;
}

bool
stop_kill_clients(struct daemon *d)
{
	bool any = false;

	CHECK(d->stop && d->stop->is_private);
	for (uint32_t i = 0; i < d->tasks.room; i++) {
		struct task *task = task_at(d, i);

		if (!task)
			continue;
		/* Of a forked child that has not spoken yet the process is not known. */
		if (!task_is_dead(task))
			any |= task->pidfd < 0 ||
			       syscall(SYS_pidfd_send_signal, task->pidfd, SIGKILL, NULL, 0u) == 0;
		task_put(task);
	}
	return any;
}

void
stop_begin(struct daemon *d)
{
	CHECK(d->stop);
	lock_acquire(&d->stop->lock);
	d->stop->begun = true;
	cond_signal(&d->stop->cond);
	lock_release(&d->stop->lock);
}

void
stop_end(struct daemon *d)
{
	struct stop *stop = d->stop;

	CHECK(stop && !stop->ended);
	lock_acquire(&stop->lock);
	stop->ended = true;
	cond_signal(&stop->cond);
	lock_release(&stop->lock);
	pthread_join(stop->thread, NULL);
	lock_fini(&stop->lock);
	cond_fini(&stop->cond);
	free(stop);
	d->stop = NULL;
}
