/* SPDX-License-Identifier: MIT
 *
 * Runs on: a thread of its own; access_written on the cleaner. Allocates nothing once it runs.
 */
#include "pagers/announced.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "clock.h"
#include "daemon.h"
#include "log.h"
#include "own.h"
#include "pagers/returns.h"
#include "pagers/vnode.h"
#include "pagers/vnode_beside.h"
#include "pagers/vnode_strict.h"
#include "vm/block.h"
#include "vm/vm_object.h"

#ifndef FAN_EVENT_INFO_TYPE_RANGE
#define FAN_EVENT_INFO_TYPE_RANGE 6
#endif

/* Accesses that wait at a time, each with a descriptor; those behind them wait in the kernel. One
 * user's files have half of them at most: what is beyond is let go as it is. */
#define ACCESSES_MOST  256u
#define ACCESSES_LEAST 16u
/* After an access to a file has waited in vain, all to that file are let go for this long. */
#define SLOW_NS 10000000000ull
/* Entries that a read needs: events are of different lengths. */
#define READ_LEAST 4u
#define READ_MOST  64u
/* A thread that could not be looked at is looked at again after so long. */
#define LOOK_AGAIN_NS 50000u
/* Where no thread could ever be looked at, none waits for that for longer, and after so many none
 * is looked at any more. */
#define LOOK_FIRST_NS 20000000ull
#define LOOKS_FAILED  8u

struct range_info {
	struct fanotify_event_info_header header;
	uint32_t pad;
	uint64_t offset, count; /* bytes */
};

/* One announced access that waits for dirty pages. Letters: (A) as in daemon.h; else the thread's.
 */
struct access {
	int fd;                       /* names it to the kernel; -1: it has been answered */
	bool is_used;                 /* also while only the request is under way */
	pid_t thread;                 /* its call is still to be looked at; 0: it is known */
	struct clean_request request; /* of its object; NULL: none is under way */
	atomic_bool is_written;       /* (A) the request is over, or there is none */
	struct file_part part;        /* what is left of it */
	uid_t uid;                    /* whose file it is */
	uint64_t start_ns;
};

struct announced {
	struct daemon *daemon;
	pthread_t thread;
	bool is_running;
	struct stat_shard stats;
	atomic_bool stopping;
	int bell;              /* (C) eventfd */
	bool has_looked;       /* threads can be looked at */
	unsigned looks_failed; /* as long as none could be */
	unsigned count, used;
	struct access accesses[];
};

static void
ring(struct announced *a)
{
	uint64_t one = 1;

	CHECK(write(a->bell, &one, sizeof(one)) == sizeof(one));
}

/* On the cleaner. */
static void
access_written(struct clean_request *request)
{
	struct access *access = container_of(request, struct access, request);
	struct announced *a = request->object->daemon->announced;

	store_release(&access->is_written, true);
	ring(a);
}

/* The kernel lets it go. If its thread has been killed meanwhile nobody minds. */
static void
answer(struct announced *a, int fd)
{
	struct fanotify_response response = { .fd = fd, .response = FAN_ALLOW };
	int group = load_acquire(&a->daemon->vnodes.strict);

	(void)!write(group, &response, sizeof(response));
	close(fd);
}

static void
access_answer(struct announced *a, struct access *access)
{
	if (access->fd >= 0)
		answer(a, access->fd);
	access->fd = -1;
}

/* Whether a dirty page is in [low, high). What is dirty while the access is under way may be seen
 * or not. */
static bool
has_dirty(const struct vm_object *o, uint64_t low, uint64_t high)
{
	const struct daemon *d = o->daemon;

	for (uint64_t i = low; (i = vm_object_next_live(o, i, high)) < high; i++) {
		uint64_t slot = load_acquire((_Atomic uint64_t *)(uintptr_t)vm_object_slot(o, i));

		if (slot_kind(slot) == SLOT_RESIDENT &&
		    load_acquire(&d->frames.pages[slot_frame(slot)].word) & PAGE_DIRTY)
			return true;
	}
	return false;
}

