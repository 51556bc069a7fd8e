/* SPDX-License-Identifier: MIT
 *
 * Starting and stopping a recording. Runs on: jobs; the main thread stops one at the daemon's end.
 */
#include "record/recording.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/closer.h"
#include "record/recorder_priv.h"
#include "record/window.h"

/* Whether the calling thread may start a recording (or stop it). => 0, and change_end is called
 * afterwards; -EBUSY: there is one, or it is being changed; -ENOENT: there is none to stop */
static int
change_begin(struct recorder *r, bool stops)
{
	int error = 0;

	locks_assert_none();
	lock_acquire(&r->lock);
	if (r->is_changing || (!stops && r->fd >= 0))
		error = -EBUSY;
	else if (stops && r->fd < 0)
		error = -ENOENT;
	else
		r->is_changing = true;
	lock_release(&r->lock);
	return error;
}

static void
change_end(struct recorder *r)
{
	lock_acquire(&r->lock);
	CHECK(r->is_changing);
	r->is_changing = false;
	lock_release(&r->lock);
}

/* Called when nothing else but the file can fail: it loses what it had before. */
static int
file_begin(struct daemon *d, int fd, mode_t mode, struct task_name name, uint32_t window)
{
	struct pager_trace_header header;
	struct timespec now;

	CHECK(d->page_bytes <= UINT32_MAX);
	if (S_ISREG(mode) && ftruncate(fd, 0) < 0)
		return -errno;
	clock_gettime(CLOCK_REALTIME, &now);
	trace_header_fill(&header, (uint32_t)d->page_bytes, window,
	    (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec, (uint64_t)name.pid);
	return recorder_write(fd, &header, sizeof(header));
}

/* => 0 or -errno; nothing is left behind then */
static int
begin(struct daemon *d, int fd, mode_t mode, struct task_name name, uint32_t window)
{
	struct recorder *r = d->recorder;
	int error;

	CHECK(!load_relaxed(&d->trace_on) && load_relaxed(&d->trace_window) == 0);
	error = recorder_take(r);
	if (error)
		return error;
	if (window > 0)
		error = window_create(d, window);
	if (!error)
		error = file_begin(d, fd, mode, name, window);
	if (!error)
		error = recorder_begin(r, fd, name);
	if (error) {
		window_destroy(r);
		recorder_drop(r);
	}
	return error;
}

/* Whether somebody has that name. A process need not be a client yet, nor a group have one. */
static bool
is_there(struct daemon *d, struct task_name name)
{
	struct client_group *group;

	if (name.group) {
		group = group_find(d, name.group, NULL);
		if (group)
			group_put(d, group);
		return group != NULL;
	}
	if (name.id)
		return task_exists(d, name.id);
	return name.pid == 0 || kill(name.pid, 0) == 0 || errno != ESRCH;
}

static int
start(struct daemon *d, int fd, struct task_name name, uint32_t window, struct stat_shard stats)
{
	struct stat st;
	int error;

	CHECK(d->recorder->is_changing);
	if (!is_there(d, name))
		return -ESRCH;
	if ((window > 0 && !window_fits(window)) || fstat(fd, &st) < 0)
		return -EINVAL;
	if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return -EBADF;
	error = begin(d, fd, st.st_mode, name, window);
	if (error)
		return error;
	store_release(&d->trace_window, window);
	store_release(&d->trace_on, true);
	if (window > 0)
		window_begin(d, stats, name);
	return 0;
}

int
trace_start(
    struct daemon *d, int fd, struct task_name name, uint32_t window, struct stat_shard stats)
{
	int error = change_begin(d->recorder, false);

	if (error)
		return error;
	error = start(d, fd, name, window, stats);
	change_end(d->recorder);
	return error;
}

static int
stop(struct daemon *d)
{
	struct recorder *r = d->recorder;
	int fd, error;

	CHECK(r->is_changing);
	/* Under the lock: a thread that has found them set has appended when this one goes on. */
	lock_acquire(&r->lock);
	store_release(&d->trace_on, false);
	store_release(&d->trace_window, 0);
	lock_release(&r->lock);
	error = recorder_end(r, &fd);
	window_destroy(r);
	closer_close(d, fd, 0, 0);
	return error;
}

int
trace_stop(struct daemon *d)
{
	int error = change_begin(d->recorder, true);

	if (error)
		return error;
	error = stop(d);
	change_end(d->recorder);
	return error;
}

void
trace_show(struct daemon *d, struct pager_rep_trace *ret)
{
	struct recorder *r = d->recorder;

	lock_acquire(&r->lock);
	CHECK(r->records + r->dropped == r->events);
	*ret = (struct pager_rep_trace){
		.records = r->records,
		.dropped = r->dropped,
		.bytes = r->bytes,
		.active = r->fd >= 0,
	};
	lock_release(&r->lock);
}
