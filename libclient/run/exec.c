/* SPDX-License-Identifier: MIT
 *
 * execve: programs that will have nothing managed are counted, and a program with a sanitizer is
 * not given this library, with which it would not start. posix_spawn, system and the other exec
 * functions of libc come here, too. Runs on: the program's threads, also in children of vfork(2),
 * whose memory is their parents': with no lock, and without malloc.
 */
#include <alloca.h>
#include <string.h>

#include "exec_look.h"
#include "run.h"

#define PRELOAD        "LD_PRELOAD="
#define PRELOAD_LENGTH (sizeof(PRELOAD) - 1)
#define VARIABLES_MAX  2048 /* of an environment that is copied, to the stack */
#define PRELOAD_MAX    4096

/* => the place of LD_PRELOAD in an environment, and in *ret_count how many variables that has. -1:
 * there is none */
static long
preload_place(char *const *environment, size_t *ret_count)
{
	long place = -1;
	size_t i = 0;

	for (; environment && environment[i]; i++)
		if (strncmp(environment[i], PRELOAD, PRELOAD_LENGTH) == 0)
			place = (long)i;
	*ret_count = i;
	return place;
}

/* => PAGER_RUN_REASONS: what it starts can be managed, or nobody knows */
static enum pager_run_reason
reason_of(enum exec_kind kind, bool is_preloaded)
{
	switch (kind) {
	case EXEC_STATIC:
		return PAGER_RUN_STATIC;
	case EXEC_SANITIZER:
		return PAGER_RUN_SANITIZER;
	case EXEC_FOREIGN:
		return PAGER_RUN_FOREIGN;
	case EXEC_PRIVILEGED:
		return PAGER_RUN_PRIVILEGED;
	case EXEC_DYNAMIC:
		return is_preloaded ? PAGER_RUN_REASONS : PAGER_RUN_ENVIRONMENT;
	default:
		return PAGER_RUN_REASONS;
	}
}

/* The same environment without this library. => the kernel's -errno */
static long
exec_without(
    const char *path, char *const *arguments, char *const *environment, size_t count, size_t place)
{
	char **copy = alloca((count + 1) * sizeof(*copy));
	size_t bytes = strlen(environment[place]) + 1;
	char *list = alloca(bytes);

	memcpy(copy, environment, (count + 1) * sizeof(*copy));
	memcpy(list, environment[place], bytes);
	exec_preload_remove(list + PRELOAD_LENGTH, run.self);
	copy[place] = list;
	return raw_call(
	    SYS_execve, (uintptr_t)path, (uintptr_t)arguments, (uintptr_t)copy, 0, 0, 0);
}

int
run_execve(const char *path, char *const *arguments, char *const *environment)
{
	size_t count;
	long place = preload_place(environment, &count), r;
	bool is_preloaded =
	    place >= 0 && exec_preload_has(environment[place] + PRELOAD_LENGTH, run.self);
	enum exec_kind kind = path && (is_preloaded || run.page) ? exec_look(path) : EXEC_UNKNOWN;
	enum pager_run_reason reason = reason_of(kind, is_preloaded);

	if (reason != PAGER_RUN_REASONS)
		run_count(reason, 1, 0);
	if (kind == EXEC_SANITIZER && is_preloaded && count < VARIABLES_MAX &&
	    strlen(environment[place]) < PRELOAD_MAX)
		r = exec_without(path, arguments, environment, count, (size_t)place);
	else
		r = raw_call(SYS_execve, (uintptr_t)path, (uintptr_t)arguments,
		    (uintptr_t)environment, 0, 0, 0);
	/* It has failed, and this program goes on. */
	if (reason != PAGER_RUN_REASONS)
		run_count(reason, -1, 0);
	return (int)run_syscall_failed(r);
}
