/* SPDX-License-Identifier: MIT */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "message.h"

/* Gives the temporary file the rights of the file that it replaces, or of a new file. */
static int
temporary_rights(int fd, const struct stat *old)
{
	mode_t mask;

	if (old != NULL) {
		/* A user who may not change the owner keeps the file. */
		if (fchown(fd, old->st_uid, old->st_gid) != 0 && errno != EPERM)
			return -errno;
		return fchmod(fd, old->st_mode & 0777) == 0 ? 0 : -errno;
	}
	mask = umask(0);
	umask(mask);
	return fchmod(fd, 0666 & ~mask) == 0 ? 0 : -errno;
}

/* => a descriptor or a negative errno */
static int
temporary_open(struct output *o, const struct stat *old)
{
	static const char ending[] = ".XXXXXX";
	size_t bytes = strlen(o->path) + sizeof(ending);
	int fd, error;

	o->temporary = malloc(bytes);
	if (o->temporary == NULL)
		return -ENOMEM;
	snprintf(o->temporary, bytes, "%s%s", o->path, ending);
	fd = mkostemp(o->temporary, O_CLOEXEC);
	if (fd < 0) {
		error = -errno;
		free(o->temporary);
		o->temporary = NULL;
		return error;
	}
	error = temporary_rights(fd, old);
	if (error != 0) {
		close(fd);
		return error;
	}
	return fd;
}

/* => a descriptor or a negative errno */
static int
output_descriptor(struct output *o, const char *path)
{
	struct stat st;
	bool exists = stat(path, &st) == 0;
	int fd;

	if (exists && !S_ISREG(st.st_mode)) {
		fd = open(path, O_WRONLY | O_CLOEXEC);
		return fd < 0 ? -errno : fd;
	}
	/* A symbolic link stays: its target is replaced. */
	o->path = exists ? realpath(path, NULL) : strdup(path);
	if (o->path == NULL)
		return -errno;
	if (exists && access(o->path, W_OK) != 0)
		return -errno;
	return temporary_open(o, exists ? &st : NULL);
}

static void
output_release(struct output *o)
{
	free(o->temporary);
	free(o->path);
	o->temporary = o->path = NULL;
}

int
output_open(struct output *o, const char *path)
{
	bool to_stdout = path == NULL || strcmp(path, "-") == 0;
	int fd, error;

	*o = (struct output){ .name = to_stdout ? "standard output" : path };
	if (to_stdout) {
		o->file = stdout;
		return 0;
	}
	fd = output_descriptor(o, path);
	if (fd >= 0)
		o->file = fdopen(fd, "w");
	if (o->file != NULL)
		return 0;
	error = fd < 0 ? fd : -errno;
	if (fd >= 0)
		close(fd);
	if (o->temporary != NULL)
		unlink(o->temporary);
	output_release(o);
	return error_print(error, "%s: %s", o->name, strerror(-error));
}

int
output_failed(struct output *o)
{
	if (!o->failed)
		error_print(-EIO, "%s: %s", o->name, strerror(errno));
	o->failed = true;
	return -EIO;
}

int
output_close(struct output *o, bool good)
{
	int error = 0;

	if (o->file == NULL)
		return 0;
	if (o->file == stdout)
		return fflush(stdout) == 0 && !ferror(stdout) ? 0 : output_failed(o);
	if (ferror(o->file))
		error = output_failed(o);
	if (fclose(o->file) != 0)
		error = output_failed(o);
	o->file = NULL;
	if (o->temporary != NULL) {
		if (!good || error != 0)
			unlink(o->temporary);
		else if (rename(o->temporary, o->path) != 0) {
			error = output_failed(o);
			unlink(o->temporary);
		}
	}
	output_release(o);
	return error;
}
