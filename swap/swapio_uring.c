/* SPDX-License-Identifier: MIT
 *
 * Channel I/O by io_uring: the only file that includes liburing.h. The ring's own descriptor is
 * polled: it is readable while there are completions, and saves the write and read for each
 * completion that an eventfd would cost. Buffers and files are registered if the kernel allows it;
 * otherwise plain reads, writes and descriptors are used.
 *
 * Runs on: the channel's thread. Any thread may create and destroy the channel, hence no
 * SINGLE_ISSUER.
 */
#include "swap_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <sched.h>
#include <stdlib.h>

#include "check.h"
#include "swaptables.h"

/* How often the kernel may be short of a resource before flush gives up for now. */
#define FLUSH_TRIES 64

struct uring {
	struct io_uring ring;
	bool fixed_buffers, fixed_files;
	uint32_t *epochs; /* [files_max] of the file registered at each place; 0 = none */
	unsigned files_max;
};

static int
ring_init(struct uring *u, unsigned depth)
{
	/* A completion does not interrupt a thread that is running: it will look for completions,
	 * or sleep in poll. */
	int error = io_uring_queue_init(
	    depth, &u->ring, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG);

	return error == -EINVAL ? io_uring_queue_init(depth, &u->ring, 0) : error;
}

/* Requests that wait for a file system do so in threads of the kernel. There may be one for each
 * buffer, and for each question beside them, so that those of one file, which may never be
 * answered, leave some to others: the kernel makes the writes to one file one after the other. */
static void
threads_limit(struct uring *u, unsigned count)
{
	unsigned limits[2] = { count, 0 }; /* for files; 0: unchanged for others */

	CHECK(count > 0);
	/* Before Linux 5.15 the number is not to be changed. */
	(void)io_uring_register_iowq_max_workers(&u->ring, limits);
}

static bool
files_register(struct uring *u, unsigned count)
{
	int error = io_uring_register_files_sparse(&u->ring, count);

	if (error) {
		/* Before Linux 5.19 an empty place is -1. */
		int *fds = malloc(count * sizeof(*fds));
		if (!fds)
			return false;
		for (unsigned i = 0; i < count; i++)
			fds[i] = -1;
		error = io_uring_register_files(&u->ring, fds, count);
		free(fds);
	}
	return error == 0;
}

/* The ring has the line, which it lets go when its last transfer has ended (swaptables.h). */
static bool
line_register(struct uring *u, int line)
{
	return u->fixed_files &&
	       io_uring_register_files_update(&u->ring, u->files_max, &line, 1) == 1;
}

static int
uring_open(struct swap_lane *lane)
{
	struct swap_channel *ch = lane->channel;
	struct iovec all = { .iov_base = ch->buffers, .iov_len = ch->buffer_count * ch->stride };
	struct uring *u = calloc(1, sizeof(*u));
	int line = ch->swap ? swap_tables_line(ch->swap) : -1;

	if (!u)
		return -ENOMEM;
	u->files_max = ch->swap ? ch->swap->files_max : 1;
	u->epochs = calloc(u->files_max, sizeof(*u->epochs));
	int error = u->epochs ? ring_init(u, ch->depth) : -ENOMEM;
	if (error) {
		free(u->epochs);
		free(u);
		return error;
	}
	threads_limit(u, ch->buffer_count + ch->questions);
	u->fixed_buffers = io_uring_register_buffers(&u->ring, &all, 1) == 0;
	u->fixed_files = ch->swap && files_register(u, u->files_max + (line >= 0));
	if (line >= 0 && !line_register(u, line)) {
		io_uring_queue_exit(&u->ring);
		free(u->epochs);
		free(u);
		return -EOPNOTSUPP;
	}
	lane->io = u;
	return 0;
}

static void
uring_close(struct swap_lane *lane)
{
	struct uring *u = lane->io;

	/* A ring goes away later, with the files that it has; a device is to be free at once. */
	if (u->fixed_files)
		(void)io_uring_unregister_files(&u->ring);
	io_uring_queue_exit(&u->ring);
	free(u->epochs);
	free(u);
}

