/* SPDX-License-Identifier: MIT
 *
 * fork(2), as the parent has it. Managed memory is MADV_DONTFORK: a child has nothing where it was,
 * and fork_child.c maps there what the daemon has kept for it.
 *
 *   FORK_BEGIN: the child's session and its memory are made, and no write of this process changes
 *   its own from now on -> what the daemon has not copied is read -> fork -> FORK_STEP END
 *
 * The child must have its memory before anything else runs in it. That is earlier than handlers of
 * pthread_atfork(3): before those, libc itself puts locks of its malloc and of open FILEs in order,
 * which may lie in managed memory. And the barrier must begin when all locks have been taken. So
 * what is replaced is _Fork, the inmost part of libc's fork (patch.c). Where that cannot be,
 * handlers are used that are registered as early as a library can.
 *
 * vfork(2) and posix_spawn(3) need nothing: the child has this address space, and all descriptors
 * are close-on-exec. A child of clone(2) is told by a page that the kernel clears in it
 * (process_is_copy): it has neither memory nor connection, unless whoever makes it goes by fork_by
 * (run/clone.c).
 *
 * Runs on: the thread that forks, with all signals blocked. It may be a signal handler's, and must
 * not wait for what that has interrupted: a lock that this thread has already, or that is not let
 * go of in time, leaves the child without managed memory.
 */
#include "pager_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "anchor.h"
#include "patch.h"

#ifndef MFD_CLOEXEC
#define MFD_CLOEXEC 1u
#endif

#define PATIENCE_SECONDS 10
#define COPY_BYTES       (1u << 20)
#define TRIES            16u /* of asking for a child, where daemons die meanwhile */

extern pid_t _Fork(void) __attribute__((weak));

static pthread_mutex_t fork_lock = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static struct pager *_Atomic fork_list; /* written under fork_lock */
static patch_function *fork_original;   /* NULL: handlers are used */
static int fork_once_result, fork_patch_result = -EOPNOTSUPP;
static const struct fork_surrounding *fork_around; /* constant once there is one */
/* This thread forks, and has fork_lock. */
static __thread bool fork_is_mine __attribute__((tls_model("initial-exec")));

/* => whether it is held now */
static bool
lock_in_time(pthread_mutex_t *lock)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_SECONDS;
	return pthread_mutex_timedlock(lock, &until) == 0;
}

/* A thread whose stack is managed memory would write there while its own writes wait. => true also
 * where that cannot be told */
static bool
stack_is_managed(struct pager *p)
{
	uint64_t here = (uintptr_t)__builtin_frame_address(0);
	uint64_t page = here & ~(p->page_size - 1);
	bool is = true;

	if (lock_in_time(&p->space_lock)) {
		is = range_set_contains(&p->managed, page, page + p->page_size);
		pthread_mutex_unlock(&p->space_lock);
	}
	return is;
}

/* Reads what the daemon leaves to the client into a file without a name. => 0 or -errno */
static int
fork_stage(struct forking *f)
{
	off_t size = 0;

	if (f->begun.count == 0)
		return 0;
	f->staging = (int)syscall(SYS_memfd_create, "pager-fork", MFD_CLOEXEC);
	if (f->staging < 0)
		return -errno;
	for (uint32_t i = 0; i < f->begun.count; i++) {
		const char *at = (const char *)(uintptr_t)f->begun.physical[i].address;
		uint64_t left = f->begun.physical[i].size;

		size += (off_t)left;
		if (f->begun.physical[i].address & PAGER_FORK_ZEROES) {
			if (lseek(f->staging, size, SEEK_SET) < 0)
				return -errno;
			continue;
		}
		while (left > 0) {
			ssize_t got = write(f->staging, at, left < COPY_BYTES ? left : COPY_BYTES);

			if (got <= 0)
				return got < 0 ? -errno : -EIO;
			at += got;
			left -= (uint64_t)got;
		}
	}
	return ftruncate(f->staging, size) < 0 ? -errno : 0;
}

/* Whether the daemon that has answered is there no more, so that nobody has held writes back since.
 */
static bool
fork_is_lost(const struct forking *f)
{
	struct pollfd polled = { .fd = f->socket };

	return f->begun.flags & PAGER_FORK_PHYSICAL && poll(&polled, 1, 0) > 0 &&
	       polled.revents & (POLLHUP | POLLERR);
}

static void
fork_step(struct pager *p, enum pager_fork_step step)
{
	struct pager_req_fork_step request = { .step = step };
	struct chan_call call = { CHAN_CALL(FORK_STEP, &request, &p->forking.step) };

	/* Nobody waits for the answer: once the message has been read, no write waits. */
	(void)chan_post_locked(&p->chan, &call);
}

