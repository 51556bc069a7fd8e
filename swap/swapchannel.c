/* SPDX-License-Identifier: MIT
 *
 * Channels as such: their buffers, and the lanes that their requests take. Runs on: the channel's
 * thread. Allocates in create only.
 */
#include "swap_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "log.h"
#include "own.h"
#include "swapseal.h"

static bool
is_refusal(int error)
{
	/* No such call, seccomp, sysctl kernel.io_uring_disabled, locked memory used up, unknown
	 * flags. */
	return error == -ENOSYS || error == -EPERM || error == -EACCES || error == -ENOMEM ||
	       error == -EOPNOTSUPP || error == -EINVAL;
}

static int
lane_open(struct swap_channel *ch, enum swap_lane_number number, const struct swapio_ops *ops)
{
	struct swap_lane *lane = &ch->lanes[number];
	int error;

	*lane = (struct swap_lane){ .ops = ops, .channel = ch };
	error = ops->open(lane);
	if (error)
		lane->ops = NULL;
	return error;
}

/* By io_uring, or else by the twin. */
static int
kernel_lane_open(struct swap_channel *ch)
{
	struct swap *s = ch->swap;
	int error;

	if (!s || !s->force_sync) {
		error = lane_open(ch, LANE_KERNEL, &swapio_uring_ops);
		if (error == 0 || !is_refusal(error))
			return error;
		log_debug("swap: io_uring refused (error %d), using a helper thread", error);
		if (s) {
			lock_acquire(&s->lock);
			s->stats.uses_io_uring = false;
			lock_release(&s->lock);
		}
	}
	return lane_open(ch, LANE_KERNEL, &swapio_sync_ops);
}

/* One descriptor stands for both lanes. */
static int
lanes_join(struct swap_channel *ch)
{
	ch->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (ch->epoll < 0)
		return -errno;
	for (unsigned i = 0; i < LANES; i++) {
		struct epoll_event event = { .events = EPOLLIN };

		if (epoll_ctl(
			ch->epoll, EPOLL_CTL_ADD, ch->lanes[i].ops->fd(&ch->lanes[i]), &event))
			return -errno;
	}
	return 0;
}

static int
channel_open(struct swap_channel *ch)
{
	bool has_server = false;
	int error = kernel_lane_open(ch);

	for (unsigned i = 0; ch->swap && i < ch->swap->backend_count; i++)
		has_server |= ch->swap->backends[i].ops->kind == SWAP_NBD;
	if (error || !has_server)
		return error;
	error = lane_open(ch, LANE_SERVER, &swapio_nbd_ops);
	return error ? error : lanes_join(ch);
}

static void
channel_close(struct swap_channel *ch)
{
	for (unsigned i = 0; i < LANES; i++)
		if (ch->lanes[i].ops)
			ch->lanes[i].ops->close(&ch->lanes[i]);
	if (ch->epoll >= 0)
		close(ch->epoll);
}

void
swap_channel_free(struct swap_channel *ch)
{
	channel_close(ch);
	if (ch->buffers) {
		own_area_forget(ch->buffers);
		munmap(ch->buffers, ch->buffer_count * ch->stride);
	}
	if (ch->sealed) {
		own_area_forget(ch->sealed);
		munmap(ch->sealed, ch->depth * ch->sealed_stride);
	}
	swap_seal_destroy(ch->seal);
	free(ch->requests);
	free(ch->free_requests);
	free(ch->free_buffers);
	free(ch->buffer_uses);
	ch->magic = 0;
	free(ch);
}

/* Memory for the blocks of all requests: as much as a slot has for each, of which reads touch
 * little. */