static int
uring_fd(struct swap_lane *lane)
{
	struct uring *u = lane->io;

	return u->ring.ring_fd;
}

/* => whether the file can be named by its index in the ring's table. A file created since that
 * index was used last is put there; the file that it replaces was deleted, so none of its I/O is in
 * flight. */
static bool
file_is_fixed(struct uring *u, const struct swap_place *place)
{
	if (!u->fixed_files || place->file == SWAP_NO_FILE)
		return false;
	if (u->epochs[place->file] == place->epoch)
		return true;
	if (io_uring_register_files_update(&u->ring, place->file, &place->fd, 1) != 1)
		return false;
	u->epochs[place->file] = place->epoch;
	return true;
}

static void
uring_queue(struct swap_lane *lane, struct swap_request *r)
{
	struct uring *u = lane->io;
	/* Never NULL: the ring has an entry for each request of the channel. */
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
	bool fixed_buffer = u->fixed_buffers && !r->place.is_sealed;
	bool fixed_file = file_is_fixed(u, &r->place);
	int fd = fixed_file ? (int)r->place.file : r->place.fd;
	char *start = r->buffer + r->done;
	uint64_t offset = r->place.offset + r->done;
	unsigned bytes = (unsigned)r->piece;

	CHECK(sqe != NULL);
	if (r->direction == SWAP_SIZE)
		io_uring_prep_statx(sqe, fd, "", AT_EMPTY_PATH, STATX_SIZE, &r->size);
	else if (r->direction == SWAP_SYNC)
		io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
	else if (fixed_buffer && r->direction == SWAP_READ)
		io_uring_prep_read_fixed(sqe, fd, start, bytes, offset, 0);
	else if (fixed_buffer && !r->is_foreign)
		io_uring_prep_write_fixed(sqe, fd, start, bytes, offset, 0);
	else if (r->direction == SWAP_READ)
		io_uring_prep_read(sqe, fd, start, bytes, offset);
	else
		io_uring_prep_write(sqe, fd, start, bytes, offset);
	io_uring_sqe_set_flags(
	    sqe, (fixed_file ? IOSQE_FIXED_FILE : 0) | (r->may_wait ? IOSQE_ASYNC : 0));
	io_uring_sqe_set_data(sqe, r);
}

static bool
is_passing(int error)
{
	return error == -EINTR || error == -EAGAIN || error == -EBUSY;
}

static int
uring_flush(struct swap_lane *lane)
{
	struct uring *u = lane->io;
	int error = 0;

	for (int tries = 0; io_uring_sq_ready(&u->ring) > 0 && tries < FLUSH_TRIES; tries++) {
		int submitted = io_uring_submit(&u->ring);

		error = submitted < 0 ? submitted : 0;
		if (error && !is_passing(error))
			return error;
		if (error)
			sched_yield();
	}
	return io_uring_sq_ready(&u->ring) > 0 ? -EAGAIN : 0;
}

static bool
uring_peek(struct swap_lane *lane, struct swap_request **ret_request, int *ret_result)
{
	struct uring *u = lane->io;
	struct io_uring_cqe *cqe = NULL;

	if (io_uring_peek_cqe(&u->ring, &cqe) != 0 || !cqe)
		return false;
	*ret_request = io_uring_cqe_get_data(cqe);
	*ret_result = cqe->res;
	return true;
}

static void
uring_advance(struct swap_lane *lane)
{
	struct uring *u = lane->io;

	io_uring_cq_advance(&u->ring, 1);
}

static int
uring_wait(struct swap_lane *lane)
{
	struct uring *u = lane->io;
	int error;

	do
		error = io_uring_submit_and_wait(&u->ring, 1);
	while (error < 0 && is_passing(error));
	return error < 0 ? error : 0;
}

const struct swapio_ops swapio_uring_ops = {
	.open = uring_open,
	.close = uring_close,
	.fd = uring_fd,
	.queue = uring_queue,
	.flush = uring_flush,
	.peek = uring_peek,
	.advance = uring_advance,
	.wait = uring_wait,
};
