/* SPDX-License-Identifier: MIT
 *
 * Swap on a block device: files are equal parts of it, behind its first MiB. What is given back is
 * discarded. That the device is swap's is written at its beginning, and a device that holds
 * anything else is refused: nothing of anybody's is written over. While it is in use nobody else
 * can mount it or take it for swap (O_EXCL).
 *
 * Runs on: the thread that starts and stops swap, and the thread in swap_balance. No lock is held.
 * Blocks.
 */
#include "swap_priv.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "failpt.h"
#include "log.h"
#include "swapparts.h"
#include "swaptables.h"

/* Every file system, volume manager and table of partitions leaves a mark within these bytes. */
#define HEAD_BYTES (128u << 10)

/* How often a device is tried that is in use; a second in all. */
#define BUSY_TRIES 50

static const char mark[] = "pagerd swap 1\n";

struct device {
	int fd;
	bool direct;
	struct swap_parts parts;
};

/* => whether it is empty, or swap's already */
static int
head_check(int fd, char *head)
{
	size_t done = 0;

	while (done < HEAD_BYTES) {
		ssize_t n = pread(fd, head + done, HEAD_BYTES - done, (off_t)done);

		if (n == 0)
			return -ENOSPC;
		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	if (memcmp(head, mark, sizeof(mark)) == 0)
		memset(head, 0, sizeof(mark));
	for (size_t i = 0; i < HEAD_BYTES; i++)
		if (head[i] != 0)
			return -EEXIST;
	return 0;
}

/* The rings of a daemon that has just been killed keep the device for some moments, of whose end
 * nobody is told. => the descriptor, or -errno */
static int
exclusive_open(const char *path)
{
	const struct timespec moment = { .tv_nsec = 20000000 };

	for (int tries = 0;; tries++) {
		int fd = open(path, O_RDWR | O_EXCL | O_CLOEXEC);

		if (fd >= 0 || errno != EBUSY || tries == BUSY_TRIES)
			return fd < 0 ? -errno : fd;
		nanosleep(&moment, NULL);
	}
}

/* => the device's descriptor, its head checked and marked, or -errno */
static int
device_take(const char *path)
{
	char *head = aligned_alloc(SWAP_ALIGN, HEAD_BYTES);
	int fd = -1, error = head ? 0 : -ENOMEM;
	struct stat st;

	/* A fifo, say, would not be opened before somebody writes to it. */
	if (!error && stat(path, &st) < 0)
		error = -errno;
	else if (!error && !S_ISBLK(st.st_mode))
		error = -ENOTBLK;
	if (!error) {
		fd = exclusive_open(path);
		error = fd < 0 ? fd : 0;
	}
	if (!error)
		error = head_check(fd, head);
	if (!error) {
		memcpy(head, mark, sizeof(mark));
		if (pwrite(fd, head, SWAP_ALIGN, 0) != (ssize_t)SWAP_ALIGN || fsync(fd) < 0)
			error = errno ? -errno : -EIO;
	}
	free(head);
	if (error && fd >= 0)
		close(fd);
	return error ? error : fd;
}

static int
device_open(struct swap_backend *b, struct swap_fault *fault)
{
	struct device *v = calloc(1, sizeof(*v));
	unsigned number = (unsigned)(b - b->swap->backends);
	uint64_t bytes = 0;
	int error = 0, sector = 0;
	bool is_kept;

	if (!v)
		return -ENOMEM;
	v->fd = swap_tables_take(b->swap, SWAP_KEPT_PLACE, number);
	is_kept = v->fd >= 0;
	if (!is_kept)
		v->fd = device_take(b->where);
	if (v->fd < 0)
		error = v->fd;
	else if (ioctl(v->fd, BLKGETSIZE64, &bytes) < 0 || ioctl(v->fd, BLKSSZGET, &sector) < 0)
		error = -errno;
	else
		error = swap_parts_init(&v->parts, b, bytes);
	if (error) {
		if (v->fd >= 0)
			close(v->fd);
		free(v);
		return error;
	}
	/* Transfers begin and end at multiples of SWAP_SECTOR. */
	v->direct = sector <= (int)SWAP_SECTOR && fcntl(v->fd, F_SETFL, O_RDWR | O_DIRECT) == 0;
	b->own = v;
	if (!is_kept)
		swap_tables_keep(b->swap, SWAP_KEPT_PLACE, number, v->fd);
	return 0;
}

static void
device_close(struct swap_backend *b)
{
	struct device *v = b->own;

	swap_parts_fini(&v->parts);
	close(v->fd);
	free(v);
}

static int
device_file_create(struct swap_backend *b, unsigned number, uint64_t bytes, struct swap_extent *ret)
{
	struct device *v = b->own;
	int error = failpt_hit(FAIL_SWAP_CREATE_ENOSPC);

	if (error)
		return error;
	*ret = (struct swap_extent){ .fd = v->fd, .direct = v->direct };
	return swap_parts_take(&v->parts, bytes, &ret->offset);
}

static void
device_file_delete(
    struct swap_backend *b, unsigned number, uint64_t bytes, struct swap_extent extent)
{
	struct device *v = b->own;
	uint64_t range[2] = { extent.offset, bytes };

	/* Many cannot. */
	if (ioctl(v->fd, BLKDISCARD, range) < 0)
		log_debug_limited("swap: %s: no discard: %s", b->where, strerror(errno));
	swap_parts_give(&v->parts, extent.offset);
}

static int
device_file_adopt(struct swap_backend *b, unsigned number, struct swap_extent *extent)
{
	struct device *v = b->own;

	extent->fd = v->fd;
	extent->direct = v->direct;
	return swap_parts_adopt(&v->parts, extent->offset) ? 0 : -EPROTO;
}

const struct swap_backend_ops swapdevice_ops = {
	.kind = SWAP_DEVICE,
	.open = device_open,
	.close = device_close,
	.file_create = device_file_create,
	.file_delete = device_file_delete,
	.file_adopt = device_file_adopt,
};
