/* SPDX-License-Identifier: MIT
 *
 * A program that does not know of pagerd, and rules of the kernel's about its memory: what children
 * get, what limits refuse, what it watches itself. As run_program.c: a line for each.
 *
 * usage: run_rules
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

#define MIB  (1ul << 20)
#define PAGE 4096ul

static sigjmp_buf back;

static void
on_fault(int signal)
{
	siglongjmp(back, signal);
}

/* => the signal of a read; 0: none */
static int
touch(volatile char *at)
{
	int signal = sigsetjmp(back, 1);

	if (signal == 0)
		(void)*at;
	return signal;
}

static char *
map(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void
fill(char *at, size_t size, int seed)
{
	for (size_t i = 0; i < size; i += PAGE)
		at[i] = (char)(i / PAGE + (size_t)seed);
}

static bool
is_filled(const char *at, size_t size, int seed)
{
	for (size_t i = 0; i < size; i += PAGE)
		if (at[i] != (char)(i / PAGE + (size_t)seed))
			return false;
	return true;
}

static bool
is_zero(const char *at, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (at[i] != 0)
			return false;
	return true;
}

static char *shared; /* 4 MiB, of which the first becomes zeroes, and the second nothing */

static bool
child_says(int (*body)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(body());
	return waitpid(pid, &status, 0) == pid && status == 0;
}

static int
wiped_grandchild(void)
{
	return is_zero(shared, MIB) ? 0 : 1;
}

static int
wiped_child(void)
{
	bool ok = is_zero(shared, MIB) && touch(shared + MIB) == SIGSEGV &&
		  touch(shared + 2 * MIB - 1) == SIGSEGV &&
		  is_filled(shared + 2 * MIB, 2 * MIB, 1 + 512);

	/* The memory is its own, and its children get zeroes of it again. */
	fill(shared, MIB, 9);
	return ok && is_filled(shared, MIB, 9) && child_says(wiped_grandchild) ? 0 : 1;
}

static int
kept_child(void)
{
	return is_filled(shared, 4 * MIB, 1) ? 0 : 1;
}

static bool
children_get_what_was_said(void)
{
	bool ok;

	shared = map(4 * MIB);
	fill(shared, 4 * MIB, 1);
	ok = madvise(shared, MIB, MADV_WIPEONFORK) == 0 &&
	     madvise(shared + MIB, MIB, MADV_DONTFORK) == 0;
	ok &= child_says(wiped_child) && is_filled(shared, 4 * MIB, 1);
	ok &= madvise(shared, MIB, MADV_KEEPONFORK) == 0 &&
	      madvise(shared + MIB, MIB, MADV_DOFORK) == 0;
	return ok && child_says(kept_child) && is_filled(shared, 4 * MIB, 1);
}

static bool
moves_leave_zeroes(void)
{
	char *at = map(4 * MIB), *moved;
	bool ok;

	fill(at, 4 * MIB, 3);
	errno = 0;
	ok = mremap(at, 4 * MIB, 4 * MIB, MREMAP_DONTUNMAP, NULL) == MAP_FAILED && errno == EINVAL;
	moved = mremap(at, 4 * MIB, 4 * MIB, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	ok &= moved != MAP_FAILED && is_filled(moved, 4 * MIB, 3) && is_zero(at, 4 * MIB);
	fill(at, 4 * MIB, 4);
	ok &= is_filled(at, 4 * MIB, 4) && is_filled(moved, 4 * MIB, 3);
	return ok && munmap(at, 4 * MIB) == 0 && munmap(moved, 4 * MIB) == 0;
}

static int
data_is_limited(void)
{
	const struct rlimit limit = { 512 * MIB, 512 * MIB };
	char *at;

	setrlimit(RLIMIT_DATA, &limit);
	at = map(400 * MIB);
	if (at == MAP_FAILED || map(200 * MIB) != MAP_FAILED || errno != ENOMEM)
		return 1;
	errno = 0;
	if (mremap(at, 400 * MIB, 600 * MIB, MREMAP_MAYMOVE) != MAP_FAILED || errno != ENOMEM)
		return 2;
	/* What was given back may be taken again. */
	munmap(at, 400 * MIB);
	return map(300 * MIB) == MAP_FAILED ? 3 : 0;
}

static int
addresses_are_limited(void)
{
	const struct rlimit limit = { 768 * MIB, 768 * MIB };
	char *at;

	setrlimit(RLIMIT_AS, &limit);
	at = map(500 * MIB);
	if (at == MAP_FAILED || map(500 * MIB) != MAP_FAILED || errno != ENOMEM)
		return 1;
	fill(at, MIB, 5);
	return is_filled(at, MIB, 5) ? 0 : 2;
}

static int
locks_are_limited(void)
{
	const struct rlimit some = { 64 * PAGE, 64 * PAGE }, none = { 0, 0 };
	char *at = map(4 * MIB);
	bool ok;

	if (geteuid() == 0 && setuid(65534) < 0)
		return 1;
	setrlimit(RLIMIT_MEMLOCK, &some);
	errno = 0;
	ok = mlock(at, 2 * MIB) < 0 && errno == ENOMEM && mlock(at, 16 * PAGE) == 0;
	ok &= munlock(at, 16 * PAGE) == 0;
	setrlimit(RLIMIT_MEMLOCK, &none);
	ok &= mlock(at, PAGE) < 0 && errno == EPERM;
	ok &= mlockall(MCL_CURRENT) < 0 && errno == EPERM;
	fill(at, 4 * MIB, 6);
	return ok && is_filled(at, 4 * MIB, 6) ? 0 : 2;
}

/* A reservation that is not to be managed when it is used, since all that comes is locked. */
static int
reservation_is_locked(void)
{
	char *at;

	if (mlockall(MCL_FUTURE) < 0)
		return 1;
	at = mmap(NULL, 4 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED || mprotect(at + MIB, 64 * PAGE, PROT_READ | PROT_WRITE) < 0 ||
	    mprotect(at + 2 * MIB, 64 * PAGE, PROT_READ | PROT_WRITE) < 0)
		return 2;
	fill(at + MIB, 64 * PAGE, 7);
	return is_filled(at + MIB, 64 * PAGE, 7) && is_zero(at + 2 * MIB, 64 * PAGE) ? 0 : 3;
}

static bool
locked_reservations_are_used(void)
{
	return child_says(reservation_is_locked);
}

static bool
limits_refuse(void)
{
	return child_says(data_is_limited) && child_says(addresses_are_limited) &&
	       child_says(locks_are_limited);
}

/* Memory that the program watches itself: content and all it is its own. */
static bool
own_watch(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | 1);
	char *at = map(4 * MIB);
	bool ok;

	if (fd < 0)
		return true;
	fill(at, 4 * MIB, 7);
	reg.range.start = (uintptr_t)at + MIB;
	reg.range.len = MIB;
	ok = ioctl(fd, UFFDIO_API, &api) == 0 && ioctl(fd, UFFDIO_REGISTER, &reg) == 0;
	ok &= is_filled(at, 4 * MIB, 7);
	close(fd);
	return ok && munmap(at, 4 * MIB) == 0;
}

/* What lies in a hole is the program's: nothing, until it maps something there. Elsewhere above
 * there is no room, and the books of what is protected grow meanwhile: 6000 parts. */
static bool
holes_stay_empty(void)
{
	static char *above[4096];
	char *at = map(96 * MIB), *hole = at + 40 * MIB;
	unsigned char here;
	size_t count = 0;
	bool ok = true;

	do
		above[count] = map(16 * PAGE);
	while (above[count++] > at && count < 4096);
	ok &= count < 4096 && munmap(hole, 16 * MIB) == 0;
	for (size_t i = 0; i < 12000; i += 2)
		ok &= mprotect(at + (i < 6000 ? i : i + 9000) * PAGE, PAGE, PROT_READ) == 0;
	for (size_t i = 0; i < 16 * MIB; i += PAGE)
		ok &= mincore(hole + i, PAGE, &here) < 0 && errno == ENOMEM;
	while (count > 0)
		ok &= munmap(above[--count], 16 * PAGE) == 0;
	return ok && munmap(at, 96 * MIB) == 0;
}

static const struct rule {
	const char *text;
	bool (*holds)(void);
} rules[] = {
	{ "MADV_WIPEONFORK and MADV_DONTFORK", children_get_what_was_said },
	{ "MREMAP_DONTUNMAP", moves_leave_zeroes },
	{ "RLIMIT_DATA, RLIMIT_AS, RLIMIT_MEMLOCK", limits_refuse },
	{ "MCL_FUTURE, and a reservation", locked_reservations_are_used },
	{ "holes stay empty", holes_stay_empty },
	{ "a userfaultfd of its own", own_watch },
};

int
main(void)
{
	struct sigaction action = { .sa_handler = on_fault };
	int broken = 0;

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		bool holds = rules[i].holds();

		printf("%s %s\n", holds ? "ok" : "BROKEN", rules[i].text);
		fflush(stdout);
		broken += !holds;
	}
	return broken > 0;
}
