/* SPDX-License-Identifier: MIT
 *
 * The floors of the disk: io_uring with O_DIRECT, as in a pager's swap.
 */
#include "floors.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "histogram.h"
#include "rng.h"
#include "ticks.h"

#define FILE_BYTES  ((uint64_t)192 << 20)
#define READ_BYTES  4096u
#define WRITE_BYTES (256u << 10)
#define READS       3000u
#define DEPTH       4u

/* Makes a file and unlinks it at once, so that nothing can be left. => its descriptor or -errno. */
static int
file_make(const char *directory)
{
	char path[512];
	int fd, error;

	snprintf(path, sizeof(path), "%s/pagerbench-floor.%d", directory, (int)getpid());
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_DIRECT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	unlink(path);
	error = posix_fallocate(fd, 0, (off_t)FILE_BYTES);
	if (error) {
		close(fd);
		return -error;
	}
	return fd;
}

/* Waits for one completion. => its bytes or -errno. */
static int
complete_one(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int result = io_uring_wait_cqe(ring, &cqe);

	if (result)
		return result;
	result = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return result;
}

static int
write_all(struct io_uring *ring, int fd, char *buffer)
{
	uint64_t at = 0;
	unsigned in_flight = 0;
	int result;

	while (at < FILE_BYTES || in_flight) {
		while (at < FILE_BYTES && in_flight < DEPTH) {
			struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

			io_uring_prep_write(sqe, fd,
			    buffer + (at / WRITE_BYTES % DEPTH) * WRITE_BYTES, WRITE_BYTES, at);
			at += WRITE_BYTES;
			in_flight++;
		}
		io_uring_submit(ring);
		result = complete_one(ring);
		if (result != (int)WRITE_BYTES)
			return result < 0 ? result : -EIO;
		in_flight--;
	}
	return 0;
}

static int
read_some(struct io_uring *ring, int fd, char *buffer, struct histogram *h)
{
	struct rng r = { 3 };

	for (unsigned i = 0; i < READS; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
		uint64_t t0 = ticks_now();
		int result;

		io_uring_prep_read(sqe, fd, buffer, READ_BYTES,
		    rng_below(&r, FILE_BYTES / READ_BYTES) * READ_BYTES);
		io_uring_submit(ring);
		result = complete_one(ring);
		if (result != (int)READ_BYTES)
			return result < 0 ? result : -EIO;
		histogram_record(h, ticks_to_ns(ticks_now() - t0));
	}
	return 0;
}

/* Writes the file (timed when ret_bytes_per_s), then reads pages of it (when ret_p50_ns). */
static int
disk_run(const char *directory, double *ret_bytes_per_s, double *ret_p50_ns)
{
	struct histogram *h = calloc(1, sizeof(*h));
	int fd = file_make(directory), error = 0;
	struct io_uring ring;
	struct rng r = { 5 };
	uint64_t start_ns;
	char *buffer;

	if (fd < 0 || !h) {
		free(h);
		return fd < 0 ? fd : -ENOMEM;
	}
	buffer = aligned_alloc(4096, DEPTH * WRITE_BYTES);
	error = buffer ? io_uring_queue_init(DEPTH, &ring, 0) : -ENOMEM;
	if (!error) {
		for (size_t i = 0; i < DEPTH * WRITE_BYTES; i += 8) {
			uint64_t v = rng_next(&r);

			memcpy(buffer + i, &v, 8);
		}
		/* The first pass allocates the file's blocks: a swap file is written many times. */
		error = write_all(&ring, fd, buffer);
		start_ns = clock_now_ns();
		if (!error && ret_bytes_per_s) {
			error = write_all(&ring, fd, buffer);
			*ret_bytes_per_s =
			    (double)FILE_BYTES * 1e9 / (double)(clock_now_ns() - start_ns);
		}
		if (!error && ret_p50_ns) {
			error = read_some(&ring, fd, buffer, h);
			*ret_p50_ns = (double)histogram_percentile(h, 0.5);
		}
		io_uring_queue_exit(&ring);
	}
	free(buffer);
	free(h);
	close(fd);
	return error;
}

int
floor_read(const char *directory, double *ret_p50_ns)
{
	return disk_run(directory, NULL, ret_p50_ns);
}

int
floor_write(const char *directory, double *ret_bytes_per_s)
{
	return disk_run(directory, ret_bytes_per_s, NULL);
}
