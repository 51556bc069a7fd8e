/* SPDX-License-Identifier: MIT
 *
 * Channels: the part of I/O that io_uring and its twin share. A request is in flight from submit
 * until reap, and keeps its slot meanwhile (swapmap_io_begin, swapmap_io_end). Short transfers are
 * continued with the rest; fail points act on the result that the kernel gives.
 *
 * Runs on: the channel's thread. Locks: SWAPMAP for moments. Blocks in wait and destroy only.
 * Allocates in create only.
 */
#include "swap_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "check.h"
#include "failpt.h"
#include "log.h"
#include "swapmap.h"

/* How often a request is tried again after -EINTR and -EAGAIN. */
#define RETRIES_MAX 16

static bool
is_refusal(int error)
{
	/* No such call, seccomp, sysctl kernel.io_uring_disabled, locked memory used up, unknown
	 * flags. */
	return error == -ENOSYS || error == -EPERM || error == -EACCES || error == -ENOMEM ||
	       error == -EOPNOTSUPP || error == -EINVAL;
}

static int
channel_open(struct swap_channel *ch)
{
	struct swap *s = ch->swap;
	int error = -ENOSYS;

	if (!s || !s->force_sync) {
		ch->ops = &swapio_uring_ops;
		error = ch->ops->open(ch);
		if (error == 0 || !is_refusal(error))
			return error;
		log_debug("swap: io_uring refused (error %d), using a helper thread", error);
		if (s) {
			lock_acquire(&s->lock);
			s->stats.uses_io_uring = false;
			lock_release(&s->lock);
		}
	}
	ch->ops = &swapio_sync_ops;
	return ch->ops->open(ch);
}

static void
channel_free(struct swap_channel *ch)
{
	if (ch->buffers)
		munmap(ch->buffers, ch->depth * ch->stride);
	free(ch->requests);
	free(ch->free_requests);
	free(ch->free_buffers);
	free(ch->buffer_uses);
	ch->magic = 0;
	free(ch);
}

static int
channel_allocate(struct swap_channel *ch)
{
	ch->requests = calloc(ch->depth, sizeof(*ch->requests));
	ch->free_requests = calloc(ch->depth, sizeof(*ch->free_requests));
	ch->free_buffers = calloc(ch->depth, sizeof(*ch->free_buffers));
	ch->buffer_uses = calloc(ch->depth, sizeof(*ch->buffer_uses));
	void *buffers = mmap(NULL, ch->depth * ch->stride, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buffers != MAP_FAILED)
		ch->buffers = buffers;
	if (!ch->requests || !ch->free_requests || !ch->free_buffers || !ch->buffer_uses ||
	    !ch->buffers)
		return -ENOMEM;
	for (unsigned i = ch->depth; i-- > 0;) {
		ch->free_requests[ch->free_request_count++] = &ch->requests[i];
		ch->free_buffers[ch->free_buffer_count++] = i;
		ch->buffer_uses[i] = -1;
	}
	return 0;
}

int
swap_channel_create(struct swap *s, unsigned depth, size_t buffer_bytes, struct swap_channel **ret)
{
	CHECK(!s || s->magic == SWAP_MAGIC);
	if (depth == 0 || depth > 4096 || buffer_bytes == 0)
		return -EINVAL;
	struct swap_channel *ch = calloc(1, sizeof(*ch));
	if (!ch)
		return -ENOMEM;
	ch->magic = SWAP_CHANNEL_MAGIC;
	ch->swap = s;
	ch->depth = depth;
	ch->buffer_bytes = buffer_bytes;
	ch->stride = round_up_u64(buffer_bytes, SWAP_ALIGN);
	int error = channel_allocate(ch);
	if (error == 0)
		error = channel_open(ch);
	if (error) {
		channel_free(ch);
		return error;
	}
	if (s) {
		lock_acquire(&s->lock);
		s->channels++;
		lock_release(&s->lock);
	}
	*ret = ch;
	return 0;
}

