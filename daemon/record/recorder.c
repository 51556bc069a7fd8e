/* SPDX-License-Identifier: MIT
 *
 * The recorder: records become blocks in memory, and blocks a file. Runs on: fault servers and jobs
 * append; its own thread writes. The lock is a leaf and is not held across I/O.
 */
#include "record/recorder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "own.h"
#include "pager/trace_format.h"
#include "record/recorder_priv.h"
#include "vm/vm_object.h"

#define BLOCK_BYTES (64u << 10)

static unsigned char *
block_memory(struct recorder *r, unsigned i)
{
	CHECK(r->memory != NULL);
	return r->memory + (size_t)(i % RECORDER_BLOCKS) * BLOCK_BYTES;
}

/* Ends the current block and begins the next. => false: all are full */
static bool
block_turn_locked(struct recorder *r)
{
	lock_assert_held(&r->lock);
	if (r->current + 1 - r->written >= RECORDER_BLOCKS)
		return false;
	r->lengths[r->current % RECORDER_BLOCKS] = trace_block_end(&r->block, r->dropped_since);
	r->dropped_since = 0;
	r->current++;
	trace_block_begin(&r->block, block_memory(r, r->current), BLOCK_BYTES);
	cond_signal(&r->full);
	return true;
}

static bool
put_locked(struct recorder *r, const struct trace_record *record)
{
	lock_assert_held(&r->lock);
	return trace_block_put(&r->block, record) == 0 ||
	       (block_turn_locked(r) && trace_block_put(&r->block, record) == 0);
}

void
trace_record_locked(struct daemon *d, const struct vm_object *o, uint64_t index, uint32_t thread,
    bool written, enum trace_kind kind)
{
	struct recorder *r = d->recorder;
	struct trace_record record = {
		.object = o->id,
		.page = index,
		.thread = thread,
		.kind = (uint8_t)kind,
		.written = written,
	};

	lock_assert_held(&r->lock);
	CHECK(index < o->page_count);
	if (!load_relaxed(&d->trace_on) || !recorder_names_locked(r, vm_object_private_task(o)))
		return;
	record.event = ++r->events;
	if (put_locked(r, &record)) {
		r->records++;
	} else {
		r->dropped++;
		r->dropped_since++;
	}
}

void
trace_record(struct daemon *d, const struct vm_object *o, uint64_t index, uint32_t thread,
    bool written, enum trace_kind kind)
{
	lock_acquire(&d->recorder->lock);
	trace_record_locked(d, o, index, thread, written, kind);
	lock_release(&d->recorder->lock);
}

int
recorder_write(int fd, const void *bytes, size_t length)
{
	locks_assert_none();
	CHECK(fd >= 0);
	while (length > 0) {
		ssize_t n = write(fd, bytes, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		bytes = (const char *)bytes + n;
		length -= (size_t)n;
	}
	return 0;
}

static void *
recorder_main(void *argument)
{
	struct recorder *r = argument;
	bool told = false;

	CHECK(r->fd >= 0);
	own_thread("recorder");
	lock_acquire(&r->lock);
	for (;;) {
		unsigned i = r->written;
		size_t length;
		int error;

		CHECK(r->current - i < RECORDER_BLOCKS);
		if (i == r->current) {
			if (r->stopping)
				break;
			cond_wait(&r->full, &r->lock);
			continue;
		}
		length = r->lengths[i % RECORDER_BLOCKS];
		lock_release(&r->lock);
		error = length ? recorder_write(r->fd, block_memory(r, i), length) : 0;
		if (error && !told)
			log_warning_limited(
			    "a recording cannot be written (%s): stopping it tells the same",
			    strerror(-error));
		told |= error != 0;
		lock_acquire(&r->lock);
		r->bytes += length;
		if (error && !r->error)
			r->error = error;
		r->written++;
	}
	lock_release(&r->lock);
	return NULL;
}

int
recorder_take(struct recorder *r)
{
	void *memory;

	locks_assert_none();
	memory = malloc((size_t)RECORDER_BLOCKS * BLOCK_BYTES);

	if (!memory)
		return -ENOMEM;
	lock_acquire(&r->lock);
	CHECK(r->is_changing && !r->memory);
	r->memory = memory;
	lock_release(&r->lock);
	return 0;
}

void
recorder_drop(struct recorder *r)
{
	lock_acquire(&r->lock);
	CHECK(r->is_changing && r->fd < 0);
	free(r->memory);
	r->memory = NULL;
	lock_release(&r->lock);
}

int
recorder_begin(struct recorder *r, int fd, struct task_name name)
{
	int error;

	CHECK(fd >= 0);
	lock_acquire(&r->lock);
	CHECK(r->is_changing && r->fd < 0);
	r->fd = fd;
	r->name = name;
	r->error = 0;
	r->stopping = false;
	r->events = r->records = r->dropped = r->dropped_since = 0;
	r->bytes = sizeof(struct pager_trace_header);
	r->current = r->written = 0;
	trace_block_begin(&r->block, block_memory(r, 0), BLOCK_BYTES);
	lock_release(&r->lock);
	error = -pthread_create(&r->thread, NULL, recorder_main, r);
	if (error) {
		lock_acquire(&r->lock);
		r->fd = -1;
		lock_release(&r->lock);
	}
	return error;
}

int
recorder_end(struct recorder *r, int *ret_fd)
{
	size_t length;
	int error;

	lock_acquire(&r->lock);
	CHECK(r->is_changing && r->fd >= 0 && !r->stopping);
	r->stopping = true;
	cond_signal(&r->full);
	lock_release(&r->lock);
	pthread_join(r->thread, NULL);
	/* The last block, and what was dropped behind it. */
	lock_acquire(&r->lock);
	length = trace_block_end(&r->block, r->dropped_since);
	lock_release(&r->lock);
	error = r->error;
	if (!error && length)
		error = recorder_write(r->fd, block_memory(r, r->current), length);
	lock_acquire(&r->lock);
	r->bytes += length;
	*ret_fd = r->fd;
	r->fd = -1;
	lock_release(&r->lock);
	recorder_drop(r);
	return error;
}

int
trace_create(struct daemon *d)
{
	struct recorder *r = calloc(1, sizeof(*r));

	CHECK(!d->recorder);
	if (!r)
		return -ENOMEM;
	d->recorder = r;
	lock_init(&r->lock, RANK_RECORDER);
	cond_init(&r->full);
	r->fd = -1;
	return 0;
}

void
trace_destroy(struct daemon *d)
{
	CHECK(d->recorder->fd < 0 && !d->recorder->memory);
	lock_fini(&d->recorder->lock);
	cond_fini(&d->recorder->full);
	free(d->recorder);
	d->recorder = NULL;
}
