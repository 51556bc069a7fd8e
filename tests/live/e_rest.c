/* SPDX-License-Identifier: MIT
 *
 * The daemon's timers stop when nothing moves, and go on when something does: what they look for is
 * found although all of them had stopped.
 *
 * usage: e_rest idle
 */
#include "harness.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "pager/pressure.h"

#define MIB    (1ull << 20)
#define TIMERS 5

struct scene {
	_Atomic unsigned stage, warned;
};
static struct scene *scene;

/* All timers have stopped. Asking the daemon would make them go on: the segment tells it. */
static void
wait_for_rest(struct live *d)
{
	WAIT_UNTIL(d, live_stat(d, "timers_resting") == TIMERS);
}

static void
stage_wait(unsigned stage)
{
	while (scene->stage < stage)
		usleep(500);
}

static void
event(void *context, enum pager_event event, uint64_t value)
{
	if (event == PAGER_EVENT_PRESSURE && value == PAGER_PRESSURE_WARNING)
		scene->warned++;
}

/* It has memory, a file and a notice to wait for, and does nothing until it is told to. */
static void
quiet_client(struct live *d, void *argument)
{
	struct pager_options options = { .size = sizeof(options), .event = event };
	const uint64_t size = 12 * MIB;
	char path[192];
	struct pager *p;
	unsigned char *base;
	void *file;
	int fd;

	OK(pager_connect(d->socket, &options, &p));
	OK(pager_pressure_watch(p, PAGER_PRESSURE_LEVELS, NULL, NULL));
	base = client_allocate(p, size);
	base[0] = 1;
	snprintf(path, sizeof(path), "%s/file", d->directory);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0 && ftruncate(fd, MIB) == 0);
	OK(pager_map_file(p, fd, 0, MIB, PROT_READ, PAGER_MAP_SHARED, &file));
	EQ(((unsigned char *)file)[5], 0);
	scene->stage = 1;
	stage_wait(2);
	/* More than there is: workers, compressor and writer find their work. */
	for (uint64_t at = 0; at < size; at += sizeof(uint64_t))
		*(uint64_t *)(void *)(base + at) = mix64(at);
	scene->stage = 3;
	stage_wait(4);
	for (uint64_t at = 0; at < size; at += sizeof(uint64_t))
		EQ(*(uint64_t *)(void *)(base + at), mix64(at));
	OK(pager_deallocate(p, base, size));
	scene->stage = 5;
	stage_wait(6);
	OK(pager_disconnect(p));
	close(fd);
}

static void
idle(void)
{
	unsigned warned;
	char text[4096];
	struct live d;
	pid_t pid;

	scene = shared_alloc(sizeof(*scene));
	live_start(&d, "8M", "--param", "notice_least_bytes=0", NULL);
	wait_for_rest(&d);
	pid = client_start(&d, quiet_client, NULL);
	WAIT_UNTIL(&d, scene->stage == 1);
	wait_for_rest(&d);
	scene->stage = 2;
	WAIT_UNTIL(&d, scene->stage == 3);
	wait_for_rest(&d);
	REQUIRE(live_stat(&d, "swapouts") > 0);
	scene->stage = 4;
	WAIT_UNTIL(&d, scene->stage == 5);
	wait_for_rest(&d);
	/* What the client had has been given back, also in swap, though nobody asked. */
	EQ(live_stat(&d, "internal_compressed"), 0);
	/* The writer gives places back in its last look, after which nothing beats. */
	WAIT_UNTIL(&d, live_stat(&d, "swap_used_bytes") == 0);
	EQ(live_stat(&d, "sessions"), 1);
	/* A notice goes out, and memorystatus goes on as long as there is a level; the others do
	 * not. */
	warned = scene->warned;
	EQ(live_pagerctl(&d, text, sizeof(text), "pressure", "--simulate", "warning", NULL), 0);
	WAIT_UNTIL(&d, scene->warned == warned + 1);
	WAIT_UNTIL(&d, live_stat(&d, "timers_resting") == TIMERS - 1);
	scene->stage = 6;
	client_join(&d, pid, false);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	WAIT_UNTIL(&d, live_stat(&d, "timers_resting") == TIMERS - 1);
	/* A param ends it. */
	live_param(&d, "rest_after_ms", "0");
	WAIT_UNTIL(&d, live_stat(&d, "timers_resting") == 0);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = { { "idle", idle } };

	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
