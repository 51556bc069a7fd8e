/* SPDX-License-Identifier: MIT
 *
 * Runs a command by the shell, for tests of programs.
 */
#ifndef D_COMMAND_H
#define D_COMMAND_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <cmocka.h>

/* `output` has what the command writes to its standard output. => its exit status; the test fails
 * if a signal ends it */
static inline int
command_run(const char *command, char *output, size_t output_size)
{
	FILE *pipe = popen(command, "r");
	int status;

	assert_non_null(pipe);
	output[fread(output, 1, output_size - 1, pipe)] = '\0';
	status = pclose(pipe);
	if (!WIFEXITED(status))
		fail_msg("%s: ended by signal %d", command, WTERMSIG(status));
	return WEXITSTATUS(status);
}

#endif
