/* SPDX-License-Identifier: MIT
 *
 * A program that does not know of pagerd, and what it may expect of its memory: a line for each
 * expectation, "ok" or "BROKEN" before it. e_run.c runs it alone and under `pagerctl run` in a
 * quarter of its memory. Exit status: 0: all are as expected.
 *
 * usage: run_program
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#define MIB      (1ul << 20)
#define PAGE     4096ul
#define MAIN     (32 * MIB)
#define LONGER_S 2000 /* than any test */
/* What children write to, at the beginning of it, and somewhat more. */
#define THEIRS (4 * MIB)
#define MORE   (5 * MIB)

static char *memory; /* MAIN bytes: each page has its number */
static sigjmp_buf back;

static void
on_fault(int signal)
{
	siglongjmp(back, signal);
}

/* => the signal of a touch; 0: none */
static int
touch(volatile char *at, bool write)
{
	int signal = sigsetjmp(back, 1);

	if (signal == 0) {
		if (write)
			*at = 1;
		else
			(void)*at;
	}
	return signal;
}

static char *
map_at(void *address, size_t size, int protection, int flags)
{
	return mmap(address, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

static char *
map(size_t size)
{
	return map_at(NULL, size, PROT_READ | PROT_WRITE, 0);
}

static void
fill(char *at, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i += PAGE)
		at[i] = (char)(i / PAGE * 7 + seed);
}

static bool
is_filled(const char *at, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i += PAGE)
		if (at[i] != (char)(i / PAGE * 7 + seed) || at[i + 1] != 0)
			return false;
	return true;
}

static bool
is_zero(const char *at, size_t size)
{
	for (size_t i = 0; i < size; i += PAGE)
		if (at[i] != 0)
			return false;
	return true;
}

/* --- mappings --- */

static bool
content_stays(void)
{
	memory = map(MAIN);
	fill(memory, MAIN, 1);
	return is_filled(memory, MAIN, 1);
}

static bool
dontneed_is_zero(void)
{
	bool ok;

	madvise(memory + MIB, MIB, MADV_DONTNEED);
	ok = is_zero(memory + MIB, MIB) && is_filled(memory + 2 * MIB, MIB, 1 + 512 * 7);
	ok &= madvise(memory + 3 * MIB, MIB, MADV_FREE) == 0;
	fill(memory + MIB, MIB, 1 + 256 * 7);
	fill(memory + 3 * MIB, MIB, 1 + 768 * 7);
	return ok && is_filled(memory, MAIN, 1);
}

static bool
hints_are_taken(void)
{
	static const int hints[] = { MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_WILLNEED, MADV_NORMAL,
		MADV_RANDOM, MADV_SEQUENTIAL, MADV_DODUMP, MADV_DONTDUMP, 20, 21, 23 };
	bool ok = true;

	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
		ok &= madvise(memory + 8 * MIB, MIB, hints[i]) == 0;
	return ok && madvise(memory, MIB, 12345) < 0 && errno == EINVAL &&
	       is_filled(memory + 8 * MIB, MIB, 1 + 2048 * 7);
}

static bool
guards_fault(void)
{
	char *at = memory + 5 * MIB, was = *at;
	bool ok = mprotect(at, PAGE, PROT_NONE) == 0 && touch(at, false) == SIGSEGV;

	ok &= mprotect(at, PAGE, PROT_READ) == 0 && touch(at, false) == 0 &&
	      touch(at, true) == SIGSEGV;
	ok &= mprotect(at, PAGE, PROT_READ | PROT_WRITE) == 0 && *at == was;
	return ok && touch(at + 1, true) == 0 && (at[1] = 0) == 0;
}

static bool
growth_keeps(void)
{
	char *at = map(8 * MIB), *grown;
	bool ok;

	fill(at, 8 * MIB, 3);
	grown = mremap(at, 8 * MIB, 24 * MIB, MREMAP_MAYMOVE);
	if (grown == MAP_FAILED)
		return false;
	ok = is_filled(grown, 8 * MIB, 3) && is_zero(grown + 8 * MIB, 16 * MIB);
	ok &= mremap(grown, 24 * MIB, 4 * MIB, 0) == grown && is_filled(grown, 4 * MIB, 3);
	ok &= touch(grown + 4 * MIB, false) == SIGSEGV;
	return ok && munmap(grown, 4 * MIB) == 0;
}

static bool
moves_fixed(void)
{
	char *hole = map_at(NULL, 16 * MIB, PROT_NONE, MAP_NORESERVE), *at = map(4 * MIB);
	bool ok;

	fill(at, 4 * MIB, 4);
	ok = mremap(at, 4 * MIB, 4 * MIB, MREMAP_MAYMOVE | MREMAP_FIXED, hole) == hole;
	ok &= is_filled(hole, 4 * MIB, 4) && touch(at, false) == SIGSEGV;
	return ok && munmap(hole, 16 * MIB) == 0;
}

