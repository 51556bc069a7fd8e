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
#include <poll.h>

#include "check.h"
#include "failpt.h"
#include "clock.h"
#include "swapmap.h"
#include "swapseal.h"

/* How often a request is tried again after -EINTR and -EAGAIN. */
#define RETRIES_MAX 16

/* Whether a transfer is to be short. */
static bool
injected_short(const struct swap_request *r)
{
	if (!swap_direction_moves(r->direction))
		return false;
	if (swap_request_is_swap(r))
		return failpt_hit(
		    r->direction == SWAP_READ ? FAIL_SWAP_READ_SHORT : FAIL_SWAP_WRITE_SHORT);
	return failpt_hit(r->direction == SWAP_READ ? FAIL_FILE_READ_SHORT : FAIL_FILE_WRITE_SHORT);
}

static struct swap_lane *
request_lane(struct swap_channel *ch, const struct swap_request *r)
{
	return &ch->lanes[r->place.server ? LANE_SERVER : LANE_KERNEL];
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
	if (r->direction == SWAP_WRITE && !swap_request_is_swap(r) &&
	    failpt_hit(FAIL_FILE_WRITE_HANGS)) {
		r->held = ch->held;
		ch->held = r;
		return;
	}
	struct swap_lane *lane = request_lane(ch, r);
	lane->ops->queue(lane, r);
}

/* Makes the request one for the blocks that hold what is asked for; what is written is encrypted
 * into them. => 0 or -EIO: it has failed, and its slot's transfer is over */
static int
request_seal(struct swap_channel *ch, struct swap_request *r, size_t offset)
{
	size_t first = offset / SEAL_BYTES, count = seal_blocks(offset + r->length) - first;

	r->plain = r->buffer;
	r->plain_offset = offset;
	r->plain_length = r->length;
	r->buffer = ch->sealed + (size_t)(r - ch->requests) * ch->sealed_stride;
	r->length = count * SEAL_BLOCK;
	r->place.offset += first * SEAL_BLOCK;
	CHECK(r->length <= ch->sealed_stride);
	if (r->direction == SWAP_READ ||
	    swap_seal_close(ch->seal, r->slot.v, r->plain, r->plain_length, r->buffer) == 0)
		return 0;
	swapmap_io_end(ch->swap, r->slot, r->direction, r->length, -EIO);
	return -EIO;
}

/* The request is over: it is the caller's again. What was read is decrypted. */
static void
request_unseal(struct swap_channel *ch, struct swap_request *r)
{
	unsigned damaged = 0;

	if (r->direction == SWAP_READ && r->result == 0)
		damaged = swap_seal_open(
		    ch->seal, r->slot.v, r->buffer, r->plain_offset, r->plain_length, r->plain);
	if (damaged)
		swapmap_io_damaged(ch->swap, r->slot, damaged);
	r->done = r->result == 0 ? r->plain_length : 0;
	r->buffer = r->plain;
	r->length = r->plain_length;
}

/* Begins what a fail point has held back, once no point is armed. => whether there was any */
static bool
held_begin(struct swap_channel *ch)
{
	struct swap_request *r = ch->held;

	if (likely(!r) || load_relaxed(&failpt_any_armed))
		return false;
	for (ch->held = NULL; r; r = r->held) {
		struct swap_lane *lane = request_lane(ch, r);

		lane->ops->queue(lane, r);
	}
	return true;
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
	if (!error && r->place.is_sealed)
		error = request_seal(ch, r, offset);
	if (error)
		return error;
	ch->free_request_count--;
	ch->in_flight++;
	request_lane(ch, r)->in_flight++;
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
	    (uintptr_t)buffer % SWAP_SECTOR != 0 ||
	    !swap_channel_buffer_index(ch, buffer, length, &index) || ch->buffer_uses[index] < 0)
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
	    !swap_channel_buffer_index(ch, buffer, length, &index) || ch->buffer_uses[index] < 0)
		return -EINVAL;
	int error = request_submit(ch, &about, 0);
	if (error == 0)
		ch->buffer_uses[index]++;
	return error;
}

/* A question about a whole file. */
static int
submit_question(struct swap_channel *ch, int direction, int fd, uint64_t cookie)
{
	struct swap_request about = { .cookie = cookie,
		.place = { .fd = fd, .file = SWAP_NO_FILE },
		.direction = direction,
		.is_foreign = true };

	CHECK_OBJ(ch, SWAP_CHANNEL_MAGIC);
	return request_submit(ch, &about, 0);
}

int
swap_channel_submit_size(struct swap_channel *ch, int fd, uint64_t cookie)
{
	return submit_question(ch, SWAP_SIZE, fd, cookie);
}

int
swap_channel_submit_sync(struct swap_channel *ch, int fd, uint64_t cookie)
{
	return submit_question(ch, SWAP_SYNC, fd, cookie);
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
	    swap_channel_buffer_index(ch, bytes, 0, &index))
		return -EINVAL;
	return request_submit(ch, &about, 0);
}