void
swap_channel_destroy(struct swap_channel *ch)
{
	struct swap_completion done;

	if (!ch)
		return;
	CHECK_OBJ(ch, SWAP_CHANNEL_MAGIC);
	while (swap_channel_wait(ch) == 0)
		(void)swap_channel_reap(ch, &done, 1);
	CHECKF(ch->in_flight == 0, "swap channel: %u requests never came back", ch->in_flight);
	ch->ops->close(ch);
	if (ch->swap) {
		lock_acquire(&ch->swap->lock);
		ch->swap->channels--;
		lock_release(&ch->swap->lock);
	}
	channel_free(ch);
}

int
swap_channel_fd(struct swap_channel *ch)
{
	CHECK_OBJ(ch, SWAP_CHANNEL_MAGIC);
	return ch->ops->fd(ch);
}

/* The buffer that [start, start+length) lies in. => false when in none. */
static bool
buffer_index(const struct swap_channel *ch, const void *start, size_t length, unsigned *ret)
{
	uintptr_t from = (uintptr_t)start, base = (uintptr_t)ch->buffers;

	if (from < base || from - base >= ch->depth * ch->stride)
		return false;
	size_t index = (from - base) / ch->stride, offset = (from - base) % ch->stride;
	if (offset > ch->buffer_bytes || length > ch->buffer_bytes - offset)
		return false;
	*ret = (unsigned)index;
	return true;
}

void *
swap_channel_buffer_get(struct swap_channel *ch)
{
	CHECK_OBJ(ch, SWAP_CHANNEL_MAGIC);
	if (ch->free_buffer_count == 0)
		return NULL;
	unsigned index = ch->free_buffers[--ch->free_buffer_count];
	CHECK(ch->buffer_uses[index] == -1);
	ch->buffer_uses[index] = 0;
	return ch->buffers + index * ch->stride;
}

void
swap_channel_buffer_put(struct swap_channel *ch, void *buffer)
{
	unsigned index = 0;

	CHECK_OBJ(ch, SWAP_CHANNEL_MAGIC);
	CHECK(buffer_index(ch, buffer, 0, &index) && buffer == ch->buffers + index * ch->stride);
	CHECKF(ch->buffer_uses[index] == 0, "swap buffer %u put back %s", index,
	    ch->buffer_uses[index] < 0 ? "twice" : "with I/O in flight");
	ch->buffer_uses[index] = -1;
	ch->free_buffers[ch->free_buffer_count++] = index;
}

/* Whether a transfer is to be short. */
static bool
injected_short(const struct swap_request *r)
{
	if (r->direction == SWAP_SIZE)
		return false;
	if (swap_request_is_swap(r))
		return failpt_hit(
		    r->direction == SWAP_READ ? FAIL_SWAP_READ_SHORT : FAIL_SWAP_WRITE_SHORT);
	return failpt_hit(r->direction == SWAP_READ ? FAIL_FILE_READ_SHORT : FAIL_FILE_WRITE_SHORT);
}

/* Asks for all that is missing, or for half of it when a fail point says so (of one sector: for
 * none). */
static void
request_queue(struct swap_channel *ch, struct swap_request *r)
{
	r->piece = r->cap = r->length - r->done;
	if (injected_short(r)) {
		r->cap = round_down_u64(r->piece / 2, SWAP_SECTOR);
		/* Another file may not have a sector behind what is to be written. */
		r->piece = max_u64(r->cap, min_u64(r->piece, SWAP_SECTOR));
	}
	ch->ops->queue(ch, r);
}

/* `about` has all that the caller knows of the request; the offset is that of its place, which is
 * known where the file is not swap's. */
static int
request_submit(struct swap_channel *ch, const struct swap_request *about, size_t offset)
{
	if (ch->free_request_count == 0)
		return -EAGAIN;
	struct swap_request *r = ch->free_requests[ch->free_request_count - 1];
	*r = *about;
	int error = swap_request_is_swap(r) ? swapmap_io_begin(ch->swap, r->slot, r->direction,
						  offset, r->length, &r->place)
					    : 0;
	if (error)
		return error;
	ch->free_request_count--;
	ch->in_flight++;
	request_queue(ch, r);
	return 0;
}