static int
sealed_allocate(struct swap_channel *ch)
{
	void *sealed;

	for (unsigned i = 0; i < ch->swap->backend_count; i++)
		if (ch->swap->backends[i].is_sealed)
			ch->sealed_stride = ch->swap->backends[i].stride_bytes;
	sealed = mmap(NULL, ch->depth * ch->sealed_stride, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (sealed == MAP_FAILED)
		return -ENOMEM;
	ch->sealed = sealed;
	own_area(OWN_SWAP, sealed, ch->depth * ch->sealed_stride);
	return swap_seal_create(ch->swap->key, &ch->seal);
}

static int
channel_allocate(struct swap_channel *ch)
{
	ch->requests = calloc(ch->depth, sizeof(*ch->requests));
	ch->free_requests = calloc(ch->depth, sizeof(*ch->free_requests));
	ch->free_buffers = calloc(ch->buffer_count, sizeof(*ch->free_buffers));
	ch->buffer_uses = calloc(ch->buffer_count, sizeof(*ch->buffer_uses));
	void *buffers = mmap(NULL, ch->buffer_count * ch->stride, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buffers != MAP_FAILED) {
		ch->buffers = buffers;
		own_area(OWN_SWAP, buffers, ch->buffer_count * ch->stride);
	}
	if (!ch->requests || !ch->free_requests || !ch->free_buffers || !ch->buffer_uses ||
	    !ch->buffers)
		return -ENOMEM;
	for (unsigned i = ch->depth; i-- > 0;)
		ch->free_requests[ch->free_request_count++] = &ch->requests[i];
	for (unsigned i = ch->buffer_count; i-- > 0;) {
		ch->free_buffers[ch->free_buffer_count++] = i;
		ch->buffer_uses[i] = -1;
	}
	return ch->swap && ch->swap->key ? sealed_allocate(ch) : 0;
}

int
swap_channel_create(struct swap *s, unsigned depth, size_t buffer_bytes, struct swap_channel **ret)
{
	return swap_channel_create_for(s, depth, 0, depth, buffer_bytes, ret);
}

int
swap_channel_create_for(struct swap *s, unsigned depth, unsigned questions, unsigned buffers,
    size_t buffer_bytes, struct swap_channel **ret)
{
	CHECK(!s || s->magic == SWAP_MAGIC);
	if (depth == 0 || depth > 4096 || buffers == 0 || buffers > depth || buffer_bytes == 0)
		return -EINVAL;
	struct swap_channel *ch = calloc(1, sizeof(*ch));
	if (!ch)
		return -ENOMEM;
	ch->magic = SWAP_CHANNEL_MAGIC;
	ch->swap = s;
	ch->epoll = -1;
	ch->depth = depth;
	ch->questions = questions;
	ch->buffer_count = buffers;
	ch->buffer_bytes = buffer_bytes;
	ch->stride = round_up_u64(buffer_bytes, SWAP_ALIGN);
	int error = channel_allocate(ch);
	if (error == 0)
		error = channel_open(ch);
	if (error) {
		swap_channel_free(ch);
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

int
swap_channel_fd(struct swap_channel *ch)
{
	CHECK_OBJ(ch, SWAP_CHANNEL_MAGIC);
	return ch->epoll >= 0 ? ch->epoll : ch->lanes[LANE_KERNEL].ops->fd(&ch->lanes[LANE_KERNEL]);
}

/* The buffer that [start, start+length) lies in. => false when in none. */
bool
swap_channel_buffer_index(
    const struct swap_channel *ch, const void *start, size_t length, unsigned *ret)
{
	uintptr_t from = (uintptr_t)start, base = (uintptr_t)ch->buffers;

	if (from < base || from - base >= ch->buffer_count * ch->stride)
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
	CHECK(swap_channel_buffer_index(ch, buffer, 0, &index) &&
	      buffer == ch->buffers + index * ch->stride);
	CHECKF(ch->buffer_uses[index] == 0, "swap buffer %u put back %s", index,
	    ch->buffer_uses[index] < 0 ? "twice" : "with I/O in flight");
	ch->buffer_uses[index] = -1;
	ch->free_buffers[ch->free_buffer_count++] = index;
}
