/* SPDX-License-Identifier: MIT
 *
 * The recorder. Runs on: fault servers and jobs append; its own thread writes. The lock is a leaf
 * and is not held across I/O.
 */
#include "record/recorder.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/closer.h"
#include "pmap/zap.h"
#include "pol_window.h"
#include "vm/task.h"
#include "trace_codec.h"
#include "pageq/pageq.h"

#define BLOCK_BYTES (64u << 10)
#define BLOCKS      16u
#define WINDOW_MAX  65536u

struct recorder {
	struct lock lock; /* covers everything below but what is marked */
	struct cond full; /* waited by the writer; signalled when a block is full, and to stop */
	pthread_t thread;
	int fd;
	struct task_name name; /* of which clients; of neither: all */
	int error;             /* the first that writing met */
	bool stopping;
	bool is_changing; /* a thread starts or stops the recording: no other does so meanwhile */
	uint64_t events, records, dropped, dropped_since, bytes;
	/* Ring of blocks: [written, current) are full and wait for the writer, current is being
	 * filled. */
	unsigned char *memory;
	struct trace_block block;
	size_t lengths[BLOCKS];
	unsigned current, written;
	struct pol_window
	    *window; /* mapped pages of the recorded clients; NULL: as the policy says */
	size_t window_bytes;
};

static unsigned char *
block_memory(struct recorder *r, unsigned i)
{
	return r->memory + (size_t)(i % BLOCKS) * BLOCK_BYTES;
}

/* Ends the current block and begins the next. => false: all are full. Lock held. */
static bool
block_turn(struct recorder *r)
{
	if (r->current + 1 - r->written >= BLOCKS)
		return false;
	r->lengths[r->current % BLOCKS] = trace_block_end(&r->block, r->dropped_since);
	r->dropped_since = 0;
	r->current++;
	trace_block_begin(&r->block, block_memory(r, r->current), BLOCK_BYTES);
	cond_signal(&r->full);
	return true;
}

static bool
is_recorded(const struct recorder *r, const struct task *task)
{
	return task_names_all(r->name) || task_is_named(task, r->name);
}

void
trace_record(struct daemon *d, const struct vm_object *o, uint64_t index, uint32_t thread,
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

	lock_acquire(&r->lock);
	if (load_relaxed(&d->trace_on) && is_recorded(r, o->task)) {
		record.event = ++r->events;
		if (trace_block_put(&r->block, &record) == 0 ||
		    (block_turn(r) && trace_block_put(&r->block, &record) == 0)) {
			r->records++;
		} else {
			r->dropped++;
			r->dropped_since++;
		}
	}
	lock_release(&r->lock);
}