bool
swap_channel_is_ready(struct swap_channel *ch)
{
	struct swap_request *r;
	int result;

	CHECK_OBJ(ch, SWAP_CHANNEL_MAGIC);
	for (unsigned i = 0; i < LANES; i++)
		if (ch->lanes[i].in_flight > 0 &&
		    ch->lanes[i].ops->peek(&ch->lanes[i], &r, &result))
			return true;
	return false;
}

/* Starts what is queued on each lane, whatever the others say. */
static int
lanes_flush(struct swap_channel *ch)
{
	int error = 0;

	for (unsigned i = 0; i < LANES; i++) {
		struct swap_lane *lane = &ch->lanes[i];
		int refused = lane->ops ? lane->ops->flush(lane) : 0;

		error = error ? error : refused;
	}
	return error;
}

int
swap_channel_flush(struct swap_channel *ch)
{
	CHECK_OBJ(ch, SWAP_CHANNEL_MAGIC);
	locks_assert_none();
	int error = failpt_hit(FAIL_SWAP_SUBMIT_EAGAIN);
	return error ? error : lanes_flush(ch);
}

static int
injected_error(const struct swap_request *r)
{
	if (!swap_request_is_swap(r)) {
		if (!swap_direction_moves(r->direction))
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
	if (!swap_direction_moves(r->direction)) {
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
	bool found = false, queued = held_begin(ch);
	int result = 0;

	for (unsigned i = 0; i < LANES && !found; i++) {
		struct swap_lane *lane = &ch->lanes[i];

		while (lane->in_flight > 0 && lane->ops->peek(lane, &r, &result)) {
			found = r->settled || request_settle(r, result);
			if (found)
				break;
			lane->ops->advance(lane);
			request_queue(ch, r);
			queued = true;
		}
	}
	/* A piece that cannot be started now stays queued for the next flush or wait. */
	if (queued)
		(void)lanes_flush(ch);
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
		struct swap_lane *lane = request_lane(ch, r);

		lane->ops->advance(lane);
		if (r->place.is_sealed)
			request_unseal(ch, r);
		if (swap_request_is_swap(r))
			swapmap_io_end(ch->swap, r->slot, r->direction, r->length, r->result);
		if (!r->is_foreign) {
			CHECK(swap_channel_buffer_index(ch, r->buffer, r->length, &index) &&
			      ch->buffer_uses[index] > 0);
			ch->buffer_uses[index]--;
		}
		ret[count++] = (struct swap_completion){ .cookie = r->cookie,
			.result = r->result,
			.bytes = r->direction == SWAP_SIZE ? r->size.stx_size : r->done };
		ch->free_requests[ch->free_request_count++] = r;
		ch->in_flight--;
		lane->in_flight--;
	}
	return count;
}

/* Waits for a lane that has something to show. timeout_ns: at most. => 0, -ETIME or -errno. */
static int
lanes_wait(struct swap_channel *ch, uint64_t timeout_ns)
{
	struct timespec time = { .tv_sec = (time_t)(timeout_ns / 1000000000),
		.tv_nsec = (long)(timeout_ns % 1000000000) };
	struct pollfd poll = { .fd = swap_channel_fd(ch), .events = POLLIN };
	bool is_bounded = timeout_ns != UINT64_MAX;

	for (unsigned i = 0; !is_bounded && i < LANES; i++)
		if (ch->lanes[i].in_flight == ch->in_flight)
			return ch->lanes[i].ops->wait(&ch->lanes[i]);
	int error = lanes_flush(ch);
	/* What the kernel does not take now is tried again. */
	if (error && error != -EAGAIN)
		return error;
	int n = ppoll(&poll, 1, is_bounded || error ? &time : NULL, NULL);
	return n < 0 && errno != EINTR ? -errno : n == 0 && is_bounded ? -ETIME : 0;
}

int
swap_channel_wait_for(struct swap_channel *ch, uint64_t timeout_ns)
{
	uint64_t until = timeout_ns == UINT64_MAX ? UINT64_MAX : clock_now_ns() + timeout_ns;
	struct swap_request *r = NULL;

	CHECK_OBJ(ch, SWAP_CHANNEL_MAGIC);
	locks_assert_none();
	while (!channel_head(ch, &r)) {
		uint64_t now_ns = clock_now_ns();

		if (ch->in_flight == 0)
			return -ENODATA;
		if (now_ns >= until)
			return -ETIME;
		int error = lanes_wait(ch, until == UINT64_MAX ? until : until - now_ns);
		if (error)
			return error;
	}
	return 0;
}

int
swap_channel_wait(struct swap_channel *ch)
{
	return swap_channel_wait_for(ch, UINT64_MAX);
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
	if (ch->swap) {
		lock_acquire(&ch->swap->lock);
		ch->swap->channels--;
		lock_release(&ch->swap->lock);
	}
	swap_channel_free(ch);
}