/* => chan.lock held; 0 or -errno */
static int
fork_ask(struct pager *p)
{
	struct forking *f = &p->forking;
	struct pager_req_fork_begin request = { .flags = 0 };
	struct chan_call call = { CHAN_CALL(FORK_BEGIN, &request, &f->begun),
		.ret_fd = &f->socket };
	int r = fork_collect(p);

	call.reply_bytes_min = offsetof(struct pager_rep_fork_begin, physical);
	if (r == 0)
		r = pager_check_descriptors(p);
	if (r == 0)
		r = chan_exchange_locked(&p->chan, &call);
	if (r == 0 && f->begun.count > PAGER_FORK_PHYSICAL_MAX) {
		chan_break(&p->chan);
		r = -EPROTO;
	}
	return r;
}

/* What the child will have is there. => false: it was, and the daemon has died meanwhile, so
 * another one is to be asked */
static bool
fork_prepare_child(struct pager *p)
{
	struct forking *f = &p->forking;

	f->state = fork_ask(p) == 0 ? FORK_READY : FORK_BARE;
	/* No thread changes the books of addresses while they are copied. */
	f->has_space = lock_in_time(&p->space_lock);
	if (!f->has_space)
		f->state = FORK_NOTHING;
	if (f->state == FORK_READY && fork_stage(f) < 0)
		f->state = FORK_BARE;
	return f->state != FORK_READY || !fork_is_lost(f);
}

static void
fork_undo(struct pager *p)
{
	struct forking *f = &p->forking;

	pthread_mutex_unlock(&p->space_lock);
	close(f->socket);
	if (f->staging >= 0)
		close(f->staging);
	f->socket = f->staging = -1;
	f->has_space = false;
	f->state = FORK_NOTHING;
}

static void
fork_begin(struct pager *p, bool shares_files)
{
	struct forking *f = &p->forking;

	f->state = FORK_NOTHING;
	f->socket = f->staging = f->second = -1;
	f->shares_files = shares_files;
	f->has_chan = f->has_space = false;
	f->tries = 0;
	if (!p->inherits || p->uffd < 0 || atomic_load(&p->forked) || process_is_copy() ||
	    stack_is_managed(p))
		return;
	f->has_chan = lock_in_time(&p->chan.lock);
	if (!f->has_chan)
		return;
	while (!fork_prepare_child(p) && f->tries++ < TRIES)
		fork_undo(p);
	/* What this process closes afterwards would be closed for the child, too. */
	if (f->state == FORK_READY && shares_files) {
		f->second = fcntl(f->socket, F_DUPFD_CLOEXEC, 3);
		if (f->second < 0)
			f->state = FORK_BARE;
	}
}

/* In the parent. has_child: there is one */
static void
fork_end(struct pager *p, bool has_child)
{
	struct forking *f = &p->forking;
	int saved = errno;

	if (f->has_space)
		pthread_mutex_unlock(&p->space_lock);
	/* The child has its own copy; without one the daemon sees that it is not wanted. */
	if (f->socket >= 0) {
		close(f->socket);
		fork_step(p, PAGER_FORK_END);
	}
	if (f->staging >= 0 && (!f->shares_files || !has_child))
		close(f->staging);
	if (f->second >= 0 && !has_child)
		close(f->second);
	if (f->has_chan)
		pthread_mutex_unlock(&p->chan.lock);
	errno = saved;
}

/* Without the lock the child is one of clone(2) to this library. */
static void
fork_prepare(bool shares_files)
{
	unsigned heirs = 0;
	bool is_light = false;

	fork_is_mine = lock_in_time(&fork_lock);
	for (struct pager *p = fork_is_mine ? fork_list : NULL; p; p = p->next) {
		heirs += p->inherits;
		is_light |= p->stays_light;
	}
	if (fork_is_mine)
		anchor_prepare(heirs, shares_files, is_light);
	for (struct pager *p = fork_is_mine ? fork_list : NULL; p; p = p->next)
		fork_begin(p, shares_files);
}

static void
fork_parent(bool has_child)
{
	if (!fork_is_mine)
		return;
	fork_is_mine = false;
	for (struct pager *p = fork_list; p; p = p->next)
		fork_end(p, has_child);
	pthread_mutex_unlock(&fork_lock);
}

/* Only this thread exists in the child. Threads that are gone may hold any lock. */
static void
fork_child(void)
{
	struct pager *next, *list = NULL;
	unsigned heirs = 0;
	bool has_begun;

	if (!fork_is_mine)
		return;
	fork_is_mine = false;
	fork_lock = (pthread_mutex_t)PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
	hold_expect(false);
	for (struct pager *p = fork_list; p; p = p->next)
		fork_cover(p);
	process_mark();
	for (struct pager *p = fork_list; p; p = next) {
		next = p->next;
		has_begun = fork_child_begin(p);
		p->is_anchored = has_begun && anchor_hold(heirs, p->uffd);
		heirs += p->inherits;
		if (!has_begun)
			continue;
		p->prev = NULL;
		p->next = list;
		if (list)
			list->prev = p;
		list = p;
	}
	fork_list = list;
	anchor_born();
}

