/* SPDX-License-Identifier: MIT
 *
 * Runs on: a thread of its own, which waits in its poll only and allocates nothing.
 */
#include "memorystatus/host_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "alloc.h"
#include "clock.h"
#include "daemon.h"
#include "memorystatus/host.h"
#include "memorystatus/host_room.h"
#include "memorystatus/memorystatus.h"

/* The files are read at least this often (milliseconds). */
#define LOOK_MS 100
/* The kernel tells when tasks have waited for memory for 100 ms of a second (microseconds). */
#define TRIGGER      "some 100000 1000000"
#define TEXT_BYTES   8192u
#define PRESSURE_DIR "pressure/memory"

struct host_watch {
	struct daemon *daemon;
	pthread_t thread;
	bool is_running;
	atomic_bool stopping;
	int bell;    /* (C) eventfd */
	int trigger; /* (C) told by the kernel; -1: it cannot tell */
	/* The thread's own. */
	char text[TEXT_BYTES];
	struct host_sizing sizing;
	enum pressure level;
	atomic_ullong wanted; /* (A) bytes that the daemon should hold; 0: not known yet */
};

static void
look(struct host_watch *w, bool stalled)
{
	struct daemon *d = w->daemon;
	const struct host_rules rules = { .low = (unsigned)param(d, host_available_permille),
		.calm_ns = param(d, host_calm_ms) * 1000000u };
	uint64_t most = load_relaxed(&d->memorystatus.most_bytes), now_ns = clock_now_ns();
	struct host_sizes sizes = {
		.size = (uint64_t)load_relaxed(&d->frames.size) << d->page_shift,
		.most = most,
		.least = most * param(d, host_least_percent) / 100,
	};
	long long held = load_relaxed(&d->stats.levels[STAT_FRAMES_TOTAL]) -
			 load_relaxed(&d->stats.levels[STAT_FRAMES_FREE]);
	struct host_reading r = { .stalled = stalled };
	enum pressure level;

	locks_assert_none();
	if (host_text(d->options.host_directory, "meminfo", w->text, sizeof(w->text)))
		host_parse_meminfo(w->text, &r);
	if (host_text(d->options.host_directory, PRESSURE_DIR, w->text, sizeof(w->text)))
		host_parse_pressure(w->text, &r);
	sizes.held = held > 0 ? (uint64_t)held << d->page_shift : 0;
	level = host_level(w->level, &r, rules.low);
	if (level != w->level)
		log_info_limited("the machine's memory: %s; %llu of %llu bytes are available",
		    pressure_name(level), (unsigned long long)r.available,
		    (unsigned long long)r.total);
	store_relaxed(&w->wanted, host_size(&w->sizing, &sizes, &r, level, &rules, now_ns));
	store_relaxed(&d->memorystatus.host, level);
	if (level > w->level)
		memorystatus_want(d);
	w->level = level;
}

static void *
host_main(void *argument)
{
	struct host_watch *w = argument;
	struct pollfd polled[2] = { { .fd = w->bell, .events = POLLIN },
		{ .fd = w->trigger, .events = POLLPRI } };

	pthread_setname_np(pthread_self(), "host");
	alloc_forbid();
	while (!load_acquire(&w->stopping)) {
		bool stalled = false;

		if (poll(polled, 2, LOOK_MS) > 0) {
			stalled = (polled[1].revents & POLLPRI) != 0;
			/* Of a cgroup that has gone, or the like: never again. */
			if (polled[1].revents & (POLLERR | POLLNVAL))
				polled[1].fd = -1;
		}
		look(w, stalled);
	}
	return NULL;
}

static int
trigger_open(const struct host_watch *w)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", w->daemon->options.host_directory, PRESSURE_DIR);
	/* The kernel takes a trigger from root, or with a window of 2 s from anybody; what it does
	 * not tell is seen at the next look. In a directory that is not /proc it is a plain file.
	 */
	if (strcmp(w->daemon->options.host_directory, "/proc") != 0)
		return -1;
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 && write(fd, TRIGGER, sizeof(TRIGGER)) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int
host_watch_start(struct daemon *d)
{
	struct host_watch *w = calloc(1, sizeof(*w));

	CHECK(!d->host_watch && d->options.host_directory);
	if (!w)
		return -ENOMEM;
	d->host_watch = w;
	w->daemon = d;
	w->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->bell < 0)
		return -errno;
	w->trigger = trigger_open(w);
	if (!host_text(d->options.host_directory, "meminfo", w->text, sizeof(w->text)))
		log_warning_limited(
		    "%s/meminfo cannot be read: the machine's memory is not followed",
		    d->options.host_directory);
	if (pthread_create(&w->thread, NULL, host_main, w) != 0)
		return -EAGAIN;
	w->is_running = true;
	return 0;
}

void
host_watch_stop(struct daemon *d)
{
	struct host_watch *w = d->host_watch;
	uint64_t one = 1;

	if (!w)
		return;
	store_release(&w->stopping, true);
	if (w->is_running) {
		CHECK(write(w->bell, &one, sizeof(one)) == sizeof(one));
		pthread_join(w->thread, NULL);
	}
	if (w->trigger >= 0)
		close(w->trigger);
	if (w->bell >= 0)
		close(w->bell);
	free(w);
	d->host_watch = NULL;
}

void
host_watch_apply(struct daemon *d)
{
	struct host_watch *w = d->host_watch;
	struct frame_sizes sizes;
	uint64_t wanted;

	if (!w || (wanted = load_relaxed(&w->wanted) >> d->page_shift) == 0)
		return;
	sizes = frames_sizes(d);
	wanted = min_u64(max_u64(wanted, sizes.least), sizes.most);
	if (wanted == load_relaxed(&d->frames.size))
		return;
	if (frames_resize(d, wanted) == 0)
		log_info_limited("memory is to be %llu bytes, because of the machine's",
		    (unsigned long long)(wanted << d->page_shift));
}
