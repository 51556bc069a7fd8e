/* SPDX-License-Identifier: MIT
 *
 * Streams. Runs on: fault servers.
 */
#include "fault/stream.h"

#include "daemon.h"
#include "transit/run.h"

unsigned
stream_follow_locked(struct daemon *d, const struct fault *f, uint32_t behavior, int *ret_direction)
{
	struct task *task = f->task;
	uint64_t page = round_down_u64(f->address, d->page_bytes);
	struct stream *stream = &task->streams[f->thread % STREAMS];
	unsigned most = (unsigned)param(d, fault_cluster), want;

	lock_assert_held(&task->map.lock);
	CHECK(most > 0);
	*ret_direction = behavior == PAGER_BEHAVIOR_REVERSE_SEQUENTIAL ? -1 : 1;
	if (behavior == PAGER_BEHAVIOR_RANDOM)
		return 1;
	/* The thread may have gone elsewhere: its run is not to be lost by what nobody touches. */
	if (unlikely(f->is_ahead) && (stream->thread != f->thread || page != stream->next_up))
		return 1;
	if (stream->thread != f->thread) {
		*stream = (struct stream){ .thread = f->thread };
	} else if (page == stream->next_up) {
		stream->run++;
	} else if (page == stream->next_down) {
		stream->run++;
		*ret_direction = -1;
	} else if (page + d->page_bytes != stream->next_up ||
		   page - d->page_bytes != stream->next_down) {
		/* The same page again (a write after a read, or a retry) does not end the run. */
		stream->run = 0;
	}
	stream->next_up = page + d->page_bytes;
	stream->next_down = page - d->page_bytes;
	if (behavior == PAGER_BEHAVIOR_SEQUENTIAL || behavior == PAGER_BEHAVIOR_REVERSE_SEQUENTIAL)
		want = most;
	else if (stream->run < 2)
		want = 1;
	else
		want = stream->run >= 8 ? most : (unsigned)min_u64(1u << (stream->run - 1), most);
	return want > FAULT_CLUSTER_MAX ? FAULT_CLUSTER_MAX : want;
}

void
stream_advance(struct daemon *d, const struct fault *f, uint64_t start, unsigned count)
{
	struct task *task = f->task;
	struct stream *stream = &task->streams[f->thread % STREAMS];

	locks_assert_none();
	CHECK(count > 1 && count <= FAULT_CLUSTER_MAX);
	lock_acquire(&task->map.lock);
	if (stream->thread == f->thread) {
		stream->next_up = start + ((uint64_t)count << d->page_shift);
		stream->next_down = start - d->page_bytes;
	}
	lock_release(&task->map.lock);
}

bool
stream_goes_on(struct task *task, uint32_t thread, uint64_t *ret_address, uint32_t *ret_faults)
{
	const struct stream *stream = &task->streams[thread % STREAMS];
	bool is_there;

	locks_assert_none();
	lock_acquire(&task->map.lock);
	is_there = stream->thread == thread;
	*ret_address = stream->next_up;
	*ret_faults = stream->run;
	lock_release(&task->map.lock);
	return is_there;
}