int
swap_channel_submit(struct swap_channel *ch, int direction, struct swap_slot slot, size_t offset,
    size_t length, void *buffer, uint64_t cookie)
{
	struct swap_request about = { .cookie = cookie,
		.slot = slot,
		.direction = direction,
		.length = length,
		.buffer = buffer };
	unsigned index = 0;

	CHECK_OBJ(ch, SWAP_CHANNEL_MAGIC);
	if ((direction != SWAP_READ && direction != SWAP_WRITE) ||
	    (uintptr_t)buffer % SWAP_SECTOR != 0 || !buffer_index(ch, buffer, length, &index) ||
	    ch->buffer_uses[index] < 0)
		return -EINVAL;
	int error = request_submit(ch, &about, offset);
	if (error == 0)
		ch->buffer_uses[index]++;
	return error;
}

int
swap_channel_submit_file(struct swap_channel *ch, int direction, int fd, uint64_t offset,
    size_t length, void *buffer, uint64_t cookie)
{
	struct swap_request about = { .cookie = cookie,
		.place = { .fd = fd, .file = SWAP_NO_FILE, .offset = offset },
		.direction = direction & ~SWAP_MAY_WAIT,
		.may_wait = direction & SWAP_MAY_WAIT,
		.length = length,
		.buffer = buffer };
	unsigned index = 0;

	CHECK_OBJ(ch, SWAP_CHANNEL_MAGIC);
	if ((about.direction != SWAP_READ && about.direction != SWAP_WRITE) || length == 0 ||
	    !buffer_index(ch, buffer, length, &index) || ch->buffer_uses[index] < 0)
		return -EINVAL;
	int error = request_submit(ch, &about, 0);
	if (error == 0)
		ch->buffer_uses[index]++;
	return error;
}

int
swap_channel_submit_size(struct swap_channel *ch, int fd, uint64_t cookie)
{
	struct swap_request about = { .cookie = cookie,
		.place = { .fd = fd, .file = SWAP_NO_FILE },
		.direction = SWAP_SIZE,
		.is_foreign = true };

	CHECK_OBJ(ch, SWAP_CHANNEL_MAGIC);
	return request_submit(ch, &about, 0);
}

int
swap_channel_submit_from(struct swap_channel *ch, struct swap_slot slot, size_t length,
    const void *bytes, uint64_t cookie)
{
	/* The memory is only read. */
	struct swap_request about = { .cookie = cookie,
		.slot = slot,
		.direction = SWAP_WRITE,
		.is_foreign = true,
		.length = length,
		.buffer = (char *)(uintptr_t)bytes };
	unsigned index;

	CHECK_OBJ(ch, SWAP_CHANNEL_MAGIC);
	if (bytes == NULL || (uintptr_t)bytes % SWAP_ALIGN != 0 ||
	    buffer_index(ch, bytes, 0, &index))
		return -EINVAL;
	return request_submit(ch, &about, 0);
}

int
swap_channel_flush(struct swap_channel *ch)
{
	CHECK_OBJ(ch, SWAP_CHANNEL_MAGIC);
	locks_assert_none();
	int error = failpt_hit(FAIL_SWAP_SUBMIT_EAGAIN);
	return error ? error : ch->ops->flush(ch);
}

static int
injected_error(const struct swap_request *r)
{
	if (!swap_request_is_swap(r)) {
		if (r->direction == SWAP_SIZE)
			return 0;
		if (r->direction == SWAP_READ)
			return failpt_hit(FAIL_FILE_READ_EIO);
		int file_error = failpt_hit(FAIL_FILE_WRITE_EIO);
		return file_error ? file_error : failpt_hit(FAIL_FILE_WRITE_ENOSPC);
	}
	if (r->direction == SWAP_READ)
		return failpt_hit(FAIL_SWAP_READ_EIO);
	int error = failpt_hit(FAIL_SWAP_WRITE_EIO);
	return error ? error : failpt_hit(FAIL_SWAP_WRITE_ENOSPC);
}

static void
request_finish(struct swap_request *r, int result)
{
	r->settled = true;
	r->result = result;
	if (result == 0 && r->direction == SWAP_READ && swap_request_is_swap(r) &&
	    failpt_hit(FAIL_SWAP_READ_BITFLIP)) {
		/* Another bit each time, because the first ones may belong to no page. */
		uint64_t bit = (r->cookie + failpt_count(FAIL_SWAP_READ_BITFLIP)) *
			       0x9e3779b97f4a7c15u % (r->length * 8);

		r->buffer[bit / 8] = (char)(r->buffer[bit / 8] ^ 1 << (bit % 8));
	}
}