/* Whether there is something to inherit. To a child of clone(2) the list does not belong. */
static bool
fork_belongs(void)
{
	return fork_list && !process_is_copy();
}

pid_t
fork_by(pid_t (*make)(void *context), void *context, bool shares_files)
{
	sigset_t all, old;
	bool is_ours;
	pid_t pid;

	if (!fork_around && !fork_belongs())
		return make(context);
	/* A handler that wrote to managed memory would wait for the fork that it has interrupted.
	 */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	if (fork_around)
		fork_around->before();
	is_ours = fork_belongs();
	if (is_ours)
		fork_prepare(shares_files);
	pid = make(context);
	if (is_ours && pid == 0)
		fork_child();
	else if (is_ours)
		fork_parent(pid > 0);
	if (fork_around && pid == 0)
		fork_around->child();
	else if (fork_around)
		fork_around->parent();
	sigprocmask(SIG_SETMASK, &old, NULL);
	return pid;
}

static pid_t
fork_originally(void *context)
{
	(void)context;
	return ((pid_t(*)(void))(uintptr_t)fork_original)();
}

/* In place of _Fork. */
static pid_t
fork_instead(void)
{
	return fork_by(fork_originally, NULL, false);
}

static void
handler_prepare(void)
{
	if (!fork_original && fork_list)
		fork_prepare(false);
}

static void
handler_parent(void)
{
	if (!fork_original && fork_list)
		fork_parent(true);
}

static void
handler_child(void)
{
	if (!fork_original && fork_list)
		fork_child();
}

static void
handler_share(void)
{
	/* To a child of clone(2) the list does not belong. */
	if (fork_list && !process_is_copy())
		fork_share(fork_list);
}

/* Before any other library and the program can register theirs: so these run last before the fork
 * and first after it. */
__attribute__((constructor(101))) static void
fork_handlers(void)
{
	fork_once_result = -pthread_atfork(handler_prepare, handler_parent, handler_child);
}

static void
fork_install(void)
{
	if (fork_once_result == 0)
		fork_once_result = process_mark();
	/* Behind the handlers of whatever has been loaded before, malloc's above all. */
	if (fork_once_result == 0)
		fork_once_result = -pthread_atfork(NULL, NULL, handler_share);
	if (_Fork)
		fork_patch_result = patch((patch_function *)(uintptr_t)_Fork,
		    (patch_function *)(uintptr_t)fork_instead, &fork_original);
}

int
fork_surround(const struct fork_surrounding *surrounding)
{
	pthread_once(&fork_once, fork_install);
	if (fork_once_result < 0 || fork_patch_result < 0)
		return fork_once_result < 0 ? fork_once_result : fork_patch_result;
	fork_around = surrounding;
	return 0;
}

void
fork_forget(struct pager *p)
{
	struct pager *other = fork_list;

	while (other && other != p)
		other = other->next;
	if (!other)
		return;
	if (p->prev)
		p->prev->next = p->next;
	else
		fork_list = p->next;
	if (p->next)
		p->next->prev = p->prev;
	if (!fork_list)
		anchor_forget();
}

/* A child of clone(2) connects for itself: what it has of its parent stays useless. Threads that
 * are gone may hold the lock. */
static int
fork_anew(void)
{
	fork_lock = (pthread_mutex_t)PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
	for (struct pager *p = fork_list; p; p = p->next)
		atomic_store(&p->forked, true);
	fork_list = NULL;
	anchor_forget();
	return process_mark();
}

int
fork_register(struct pager *p)
{
	pthread_once(&fork_once, fork_install);
	if (fork_once_result == 0 && process_is_copy())
		fork_once_result = fork_anew();
	if (fork_once_result < 0)
		return fork_once_result;
	pthread_mutex_lock(&fork_lock);
	p->prev = NULL;
	p->next = fork_list;
	if (p->next)
		p->next->prev = p;
	fork_list = p;
	pthread_mutex_unlock(&fork_lock);
	return 0;
}

void
fork_part(struct pager *p)
{
	const int fds[] = { p->agent.socket, p->agent.stop_fd, p->agent.pidfd };

	pthread_mutex_lock(&fork_lock);
	/* The struct keeps the numbers: the agent uses them in the other table. */
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	p->parted = true;
	pthread_mutex_unlock(&fork_lock);
}

void
fork_unregister(struct pager *p)
{
	pthread_mutex_lock(&fork_lock);
	fork_close(p);
	if (p->prev)
		p->prev->next = p->next;
	else
		fork_list = p->next;
	if (p->next)
		p->next->prev = p->prev;
	if (!fork_list)
		anchor_end();
	pthread_mutex_unlock(&fork_lock);
}