static bool
parts_are_replaced(void)
{
	char *at = map(8 * MIB), *part;
	bool ok;

	fill(at, 8 * MIB, 5);
	munmap(at + 2 * MIB, MIB);
	ok = touch(at + 2 * MIB, false) == SIGSEGV && is_filled(at, 2 * MIB, 5) &&
	     is_filled(at + 3 * MIB, 5 * MIB, 5 + 768 * 7);
	part = map_at(at + 4 * MIB, 64 * 1024, PROT_READ | PROT_WRITE, MAP_FIXED);
	ok &= part == at + 4 * MIB && is_zero(part, 64 * 1024) && part[-PAGE] != 0;
	part = map_at(at + 6 * MIB, MIB, PROT_READ | PROT_WRITE, MAP_FIXED);
	ok &= part == at + 6 * MIB && is_zero(part, MIB) &&
	      is_filled(at + 7 * MIB, MIB, 5 + 1792 * 7);
	fill(part, MIB, 6);
	return ok && is_filled(part, MIB, 6) && munmap(at, 8 * MIB) == 0;
}

static bool
reservations_are_used(void)
{
	char *at = map_at(NULL, 256 * MIB, PROT_NONE, MAP_NORESERVE);
	bool ok = touch(at, false) == SIGSEGV;

	for (size_t i = 0; i < 16; i++) {
		mprotect(at + MIB + i * MIB / 2, MIB / 2, PROT_READ | PROT_WRITE);
		fill(at + MIB + i * MIB / 2, MIB / 2, (unsigned)i);
	}
	for (size_t i = 0; i < 16; i++)
		ok &= is_filled(at + MIB + i * MIB / 2, MIB / 2, (unsigned)i);
	ok &= touch(at, false) == SIGSEGV && touch(at + 9 * MIB, false) == SIGSEGV;
	return ok && munmap(at, 256 * MIB) == 0;
}

static bool
hints_of_address(void)
{
	char *hint = (char *)0x200000000000, *other = (char *)0x210000000000;
	char *a = map_at(hint, 4 * MIB, PROT_READ | PROT_WRITE, 0);
	char *b = map_at(other, 4 * MIB, PROT_READ | PROT_WRITE, MAP_FIXED_NOREPLACE);
	bool ok = a == hint && b == other;

	ok &= map_at(other, MIB, PROT_READ | PROT_WRITE, MAP_FIXED_NOREPLACE) == MAP_FAILED &&
	      errno == EEXIST;
	fill(a, 4 * MIB, 7);
	return ok && is_filled(a, 4 * MIB, 7) && munmap(a, 4 * MIB) == 0 &&
	       munmap(b, 4 * MIB) == 0 && munmap(b + 1, PAGE) < 0 && errno == EINVAL;
}

static bool
raw_calls(void)
{
	char *at = (char *)syscall(
	    SYS_mmap, 0, 2 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool ok = at != MAP_FAILED;

	fill(at, 2 * MIB, 8);
	ok &= is_filled(at, 2 * MIB, 8);
	ok &= syscall(SYS_madvise, at, MIB, MADV_DONTNEED) == 0 && is_zero(at, MIB);
	ok &= syscall(SYS_munmap, at, 2 * MIB) == 0 && touch(at, false) == SIGSEGV;
	ok &= syscall(SYS_getppid) == getppid();
	return ok && syscall(SYS_close, -1) < 0 && errno == EBADF;
}

/* --- malloc --- */

static void *
allocator(void *argument)
{
	char *large = malloc(4 * MIB), *small[200];
	size_t good = 0;

	memset(large, 1, 4 * MIB);
	for (int i = 0; i < 200; i++)
		memset(small[i] = malloc(20000), i, 20000);
	for (int i = 0; i < 200; i++) {
		good += small[i][777] == (char)i && small[i][19999] == (char)i;
		free(small[i]);
	}
	good += large[4 * MIB - 1] == 1;
	free(large);
	(void)argument;
	return (void *)good;
}

static bool
threads_allocate(void)
{
	pthread_t threads[4];
	void *good;
	bool ok = true;

	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, allocator, NULL);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &good);
		ok &= (size_t)good == 201;
	}
	return ok;
}

