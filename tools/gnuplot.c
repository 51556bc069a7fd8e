/* SPDX-License-Identifier: MIT
 *
 * Script and picture go through temporary files and not through pipes, so that neither side waits
 * for the other.
 */
#include "gnuplot.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATUS_NO_PROGRAM 127

static int
gnuplot_run(FILE *script, FILE *picture)
{
	int status;
	pid_t pid;

	if (fflush(script) != 0)
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		/* The descriptor stands at the end of what was written. */
		if (dup2(fileno(script), STDIN_FILENO) >= 0 &&
		    dup2(fileno(picture), STDOUT_FILENO) >= 0 &&
		    lseek(STDIN_FILENO, 0, SEEK_SET) == 0)
			execlp("gnuplot", "gnuplot", "-", (char *)NULL);
		_exit(STATUS_NO_PROGRAM);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (WIFEXITED(status) && WEXITSTATUS(status) == STATUS_NO_PROGRAM)
		return -ENOENT;
	return status == 0 ? 0 : -EPROTO;
}

static int
file_copy(FILE *from, FILE *to)
{
	char buf[8192];
	size_t bytes;

	rewind(from);
	while ((bytes = fread(buf, 1, sizeof(buf), from)) > 0)
		if (fwrite(buf, 1, bytes, to) != bytes)
			return -errno;
	return ferror(from) ? -EIO : 0;
}

int
gnuplot_draw(FILE *script, FILE *to)
{
	FILE *picture = tmpfile();
	int error;

	if (picture == NULL)
		return -errno;
	error = gnuplot_run(script, picture);
	if (error == 0)
		error = file_copy(picture, to);
	fclose(picture);
	return error;
}

const char *
gnuplot_strerror(int error)
{
	switch (error) {
	case -ENOENT:
		return "gnuplot is not installed (apt-get install gnuplot-nox)";
	case -EPROTO:
		return "gnuplot failed";
	default:
		return strerror(-error);
	}
}

void
gnuplot_quote(FILE *script, const char *text)
{
	fputc('\'', script);
	for (; *text != '\0'; text++) {
		/* Doubled, a quotation mark stands for itself. */
		if (*text == '\'')
			fputc('\'', script);
		fputc(*text, script);
	}
	fputc('\'', script);
}