/* Looks at the thread whose access it is, if that is still to be done. */
static void
access_look(struct announced *a, struct access *access, uint64_t now)
{
	uint64_t most =
	    a->has_looked ? param(a->daemon, strict_wait_ms) * 1000000ull : LOOK_FIRST_NS;
	enum beside_call call;

	if (access->thread == 0 || access->fd < 0)
		return;
	call = a->looks_failed < LOOKS_FAILED ? beside_look(access->thread) : BESIDE_OTHER;
	a->has_looked |= call == BESIDE_MMAP || call == BESIDE_OTHER;
	if (call == BESIDE_NOT_YET && now - access->start_ns < most && !load_acquire(&a->stopping))
		return;
	if (call == BESIDE_MMAP) {
		stat_add(a->stats, STAT_FILE_MAPPED_BESIDE, 1);
		beside_tell(access->thread, access->fd);
	} else if (call != BESIDE_OTHER && !a->has_looked && ++a->looks_failed == LOOKS_FAILED) {
		log_warning_limited(
		    "threads that read files cannot be looked at: who maps one with mmap(2) "
		    "is not told");
	}
	access->thread = 0;
}

/* Goes on to the next object with dirty pages. => false: there is none; the entry can be used for
 * another access */
static bool
access_go_on(struct announced *a, struct access *access)
{
	struct clean_request *r = &access->request;

	locks_assert_none();
	while (access->fd >= 0 && !load_acquire(&a->stopping)) {
		*r = (struct clean_request){ .done = access_written };
		r->object = vnode_part_next(a->daemon, &access->part, &r->low, &r->high);
		if (!r->object)
			break;
		if (has_dirty(r->object, r->low, r->high)) {
			store_release(&access->is_written, false);
			stat_add(a->stats, STAT_FILE_WAITS, 1);
			returns_ask(a->daemon, r);
			return true;
		}
		vnode_joined(r->object);
		vm_object_put(r->object);
	}
	r->object = NULL;
	store_release(&access->is_written, true);
	if (access->fd >= 0 && access->thread != 0)
		return true;
	access_answer(a, access);
	return false;
}

/* The part of a file that an event is about, in bytes: an access with no range, or with an empty
 * one, as a truncation has, concerns all that lies behind. */
static void
event_part(const struct fanotify_event_metadata *event, const char *at, struct file_part *ret)
{
	struct range_info range = { 0 };

	if (event->event_len >= event->metadata_len + sizeof(range))
		memcpy(&range, at + event->metadata_len, sizeof(range));
	if (range.header.info_type != FAN_EVENT_INFO_TYPE_RANGE)
		range = (struct range_info){ 0 };
	ret->offset = range.offset;
	ret->end = range.count ? range.offset + range.count : UINT64_MAX;
	if (ret->end < ret->offset)
		ret->end = UINT64_MAX;
}

static unsigned
waiting_of(const struct announced *a, uid_t uid)
{
	unsigned count = 0;

	for (unsigned i = 0; i < a->count; i++)
		count += a->accesses[i].is_used && a->accesses[i].uid == uid;
	return count;
}

static void
access_begin(struct announced *a, const struct fanotify_event_metadata *event, const char *at)
{
	struct access *access = a->accesses;
	enum vnode_pace pace;
	struct stat st;

	/* What the daemon does itself is none of an access; it must not wait for itself. */
	if (beside_is_own(event->pid) || a->used == a->count || fstat(event->fd, &st) < 0) {
		answer(a, event->fd);
		return;
	}
	stat_add(a->stats, STAT_FILE_ANNOUNCED, 1);
	while (access->is_used)
		access++;
	access->fd = event->fd;
	access->start_ns = clock_now_ns();
	access->part.device = st.st_dev;
	access->part.inode = st.st_ino;
	event_part(event, at, &access->part);
	pace = vnode_pace(a->daemon, &access->part, access->start_ns, &access->uid);
	access->thread = pace == VNODE_NONE ? 0 : event->pid;
	access_look(a, access, access->start_ns);
	if (pace == VNODE_NONE || pace == VNODE_SLOW ||
	    waiting_of(a, access->uid) >= a->count / 2) {
		if (pace != VNODE_NONE)
			stat_add(a->stats, STAT_FILE_WAITS_LATE, 1);
		access_answer(a, access);
		return;
	}
	access->is_used = access_go_on(a, access);
	a->used += access->is_used;
}

