/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int
file_read(const char *path, char *buf, size_t buf_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), error = 0;
	ssize_t got;

	if (fd < 0)
		return -errno;
	got = read(fd, buf, buf_size - 1);
	if (got < 0)
		error = -errno;
	close(fd);
	if (error)
		return error;
	buf[got] = '\0';
	if (got && buf[got - 1] == '\n')
		buf[got - 1] = '\0';
	return 0;
}

int
file_write(const char *path, const char *text)
{
	size_t size = strlen(text);
	int fd = open(path, O_WRONLY | O_CLOEXEC), error = 0;
	ssize_t put;

	if (fd < 0)
		return -errno;
	put = write(fd, text, size);
	if (put < 0)
		error = -errno;
	else if ((size_t)put != size)
		error = -EIO;
	close(fd);
	return error;
}

double
process_cpu_seconds(pid_t pid)
{
	struct timespec used;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &used))
		return 0.0;
	return (double)used.tv_sec + (double)used.tv_nsec * 1e-9;
}

/* => the number after `name` in a file of "name value" lines; 0: there is none. */
static uint64_t
field_read(const char *path, const char *name)
{
	size_t length = strlen(name);
	uint64_t value = 0;
	char line[256];
	FILE *f = fopen(path, "re");

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, name, length) == 0) {
			value = strtoull(line + length, NULL, 10);
			break;
		}
	fclose(f);
	return value;
}

uint64_t
process_write_bytes(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/io", (int)pid);
	return field_read(path, "write_bytes: ");
}

uint64_t
process_private_bytes(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	return field_read(path, "RssAnon:\t") * 1024;
}

uint64_t
swapped_out_bytes(void)
{
	return field_read("/proc/vmstat", "pswpout ") * (uint64_t)sysconf(_SC_PAGESIZE);
}

void
directory_remove(const char *path)
{
	char *const roots[] = { (char *)path, NULL };
	FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
	FTSENT *e;

	if (!walk)
		return;
	while ((e = fts_read(walk))) {
		if (e->fts_info == FTS_DP)
			rmdir(e->fts_accpath);
		else if (e->fts_info != FTS_D)
			unlink(e->fts_accpath);
	}
	fts_close(walk);
}

const char *
program_find(
    const char *variable, const char *const *places, const char *name, char *buf, size_t buf_size)
{
	char self[PATH_MAX];
	ssize_t length;

	if (getenv(variable))
		return getenv(variable);
	length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (length > 0) {
		self[length] = '\0';
		*(strrchr(self, '/') + 1) = '\0';
		for (; *places; places++)
			if ((size_t)snprintf(buf, buf_size, "%s%s", self, *places) < buf_size &&
			    access(buf, X_OK) == 0)
				return buf;
	}
	return name;
}
