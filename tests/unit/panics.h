/* SPDX-License-Identifier: MIT
 *
 * Functions that must panic (base/check.h), each run in a child.
 */
#ifndef TESTS_PANICS_H
#define TESTS_PANICS_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* => whether body panics, with this text in the panic's message. Any other end but a return fails
 * the test. */
static inline bool
panics(void (*body)(void *argument), void *argument, const char *text)
{
	const struct rlimit none = { 0, 0 };
	char message[8192] = "";
	size_t used = 0;
	int ends[2], status;
	ssize_t got;
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		setrlimit(RLIMIT_CORE, &none);
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		/* cmocka would catch it. */
		signal(SIGABRT, SIG_DFL);
		body(argument);
		_exit(0);
	}
	close(ends[1]);
	while (used < sizeof(message) - 1 &&
	       (got = read(ends[0], message + used, sizeof(message) - 1 - used)) > 0)
		used += (size_t)got;
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return false;
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || !strstr(message, "panic: "))
		fail_msg("no panic: status %x: %s", (unsigned)status, message);
	return strstr(message, text) != NULL;
}

#endif
