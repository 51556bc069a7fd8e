/* SPDX-License-Identifier: MIT */
#include "standard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Opens /dev/null in the wrong direction: a stream that was closed cannot be used afterwards
 * either, and the program that tries gets an error. open takes the lowest free number, which is the
 * missing one, because those below it have been looked at. */
static int
fill(int fd)
{
	int got = open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);

	/* If there is no /dev: a descriptor of a path only, which can be neither read nor written.
	 */
	if (got < 0 && errno != EMFILE && errno != ENFILE)
		got = open("/", O_PATH);
	return got == fd ? 0 : got < 0 ? -errno : -EBADF;
}

void
standard_open(const char *program)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		int error;

		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		error = fill(fd);
		if (error) {
			fprintf(stderr,
			    "%s: descriptor %d is closed, and nothing can be put there: %s\n",
			    program, fd, strerror(-error));
			exit(1);
		}
	}
}

int
standard_finish(const char *program, int status)
{
	/* The stream remembers that a write failed earlier, but not with which errno. */
	bool failed = ferror(stdout) != 0;

	if (status != 0)
		return status;
	errno = 0;
	if (fclose(stdout) == 0 && !failed)
		return 0;
	fprintf(stderr, "%s: cannot write the output%s%s\n", program, errno ? ": " : "",
	    errno ? strerror(errno) : "");
	return 1;
}