static bool
realloc_grows(void)
{
	char *at = NULL, *zero;
	bool ok = true;

	for (size_t size = 128 * 1024; size <= 16 * MIB; size *= 2) {
		at = realloc(at, size);
		ok &= size == 128 * 1024 || at[size / 2 - 1] == (char)(size >> 17);
		at[size - 1] = (char)(size >> 16);
	}
	free(at);
	zero = calloc(1, 8 * MIB);
	ok &= is_zero(zero, 8 * MIB);
	free(zero);
	return ok;
}

static bool
heap_grows(void)
{
	char *start = sbrk(0), *at;
	bool ok = true;

	for (size_t i = 0; i < 160; i++) {
		at = sbrk(100000);
		ok &= at == start + i * 100000;
		memset(at, (int)i, 100000);
	}
	for (size_t i = 0; i < 160; i++)
		ok &= start[i * 100000] == (char)i && start[i * 100000 + 99999] == (char)i;
	ok &= sbrk(-8000000) == start + 16000000 && sbrk(0) == start + 8000000;
	ok &= sbrk(8000000) == start + 8000000;
	ok &= start[7999999] == 79 && is_zero(start + 8000000 + PAGE, 8000000 - 2 * PAGE);
	return ok && brk(start) == 0 && sbrk(0) == start;
}

/* --- the kernel's own ways to memory --- */

static bool
kernel_copies(void)
{
	char *at = map(2 * MIB), text[64];
	struct iovec from = { memory + 9 * MIB, 64 }, to = { text, 64 };
	unsigned char here[16];
	int ends[2];
	bool ok = pipe(ends) == 0;

	memset(text, 9, sizeof(text));
	ok &= write(ends[1], text, 64) == 64 && read(ends[0], at + MIB, 64) == 64;
	ok &= memcmp(at + MIB, text, 64) == 0;
	ok &= process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 64 &&
	      memcmp(text, memory + 9 * MIB, 64) == 0;
	ok &= mincore(memory, sizeof(here) * PAGE, here) == 0;
	close(ends[0]);
	close(ends[1]);
	return ok && munmap(at, 2 * MIB) == 0;
}

static bool
locks_hold(void)
{
	bool ok = mlock(memory + MIB, MIB) == 0 && mlock(memory + MIB, MIB) == 0;

	ok &= madvise(memory + MIB, PAGE, MADV_DONTNEED) < 0 && errno == EINVAL;
	ok &= munlock(memory + MIB, MIB) == 0;
	return ok && is_filled(memory, 4 * MIB, 1);
}

static bool
one_thread(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[128];
	int threads = 0;

	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "Threads: %d", &threads);
	if (file)
		fclose(file);
	return threads == 1;
}

static bool
numbers_are_low(void)
{
	int fd = dup(0);

	close(fd);
	return fd == 3;
}

/* --- children --- */

static bool
child_says(int (*body)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		alarm(LONGER_S);
		_exit(body());
	}
	return waitpid(pid, &status, 0) == pid && status == 0;
}

static int
child_nothing(void)
{
	return 0;
}

static int
child_libc(void)
{
	char *at = malloc(3 * MIB);

	memset(at, 1, 3 * MIB);
	printf("%s", "");
	free(at);
	exit(0);
}

static bool
child_libc_quietly(void)
{
	char *at = malloc(3 * MIB);
	bool ok;

	memset(at, 1, 3 * MIB);
	ok = at[3 * MIB - 1] == 1;
	free(at);
	return ok;
}

static int
child_reads(void)
{
	return is_filled(memory, MAIN, 1) ? 0 : 1;
}

static int
child_writes(void)
{
	fill(memory, THEIRS, 99);
	return is_filled(memory, THEIRS, 99) &&
		       is_filled(memory + THEIRS, MORE - THEIRS, 1 + THEIRS / PAGE * 7)
		   ? 0
		   : 1;
}

static int
child_guard(void)
{
	return touch(memory + 5 * MIB, false) == SIGSEGV ? 0 : 1;
}

static bool
children_have_copies(void)
{
	bool ok = child_says(child_nothing) && child_says(child_libc) && child_says(child_reads);

	ok &= child_says(child_writes) && is_filled(memory, MAIN, 1);
	mprotect(memory + 5 * MIB, PAGE, PROT_NONE);
	ok &= child_says(child_guard);
	return ok && mprotect(memory + 5 * MIB, PAGE, PROT_READ | PROT_WRITE) == 0;
}

/* --- children of clone --- */

static int
clone_body(void *argument)
{
	/* Its stack is managed, too, and so is what malloc has. */
	return child_writes() == 0 && child_libc_quietly() && argument == memory ? 5 : 1;
}

static bool
clone_ends(pid_t pid)
{
	int status = -1;

	return pid > 0 && waitpid(pid, &status, __WALL) == pid && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 5 && is_filled(memory, MORE, 1);
}

