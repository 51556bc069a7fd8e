/* SPDX-License-Identifier: MIT
 *
 * See anchor.h. A file that is registered with an io_uring is open as long as the ring is, and the
 * ring is as long as one of its pages is mapped somewhere. The mapping has no descriptor that could
 * be closed; it goes with exec(2) and with the end of the process.
 *
 * A process that forks makes one ring for its next PLACES children and keeps a descriptor of it. A
 * child inherits mapping and descriptor, registers what it has, and closes the descriptor: from
 * then on it can take nothing out, and nobody can get at what is in. For its own children it makes
 * another one. So the ring costs a fork next to nothing. What has been registered by children that
 * have ended goes with the ring.
 *
 * When a ring goes, the kernel interrupts the task that has made it, to have it forget the ring:
 * epoll_wait(2) would return EINTR in a program that has no signal. So that task is one that has
 * ended at once.
 *
 * Nothing is ever submitted to the ring, and nobody touches the page.
 */
#include "anchor.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chan.h"
#include "number.h"

/* Not more, because an ended child's userfaultfd keeps some 10 KiB of the kernel's memory. */
#define PLACES      16u
#define STACK_BYTES 16384u

#ifdef __SANITIZE_THREAD__
#define IS_TSAN true
#else
#define IS_TSAN false
#endif

struct ring {
	void *page; /* NULL: there is none */
	int fd;
	struct fd_note note;
	unsigned places, used;
};

static struct ring ring = { .fd = -1 }; /* for the children to come */
static unsigned prepared;               /* places of it that the next child has */
static bool is_shared;                  /* the next child has the same table of descriptors */
static void *own;                       /* a page of the ring that holds this process's own */
static bool is_refused;                 /* the system allows no ring */
static char stack[STACK_BYTES] __attribute__((aligned(16)));

static size_t
page_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* => a descriptor, or -errno */
static int
ring_setup(void)
{
	/* Whatever is submitted is refused. */
	struct io_uring_params parameters = { .flags = IORING_SETUP_R_DISABLED };
	int fd = (int)syscall(SYS_io_uring_setup, 1, &parameters);

	return chan_fd_above_standard(fd);
}

static int
setup_run(void *result)
{
	*(int *)result = ring_setup();
	return 0;
}

/* In a task that has this process's memory and descriptors, and ends. */
static int
ring_setup_apart(void)
{
	int result = -ECHILD, saved = errno;
	sigset_t all, old;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid =
	    clone(setup_run, stack + sizeof(stack), CLONE_VM | CLONE_FILES | CLONE_VFORK, &result);
	if (pid < 0)
		result = -errno;
	else
		while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
			continue;
	sigprocmask(SIG_SETMASK, &old, NULL);
	errno = saved;
	return result;
}

/* => whether there is one; fd is the ring's, which is closed if there is none */
static bool
ring_begin(struct ring *r, int fd, unsigned places)
{
	struct io_uring_rsrc_register none = { .nr = places, .flags = IORING_RSRC_REGISTER_SPARSE };

	*r = (struct ring){ .fd = -1 };
	is_refused = fd == -EPERM || fd == -ENOSYS;
	if (fd < 0)
		return false;
	if (fd_note(fd, &r->note) == 0 &&
	    syscall(SYS_io_uring_register, fd, IORING_REGISTER_FILES2, &none, sizeof(none)) == 0)
		r->page = mmap(NULL, page_bytes(), PROT_NONE, MAP_SHARED, fd, IORING_OFF_SQES);
	if (!r->page || r->page == MAP_FAILED) {
		r->page = NULL;
		close(fd);
		return false;
	}
	r->fd = fd;
	r->places = places;
	return true;
}

static void
ring_close(struct ring *r)
{
	if (fd_is_noted(r->fd, &r->note))
		close(r->fd);
	r->fd = -1;
}

static void
page_drop(void **page)
{
	if (*page)
		munmap(*page, page_bytes());
	*page = NULL;
}

static bool
ring_put(const struct ring *r, unsigned place, int uffd)
{
	struct io_uring_files_update update = { .offset = place, .fds = (uintptr_t)&uffd };

	return fd_is_noted(r->fd, &r->note) &&
	       syscall(SYS_io_uring_register, r->fd, IORING_REGISTER_FILES_UPDATE, &update, 1) == 1;
}

void
anchor_prepare(unsigned count, bool shares_files, bool is_light)
{
	int saved = errno, fd;

	prepared = 0;
	is_shared = shares_files;
	/* ThreadSanitizer has taken its locks for the fork, and would take them again for the
	 * clone.
	 */
	if (count == 0 || is_refused || IS_TSAN)
		return;
	if (!ring.page || ring.used + count > ring.places || !fd_is_noted(ring.fd, &ring.note)) {
		ring_close(&ring);
		page_drop(&ring.page);
		fd = ring_setup_apart();
		if (is_light)
			number_raise(&fd);
		(void)ring_begin(&ring, fd, count > PLACES ? count : PLACES);
	}
	if (ring.page) {
		ring.used += count;
		prepared = count;
	}
	errno = saved;
}

bool
anchor_hold(unsigned nth, int uffd)
{
	/* It allows no threads in such a child either, which those without an anchor begin. */
	return IS_TSAN || (nth < prepared && ring_put(&ring, ring.used - prepared + nth, uffd));
}

void
anchor_born(void)
{
	page_drop(&own);
	own = ring.page;
	if (!is_shared)
		ring_close(&ring);
	ring = (struct ring){ .fd = -1 };
}

bool
anchor_own(int uffd)
{
	struct ring r;
	bool holds;

	/* This ring goes with the address space, when its maker is gone or has another one. */
	if (!ring_begin(&r, ring_setup(), 1))
		return false;
	holds = ring_put(&r, 0, uffd);
	/* A child has one of its own. */
	madvise(r.page, page_bytes(), MADV_DONTFORK);
	ring_close(&r);
	return holds;
}

void
anchor_end(void)
{
	ring_close(&ring);
	page_drop(&ring.page);
	page_drop(&own);
}

void
anchor_forget(void)
{
	ring = (struct ring){ .fd = -1 };
	own = NULL;
}
