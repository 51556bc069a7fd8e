/* SPDX-License-Identifier: MIT */
#include "data_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pattern.h"

#define CHUNK_UNITS 256u

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

/* As the system call has them since Linux 6.5. */
struct range {
	uint64_t offset, bytes;
};
struct cached {
	uint64_t cached, dirty, writeback, evicted, recently_evicted;
};

static int
chunk_write(int fd, const char *chunk, size_t bytes, off_t at)
{
	size_t done = 0;
	ssize_t n;

	while (done < bytes) {
		n = pwrite(fd, chunk + done, bytes - done, at + (off_t)done);
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

static int
file_fill(int fd, uint64_t object, uint64_t units, const struct pool *pool)
{
	char *chunk = malloc((size_t)CHUNK_UNITS * UNIT_BYTES);
	int error = chunk ? 0 : -ENOMEM;

	for (uint64_t first = 0; first < units && !error; first += CHUNK_UNITS) {
		uint64_t count = units - first < CHUNK_UNITS ? units - first : CHUNK_UNITS;

		for (uint64_t i = 0; i < count; i++)
			page_fill(chunk + i * UNIT_BYTES, object, first + i, 0, pool);
		error = chunk_write(fd, chunk, count * UNIT_BYTES, (off_t)(first * UNIT_BYTES));
	}
	free(chunk);
	return error;
}

int
data_file_make(
    const char *directory, uint64_t object, uint64_t units, const struct pool *pool, int *ret_fd)
{
	char path[300];
	int fd, error;

	if (snprintf(path, sizeof(path), "%s/pagerbench.XXXXXX", directory) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	unlink(path);
	error = file_fill(fd, object, units, pool);
	if (!error)
		error = data_file_drop(fd);
	if (error)
		close(fd);
	else
		*ret_fd = fd;
	return error;
}

int
data_file_drop(int fd)
{
	if (fsync(fd))
		return -errno;
	return -posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

uint64_t
data_file_cached_bytes(int fd)
{
	struct range all = { 0, 0 };
	struct cached cached;

	if (syscall(SYS_cachestat, fd, &all, &cached, 0))
		return 0;
	return cached.cached * (uint64_t)sysconf(_SC_PAGESIZE);
}

int
data_file_read(int fd, uint64_t page, void *unit)
{
	ssize_t n = pread(fd, unit, UNIT_BYTES, (off_t)(page * UNIT_BYTES));

	return n == UNIT_BYTES ? 0 : n < 0 ? -errno : -EIO;
}