static bool
clones_have_copies(void)
{
	char *stack = map(2 * MIB), *top = stack + 2 * MIB;
	pid_t *numbers = (pid_t *)stack;
	bool ok;

	memset(stack, 0, 2 * MIB);
	ok = clone_ends(clone(clone_body, top, SIGCHLD, memory));
	ok &= clone_ends(clone(clone_body, top, SIGCHLD | CLONE_FILES, memory));
	ok &= clone_ends(clone(clone_body, top, SIGCHLD | CLONE_VFORK, memory));
	ok &= clone_ends(clone(clone_body, top,
	    SIGCHLD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID, memory,
	    &numbers[0], NULL, &numbers[1]));
	ok &= numbers[0] > 0 && numbers[1] == 0;
	return ok && is_filled(memory, MAIN, 1) && munmap(stack, 2 * MIB) == 0;
}

static bool
clones_by_number(void)
{
	uint64_t wanted[8] = { [4] = SIGCHLD };
	bool ok = true;
	pid_t pid;

	pid = (pid_t)syscall(SYS_fork);
	if (pid == 0)
		_exit(clone_body(memory));
	ok &= clone_ends(pid);
	pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		_exit(clone_body(memory));
	ok &= clone_ends(pid);
	pid = (pid_t)syscall(SYS_clone3, wanted, sizeof(wanted));
	if (pid == 0)
		_exit(clone_body(memory));
	ok &= clone_ends(pid);
	return ok && is_filled(memory, MAIN, 1) && syscall(SYS_clone3, NULL, 0) < 0 &&
	       errno == EINVAL;
}

static bool
programs_are_started(void)
{
	char *arguments[] = { "true", NULL };
	int status = -1;
	pid_t pid;
	bool ok = posix_spawn(&pid, "/bin/true", NULL, NULL, arguments, environ) == 0;

	ok &= waitpid(pid, &status, 0) == pid && status == 0;
	ok &= system("exit 3") == 3 << 8;
	pid = vfork();
	if (pid == 0) {
		execv("/bin/true", arguments);
		_exit(9);
	}
	return ok && waitpid(pid, &status, 0) == pid && status == 0;
}

static bool
shared_stays_shared(void)
{
	char *at = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		at[5] = 2;
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	return at[5] == 2 && munmap(at, 4 * MIB) == 0;
}

static bool
descriptors_may_be_closed(void)
{
	char *at;

	closefrom(3);
	at = map(2 * MIB);
	fill(at, 2 * MIB, 10);
	return is_filled(memory, MAIN, 1) && is_filled(at, 2 * MIB, 10) && munmap(at, 2 * MIB) == 0;
}

static const struct expectation {
	const char *text;
	bool (*holds)(void);
} expectations[] = {
	{ "content stays", content_stays },
	{ "MADV_DONTNEED and MADV_FREE", dontneed_is_zero },
	{ "hints are taken, nonsense is not", hints_are_taken },
	{ "PROT_NONE and PROT_READ fault, and content stays", guards_fault },
	{ "mremap grows and shrinks", growth_keeps },
	{ "MREMAP_FIXED", moves_fixed },
	{ "parts are unmapped and mapped over", parts_are_replaced },
	{ "reservations are committed in parts", reservations_are_used },
	{ "hints of an address, MAP_FIXED_NOREPLACE", hints_of_address },
	{ "syscall(2) by number", raw_calls },
	{ "the process has one thread", one_thread },
	{ "the next descriptor is 3", numbers_are_low },
	{ "four threads allocate", threads_allocate },
	{ "realloc grows, calloc is zero", realloc_grows },
	{ "the heap grows and shrinks", heap_grows },
	{ "pipes, process_vm_readv, mincore", kernel_copies },
	{ "mlock and munlock", locks_hold },
	{ "MAP_SHARED is shared with a child", shared_stays_shared },
	{ "children have copies of their own", children_have_copies },
	{ "children of clone have copies, too", clones_have_copies },
	{ "and those of fork, clone and clone3 by number", clones_by_number },
	{ "posix_spawn, system, vfork", programs_are_started },
	{ "descriptors may be closed", descriptors_may_be_closed },
};

int
main(void)
{
	struct sigaction action = { .sa_handler = on_fault };
	int broken = 0;

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	for (size_t i = 0; i < sizeof(expectations) / sizeof(expectations[0]); i++) {
		bool holds = expectations[i].holds();

		printf("%s %s\n", holds ? "ok" : "BROKEN", expectations[i].text);
		fflush(stdout);
		broken += !holds;
	}
	return broken > 0;
}