static void
events_read(struct announced *a)
{
	_Alignas(8) char buffer[READ_MOST * sizeof(struct fanotify_event_metadata)];
	size_t room = min_u64(a->count - a->used, READ_MOST);
	int group = load_acquire(&a->daemon->vnodes.strict);
	struct fanotify_event_metadata event;
	ssize_t bytes;

	CHECK(room >= READ_LEAST);
	/* No more than there are entries for. */
	bytes = read(group, buffer, room * sizeof(event));
	for (const char *at = buffer; bytes >= (ssize_t)sizeof(event);
	     bytes -= event.event_len, at += event.event_len) {
		memcpy(&event, at, sizeof(event));
		if (event.event_len < sizeof(event) || event.event_len > bytes)
			break;
		if (event.fd >= 0)
			access_begin(a, &event, at);
	}
}

/* Of the entries: those whose pages are written go on, those that have waited for too long are
 * answered. => when the next one will have, or UINT64_MAX */
static uint64_t
accesses_look(struct announced *a)
{
	uint64_t now = clock_now_ns(), next = UINT64_MAX,
		 wait = param(a->daemon, strict_wait_ms) * 1000000ull;

	locks_assert_none();
	for (unsigned i = 0; i < a->count; i++) {
		struct access *access = &a->accesses[i];
		struct vm_object *o = access->request.object;

		if (!access->is_used)
			continue;
		access_look(a, access, now);
		if (load_acquire(&access->is_written)) {
			if (o) {
				vnode_joined(o);
				vm_object_put(o);
			}
			access->is_used = access_go_on(a, access);
			a->used -= !access->is_used;
		} else if (access->fd >= 0 &&
			   (load_acquire(&a->stopping) || now - access->start_ns >= wait)) {
			stat_add(a->stats, STAT_FILE_WAITS_LATE, 1);
			vnode_slow(o, now + SLOW_NS);
			store_release(&access->request.is_unwanted, true);
			returns_ring(a->daemon);
			access_answer(a, access);
		}
		if (access->is_used && access->fd >= 0)
			next = min_u64(
			    next, access->thread ? now + LOOK_AGAIN_NS : access->start_ns + wait);
	}
	return next;
}

static void *
announced_main(void *argument)
{
	struct announced *a = argument;
	struct pollfd polled[2] = { { .fd = a->bell, .events = POLLIN }, { .events = POLLIN } };
	uint64_t rings, next = UINT64_MAX, now, rest;
	struct timespec timeout;

	own_thread("announced");
	alloc_forbid();
	while (!load_acquire(&a->stopping) || a->used > 0) {
		now = clock_now_ns();
		polled[1].fd =
		    a->count - a->used >= READ_LEAST ? load_acquire(&a->daemon->vnodes.strict) : -1;
		polled[1].revents = 0;
		rest = max_u64(next, now) - now;
		timeout = (struct timespec){ .tv_sec = (time_t)(rest / 1000000000u),
			.tv_nsec = (long)(rest % 1000000000u) };
		(void)ppoll(polled, 2, next == UINT64_MAX ? NULL : &timeout, NULL);
		(void)!read(a->bell, &rings, sizeof(rings));
		if (polled[1].revents & POLLIN)
			events_read(a);
		next = accesses_look(a);
	}
	return NULL;
}

int
announced_start(struct daemon *d)
{
	struct rlimit limit = { .rlim_cur = 0 };
	struct announced *a;
	uint64_t count;
	int error;

	CHECK(!d->announced);
	if (load_acquire(&d->vnodes.strict) < 0)
		return 0;
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	count = min_u64(max_u64(limit.rlim_cur / 32, ACCESSES_LEAST), ACCESSES_MOST);
	a = calloc(1, sizeof(*a) + count * sizeof(a->accesses[0]));
	if (!a)
		return -ENOMEM;
	d->announced = a;
	a->daemon = d;
	a->count = (unsigned)count;
	a->stats = stats_shard(&d->stats, shard_index_extra(d, SHARD_ANNOUNCED));
	for (unsigned i = 0; i < a->count; i++)
		a->accesses[i].fd = -1;
	a->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (a->bell < 0)
		return -errno;
	error = -pthread_create(&a->thread, NULL, announced_main, a);
	a->is_running = error == 0;
	return error;
}

void
announced_stop(struct daemon *d)
{
	struct announced *a = d->announced;

	if (!a)
		return;
	store_release(&a->stopping, true);
	ring(a);
	pthread_join(a->thread, NULL);
	a->is_running = false;
	vnode_strict_destroy(d);
}

void
announced_fini(struct daemon *d)
{
	struct announced *a = d->announced;

	if (!a)
		return;
	CHECK(!a->is_running && a->used == 0);
	if (a->bell >= 0)
		close(a->bell);
	free(a);
	d->announced = NULL;
}
