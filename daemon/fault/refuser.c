/* SPDX-License-Identifier: MIT
 *
 * The refuser's thread. Runs on: its own thread; refuser_ask on fault servers. Allocates only at
 * start.
 */
#include "fault/refuser.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "daemon.h"
#include "fault/refuse.h"
#include "own.h"
#include "pmap/standing.h"
#include "pmap/uffd.h"
#include "vm/task.h"

/* Refused stores whose threads have not been told yet, at most. */
#define REFUSER_ROOM 64u

struct refuser {
	struct daemon *daemon;
	pthread_t thread;
	struct stat_shard stats;
	struct lock lock;  /* covers all below; leaf */
	struct cond asked; /* waited for by the thread, signalled by refuser_ask and refuser_stop */
	struct fault faults[REFUSER_ROOM]; /* a ring, with a reference to the task each */
	unsigned first, count;
	bool started, stopping;
};

/* Where a thread waits. */
enum place {
	AT_TOUCH,   /* in a touch of its own */
	IN_CALL,    /* in a system call; or it does not wait any more */
	AT_UNKNOWN, /* the daemon may not ask */
};

static enum place
thread_place(const struct fault *f)
{
	char path[64], text[16];
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%u/syscall", (int)f->task->pid, f->thread);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == EACCES || errno == EPERM ? AT_UNKNOWN : IN_CALL;
	length = read(fd, text, sizeof(text) - 1);
	if (length < 0)
		length = errno == EPERM || errno == EACCES ? -1 : 0;
	close(fd);
	if (length < 0)
		return AT_UNKNOWN;
	text[length] = '\0';
	/* The number of the call. */
	return strncmp(text, "-1 ", 3) == 0 ? AT_TOUCH : IN_CALL;
}

/* What standing.h knows it by. */
static struct standing
standing_of(const struct daemon *d, const struct fault *f)
{
	return (struct standing){ .uffd = f->task->uffd,
		.thread = f->thread,
		.page = round_down_u64(f->address, d->hw_bytes) };
}

static void
signal_thread(const void *fault)
{
	(void)fault_signal(fault, SIGBUS);
}

/* Its number is another process's thread's here, if it is any. */
static void
signal_process(const void *fault)
{
	fault_signal_process(fault, SIGBUS);
}

static void
tell(struct refuser *r, const struct fault *f)
{
	struct standing standing = standing_of(r->daemon, f);
	bool is_elsewhere;

	locks_assert_none();
	if (task_is_dead(f->task))
		return;
	is_elsewhere = fault_thread_is_elsewhere(f->task);
	if (!is_elsewhere && thread_place(f) == IN_CALL) {
		(void)standing_end(&standing, NULL, NULL);
		return;
	}
	if (!standing_end(&standing, is_elsewhere ? signal_process : signal_thread, f)) {
		stat_add(r->stats, STAT_REFUSALS_LATE, 1);
		return;
	}
	stat_add(r->stats, STAT_REFUSED_STORES, 1);
	log_warning_limited("process %d gets SIGBUS for its store to %#llx: the file cannot be "
			    "written, and %u MiB wait for that (parameters dirty_session_percent, "
			    "dirty_user_percent)",
	    (int)f->task->pid, (unsigned long long)f->address,
	    (unsigned)(((uint64_t)load_relaxed(&f->task->bill.account->dirty_pages)
			   << r->daemon->page_shift) >>
		       20));
}

static void *
refuser_main(void *argument)
{
	struct refuser *r = argument;

	own_thread("refuser");
	alloc_forbid();
	lock_acquire(&r->lock);
	for (;;) {
		struct fault f;

		while (r->count == 0 && !r->stopping)
			cond_wait(&r->asked, &r->lock);
		if (r->count == 0)
			break;
		f = r->faults[r->first];
		r->first = (r->first + 1) % REFUSER_ROOM;
		r->count--;
		lock_release(&r->lock);
		tell(r, &f);
		task_put(f.task);
		lock_acquire(&r->lock);
	}
	lock_release(&r->lock);
	return NULL;
}

int
refuser_start(struct daemon *d)
{
	struct refuser *r = calloc(1, sizeof(*r));
	int error;

	CHECK(!d->refuser);
	if (!r)
		return -ENOMEM;
	d->refuser = r;
	r->daemon = d;
	standing_init();
	r->stats = stats_shard(&d->stats, shard_index_extra(d, SHARD_REFUSER));
	lock_init(&r->lock, RANK_JOBS);
	cond_init(&r->asked);
	error = -pthread_create(&r->thread, NULL, refuser_main, r);
	r->started = !error;
	return error;
}

void
refuser_stop(struct daemon *d)
{
	struct refuser *r = d->refuser;

	CHECK(r->started && !r->stopping);
	lock_acquire(&r->lock);
	r->stopping = true;
	cond_signal(&r->asked);
	lock_release(&r->lock);
	pthread_join(r->thread, NULL);
}

void
refuser_fini(struct daemon *d)
{
	struct refuser *r = d->refuser;

	if (!r)
		return;
	CHECK(r->count == 0);
	lock_fini(&r->lock);
	cond_fini(&r->asked);
	free(r);
	d->refuser = NULL;
}

bool
refuser_ask(struct daemon *d, const struct fault *f)
{
	struct standing standing = standing_of(d, f);
	struct refuser *r = d->refuser;

	locks_assert_none();
	CHECK_OBJ(f->task, TASK_MAGIC);
	if (!standing_look(&standing)) {
		uffd_send_back(standing.uffd, standing.page, d->hw_bytes);
		return false;
	}
	lock_acquire(&r->lock);
	if (r->count < REFUSER_ROOM && !r->stopping) {
		struct fault *own = &r->faults[(r->first + r->count++) % REFUSER_ROOM];

		*own = *f;
		task_get(f->task);
		cond_signal(&r->asked);
	}
	lock_release(&r->lock);
	return true;
}