/* The same for a file that is not swap's. Direct I/O is continued at the start of a block; how
 * large the device's blocks are is not known. A read of less than that is repeated: if it brings
 * the same again, the file ends there. */
static bool
file_settle(struct swap_request *r, size_t got)
{
	size_t progress = round_down_u64(got, SWAP_ALIGN);
	/* All that is missing was asked for. */
	bool ends = r->direction == SWAP_READ && r->cap == r->length - r->done &&
		    (got == 0 || got == r->tail);

	if (r->done + got >= r->length || ends) {
		r->done += got;
		request_finish(r, 0);
		return true;
	}
	r->tail = got - progress;
	r->done += progress;
	if (progress > 0 || r->retries++ < RETRIES_MAX)
		return false;
	request_finish(r, -EIO);
	return true;
}

/* Takes the kernel's result of a piece. => whether the request is over. */
static bool
request_settle(struct swap_request *r, int result)
{
	int error = injected_error(r);

	if (error)
		result = error;
	if ((result == -EINTR || result == -EAGAIN) && r->retries++ < RETRIES_MAX)
		return false;
	if (result < 0) {
		request_finish(r, result);
		return true;
	}
	if (r->direction == SWAP_SIZE) {
		request_finish(r, 0);
		return true;
	}
	if (!swap_request_is_swap(r))
		return file_settle(r, min_u64((uint64_t)result, r->cap));
	/* Direct I/O can be continued only at the start of a sector. */
	size_t progress = round_down_u64(min_u64((uint64_t)result, r->cap), SWAP_SECTOR);
	if (progress == 0) {
		request_finish(r, -EIO);
		return true;
	}
	r->done += progress;
	if (r->done < r->length)
		return false;
	request_finish(r, 0);
	return true;
}

/* Finds the oldest completion whose request is over and leaves it in place, so that the channel's
 * descriptor goes on showing it. Requests that are not over are queued and flushed again. => false:
 * there is none. */
static bool
channel_head(struct swap_channel *ch, struct swap_request **ret)
{
	struct swap_request *r = NULL;
	bool found = false, queued = false;
	int result = 0;

	while (!found && ch->ops->peek(ch, &r, &result)) {
		found = r->settled || request_settle(r, result);
		if (found)
			break;
		ch->ops->advance(ch);
		request_queue(ch, r);
		queued = true;
	}
	/* A piece that cannot be started now stays queued for the next flush or wait. */
	if (queued)
		(void)ch->ops->flush(ch);
	if (found)
		*ret = r;
	return found;
}

unsigned
swap_channel_reap(struct swap_channel *ch, struct swap_completion *ret, unsigned max)
{
	struct swap_request *r = NULL;
	unsigned count = 0, index = 0;

	CHECK_OBJ(ch, SWAP_CHANNEL_MAGIC);
	while (count < max && channel_head(ch, &r)) {
		ch->ops->advance(ch);
		if (swap_request_is_swap(r))
			swapmap_io_end(ch->swap, r->slot, r->direction, r->length, r->result);
		if (!r->is_foreign) {
			CHECK(buffer_index(ch, r->buffer, r->length, &index) &&
			      ch->buffer_uses[index] > 0);
			ch->buffer_uses[index]--;
		}
		ret[count++] = (struct swap_completion){ .cookie = r->cookie,
			.result = r->result,
			.bytes = r->direction == SWAP_SIZE ? r->size.stx_size : r->done };
		ch->free_requests[ch->free_request_count++] = r;
		ch->in_flight--;
	}
	return count;
}

int
swap_channel_wait(struct swap_channel *ch)
{
	struct swap_request *r = NULL;

	CHECK_OBJ(ch, SWAP_CHANNEL_MAGIC);
	locks_assert_none();
	while (!channel_head(ch, &r)) {
		if (ch->in_flight == 0)
			return -ENODATA;
		int error = ch->ops->wait(ch);
		if (error)
			return error;
	}
	return 0;
}