static int
write_all(int fd, const void *bytes, size_t length)
{
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

	pthread_setname_np(pthread_self(), "recorder");
	lock_acquire(&r->lock);
	for (;;) {
		unsigned i = r->written;
		size_t length;
		int error;

		if (i == r->current) {
			if (r->stopping)
				break;
			cond_wait(&r->full, &r->lock);
			continue;
		}
		length = r->lengths[i % BLOCKS];
		lock_release(&r->lock);
		error = length ? write_all(r->fd, block_memory(r, i), length) : 0;
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
trace_create(struct daemon *d)
{
	struct recorder *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	d->recorder = r;
	lock_init(&r->lock, RANK_LOG);
	cond_init(&r->full);
	r->fd = -1;
	return 0;
}

void
trace_destroy(struct daemon *d)
{
	trace_stop(d);
	lock_fini(&d->recorder->lock);
	cond_fini(&d->recorder->full);
	free(d->recorder);
}

/* Only now that there is a recording: what the file had before is gone. */
static int
file_begin(struct daemon *d, int fd, mode_t mode, struct task_name name, uint32_t window)
{
	struct pager_trace_header header;
	struct timespec now;

	if (S_ISREG(mode) && ftruncate(fd, 0) < 0)
		return -errno;
	clock_gettime(CLOCK_REALTIME, &now);
	trace_header_fill(&header, (uint32_t)d->page_bytes, window,
	    (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec, (uint64_t)name.pid);
	return write_all(fd, &header, sizeof(header));
}

/* Sparse: touched where pages of the recorded clients are. => 0 or -ENOMEM */
static int
buffers_take(struct daemon *d, struct recorder *r, uint32_t window)
{
	void *memory;

	r->memory = malloc((size_t)BLOCKS * BLOCK_BYTES);
	if (!r->memory)
		return -ENOMEM;
	if (window == 0)
		return 0;
	r->window_bytes = pol_window_footprint(d->slots.count);
	memory = mmap(NULL, r->window_bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED) {
		free(r->memory);
		r->memory = NULL;
		return -ENOMEM;
	}
	r->window = memory;
	pol_window_init(r->window, window);
	return 0;
}

/* Lock held. */
static void
buffers_drop(struct recorder *r)
{
	free(r->memory);
	r->memory = NULL;
	if (r->window)
		munmap(r->window, r->window_bytes);
	r->window = NULL;
}

#define UNMAP_BATCH 64u

/* What was mapped before the recording began is not in its window: its touches would not be seen.
 */
static void
unmap_recorded(struct daemon *d, struct task_name name, struct stat_shard stats)
{
	struct victim victims[UNMAP_BATCH];
	uint32_t frame = 0;

	while (frame < d->frames.count) {
		unsigned count = 0;

		pageq_lock(d);
		for (; frame < d->frames.count && count < UNMAP_BATCH; frame++)
			count += pageq_deactivate_frame_locked(d, frame, name, &victims[count]);
		pageq_unlock(d);
		zap_now(d, stats, victims, count);
	}
}

/* Whether the calling thread may start a recording (or stop it). => 0, and change_end is called
 * afterwards; -EBUSY: there is one, or it is being changed; -ENOENT: there is none to stop */
static int
change_begin(struct recorder *r, bool stops)
{
	int error = 0;

	lock_acquire(&r->lock);
	if (r->is_changing || (!stops && r->fd >= 0))
		error = -EBUSY;
	else if (stops && r->fd < 0)
		error = -ENOENT;
	else
		r->is_changing = true;
	lock_release(&r->lock);
	return error;
}

static void
change_end(struct recorder *r)
{
	lock_acquire(&r->lock);
	CHECK(r->is_changing);
	r->is_changing = false;
	lock_release(&r->lock);
}

static int
start(struct daemon *d, int fd, struct task_name name, uint32_t window, struct stat_shard stats)
{
	struct recorder *r = d->recorder;
	struct stat st;
	int error;

	/* A process need not be a client yet. */
	if (name.id ? !task_exists(d, name.id)
		    : name.pid && kill(name.pid, 0) < 0 && errno == ESRCH)
		return -ESRCH;
	if (window > WINDOW_MAX || (window > 0 && window < 4) || fstat(fd, &st) < 0)
		return -EINVAL;
	if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return -EBADF;
	lock_acquire(&r->lock);
	error = buffers_take(d, r, window);
	lock_release(&r->lock);
	if (error)
		return error;
	error = file_begin(d, fd, st.st_mode, name, window);
	if (error) {
		lock_acquire(&r->lock);
		buffers_drop(r);
		lock_release(&r->lock);
		return error;
	}
	lock_acquire(&r->lock);
	r->fd = fd;
	r->name = name;
	r->error = 0;
	r->stopping = false;
	r->events = r->records = r->dropped = r->dropped_since = 0;
	r->bytes = sizeof(struct pager_trace_header);
	r->current = r->written = 0;
	trace_block_begin(&r->block, r->memory, BLOCK_BYTES);
	lock_release(&r->lock);
	error = -pthread_create(&r->thread, NULL, recorder_main, r);
	if (error) {
		lock_acquire(&r->lock);
		r->fd = -1;
		buffers_drop(r);
		lock_release(&r->lock);
		return error;
	}
	store_release(&d->trace_window, window);
	store_release(&d->trace_on, true);
	if (window)
		unmap_recorded(d, name, stats);
	return 0;
}

int
trace_start(
    struct daemon *d, int fd, struct task_name name, uint32_t window, struct stat_shard stats)
{
	int error = change_begin(d->recorder, false);

	if (error)
		return error;
	error = start(d, fd, name, window, stats);
	change_end(d->recorder);
	return error;
}

static int
stop(struct daemon *d)
{
	struct recorder *r = d->recorder;
	size_t length;
	int error;

	lock_acquire(&r->lock);
	store_release(&d->trace_on, false);
	store_release(&d->trace_window, 0);
	r->stopping = true;
	cond_signal(&r->full);
	lock_release(&r->lock);
	pthread_join(r->thread, NULL);
	/* Nobody appends any more: the last block, and what was dropped behind it. */
	lock_acquire(&r->lock);
	length = trace_block_end(&r->block, r->dropped_since);
	lock_release(&r->lock);
	error = r->error;
	if (!error && length)
		error = write_all(r->fd, block_memory(r, r->current), length);
	closer_close(d, r->fd, 0, 0);
	lock_acquire(&r->lock);
	r->bytes += length;
	r->fd = -1;
	buffers_drop(r);
	lock_release(&r->lock);
	return error;
}

int
trace_stop(struct daemon *d)
{
	int error = change_begin(d->recorder, true);

	if (error)
		return error;
	error = stop(d);
	change_end(d->recorder);
	return error;
}

void
trace_show(struct daemon *d, struct pager_rep_trace *ret)
{
	struct recorder *r = d->recorder;

	lock_acquire(&r->lock);
	*ret = (struct pager_rep_trace){
		.records = r->records,
		.dropped = r->dropped,
		.bytes = r->bytes,
		.active = r->fd >= 0,
	};
	lock_release(&r->lock);
}

/* Times 20 microseconds and more: a server that has to wait for its processor is waited for. This
 * is the only place where a fault server sleeps outside of its poll, and only while a recording has
 * a window. */
#define COMING_TRIES    2000u
#define COMING_PAUSE_NS 20000

/* => the page that leaves the window, or POL_NONE */
static pol_page
window_turn(struct recorder *r, const struct task *task, pol_page page)
{
	pol_page oldest = POL_NONE;

	lock_acquire(&r->lock);
	if (r->window && is_recorded(r, task)) {
		pol_window_map(r->window, page);
		pol_window_deactivate(r->window, r->window->width, 1, &oldest);
	}
	lock_release(&r->lock);
	return oldest;
}

void
trace_window_push(struct daemon *d, struct stat_shard stats, struct vm_object *o, uint64_t index)
{
	pol_page oldest = window_turn(d->recorder, o->task, vm_object_pol_page(o, index));
	struct victim victim;
	bool found = false, coming = oldest != POL_NONE;

	/* Another server may have woken its thread and not let go of the page yet. Not for ever:
	 * whoever holds it may be waiting for the page that we hold. */
	for (unsigned tries = 0; coming && !found && tries < COMING_TRIES; tries++) {
		const struct timespec pause = { .tv_nsec = COMING_PAUSE_NS };

		if (tries > 0)
			nanosleep(&pause, NULL);
		pageq_lock(d);
		found = pageq_deactivate_slot_locked(d, oldest, &victim);
		coming = !found && pageq_slot_is_coming_locked(d, oldest);
		pageq_unlock(d);
	}
	if (found)
		zap_now(d, stats, &victim, 1);
}

void
trace_forgotten(struct daemon *d, const struct vm_object *o, uint64_t index)
{
	struct recorder *r = d->recorder;

	trace_record(d, o, index, 0, false, TRACE_FORGET);
	lock_acquire(&r->lock);
	if (r->window)
		pol_window_forget(r->window, vm_object_pol_page(o, index));
	lock_release(&r->lock);
}
