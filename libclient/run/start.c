/* SPDX-License-Identifier: MIT
 *
 * Where it begins: libc's functions for memory are replaced, for all callers, libc's malloc
 * included. Each is one system call, and nothing of it is needed any more. Where one of them cannot
 * be replaced none is, and the program runs as without this library. Runs on: the thread that
 * starts the program, before the program.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/single_threaded.h>

#include "run.h"

#define REPLACED(name)                                                                             \
	{                                                                                          \
#name, (patch_function *)(uintptr_t)run_##name                                     \
	}
static const struct {
	const char *name;
	patch_function *instead;
} replaced[] = {
	REPLACED(mmap),
	REPLACED(munmap),
	REPLACED(mprotect),
	REPLACED(pkey_mprotect),
	REPLACED(mremap),
	REPLACED(madvise),
	REPLACED(brk),
	REPLACED(sbrk),
	REPLACED(mlock),
	REPLACED(mlock2),
	REPLACED(munlock),
	REPLACED(mlockall),
	REPLACED(munlockall),
	REPLACED(execve),
	REPLACED(ioctl),
	REPLACED(syscall),
};
#define COUNT (sizeof(replaced) / sizeof(replaced[0]))

/* Of the numbers that entry.S has; it does all others itself. */
long
run_syscall_replaced(long number, long a, long b, long c, long d, long e, long f)
{
	switch (number) {
	case SYS_mmap:
		return (long)run_mmap((void *)a, (size_t)b, (int)c, (int)d, (int)e, f);
	case SYS_mprotect:
		return run_mprotect((void *)a, (size_t)b, (int)c);
	case SYS_pkey_mprotect:
		return run_pkey_mprotect((void *)a, (size_t)b, (int)c, (int)d);
	case SYS_munmap:
		return run_munmap((void *)a, (size_t)b);
	case SYS_brk:
		return (long)run_brk_call((void *)a);
	case SYS_mremap:
		return (long)run_mremap((void *)a, (size_t)b, (size_t)c, (int)d, (void *)e);
	case SYS_madvise:
		return run_madvise((void *)a, (size_t)b, (int)c);
	case SYS_mlock:
		return run_mlock((void *)a, (size_t)b);
	case SYS_munlock:
		return run_munlock((void *)a, (size_t)b);
	case SYS_mlockall:
		return run_mlockall((int)a);
	case SYS_munlockall:
		return run_munlockall();
	case SYS_fork:
		return run_clone_call(SIGCHLD, 0, 0, 0, 0);
	case SYS_clone:
		return run_clone_call(
		    (uint64_t)a, (uint64_t)b, (uint64_t)c, (uint64_t)d, (uint64_t)e);
	case SYS_clone3:
		return run_clone3_call((const void *)a, (size_t)b);
	case SYS_ioctl:
		return run_ioctl((int)a, (unsigned long)b, (void *)c);
	case SYS_execve:
		return run_execve((const char *)a, (char *const *)b, (char *const *)c);
	default: /* SYS_mlock2 */
		return run_mlock2((void *)a, (size_t)b, (unsigned)c);
	}
}

/* The program may change its environment before it has memory to be managed. => 0 or -errno */
static int
socket_note(void)
{
	return chan_default_path(run.socket, sizeof(run.socket));
}

/* => whether libc's functions are replaced; else the program runs as without this library */
static bool
functions_replace(void)
{
	struct patch_over functions[COUNT];

	for (size_t i = 0; i < COUNT; i++) {
		functions[i].function = libc_function(replaced[i].name, PATCH_OVER_BYTES);
		functions[i].instead = replaced[i].instead;
		if (!functions[i].function)
			return false;
	}
	if (!__libc_single_threaded || socket_note() < 0 || fork_surround(&run_fork) < 0)
		return false;
	run.state = RUN_WAITING;
	if (run_clone_replace() && patch_over(functions, COUNT) == 0)
		return true;
	run.state = RUN_OFF;
	return false;
}

/* A sanitizer has mappings of its own beside the program's, which it believes to know. What is
 * linked into the program is seen here, a library of it by whoever starts the program. */
extern void __asan_init(void) __attribute__((weak));
extern void __hwasan_init(void) __attribute__((weak));
extern void __lsan_init(void) __attribute__((weak));
extern void __msan_init(void) __attribute__((weak));
extern void __tsan_init(void) __attribute__((weak));

__attribute__((constructor)) static void
run_start(void)
{
	run_told();
	object_path((uintptr_t)run_start, run.self, sizeof(run.self));
	if (__asan_init || __hwasan_init || __lsan_init || __msan_init || __tsan_init)
		run_count(PAGER_RUN_SANITIZER, 1, 0);
	else if (!functions_replace())
		run_count(PAGER_RUN_LIBC, 1, 0);
}
