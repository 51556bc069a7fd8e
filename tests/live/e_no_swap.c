/* SPDX-License-Identifier: MIT
 *
 * A machine without swap, and one whose swap is full: pages are compressed, clean ones dropped,
 * volatile memory is purged and clients are asked before a process is ended. It is the one that
 * wants too much; nobody hangs, no touch is refused, and those that are left have lost nothing.
 *
 * usage: e_no_swap none|full
 */
#include "harness.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "pager/pressure.h"

#define MIB (1ull << 20)

enum { VOLATILE, LISTENER, READER, KEEPER, OTHERS };

struct scene {
	_Atomic unsigned ready, asked;
	_Atomic bool go, over;
	char file[160];
};
static struct scene *scene;

/* Half of the page does not compress. */
static void
fill(struct live *d, unsigned char *base, uint64_t size, uint64_t seed)
{
	for (uint64_t i = 0; i < size / d->page_bytes; i++) {
		uint64_t *page = (void *)(base + i * d->page_bytes);

		for (uint64_t at = 0; at < d->page_bytes / 16; at++)
			page[at] = mix64(seed + i * d->page_bytes + at);
	}
}

static void
verify(struct live *d, const unsigned char *base, uint64_t size, uint64_t seed)
{
	for (uint64_t i = 0; i < size / d->page_bytes; i++) {
		const uint64_t *page = (const void *)(base + i * d->page_bytes);

		for (uint64_t at = 0; at < d->page_bytes / 16; at++)
			if (page[at] != mix64(seed + i * d->page_bytes + at))
				FAIL("page %llu is wrong", (unsigned long long)i);
	}
}

static void
wait_for_the_end(void)
{
	scene->ready++;
	while (!scene->over)
		usleep(1000);
}

static void
event(void *context, enum pager_event what, uint64_t value)
{
	(void)context;
	if (what == PAGER_EVENT_PRESSURE && value != PAGER_PRESSURE_NORMAL)
		scene->asked++;
}

/* --- those that are to be left --- */

static void
volatile_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	int state = PAGER_PURGEABLE_VOLATILE;
	void *base;

	(void)argument;
	OK(pager_allocate(p, 2 * MIB, PAGER_ALLOC_PURGEABLE, &base));
	fill(d, base, 2 * MIB, 1);
	OK(pager_purgeable_control(p, base, PAGER_PURGEABLE_SET_STATE, &state));
	wait_for_the_end();
	state = PAGER_PURGEABLE_NONVOLATILE;
	OK(pager_purgeable_control(p, base, PAGER_PURGEABLE_SET_STATE, &state));
	EQ(state & PAGER_PURGEABLE_STATE_MASK, PAGER_PURGEABLE_EMPTY);
	OK(pager_disconnect(p));
}

static void
listener_run(struct live *d, void *argument)
{
	struct pager_options options = { .size = sizeof(options), .event = event };
	enum pager_pressure now;
	unsigned char *base;
	struct pager *p;

	(void)argument;
	OK(pager_connect(d->socket, &options, &p));
	OK(pager_pressure_watch(p, PAGER_PRESSURE_LEVELS, NULL, &now));
	base = client_allocate(p, MIB);
	fill(d, base, MIB, 2);
	wait_for_the_end();
	verify(d, base, MIB, 2);
	OK(pager_disconnect(p));
}

/* Its pages are clean: they are in a file. */
static void
reader_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	int fd = open(scene->file, O_RDONLY | O_CLOEXEC);
	void *base;

	(void)argument;
	REQUIRE(fd >= 0);
	OK(pager_map_file(p, fd, 0, 2 * MIB, PROT_READ, PAGER_MAP_SHARED, &base));
	verify(d, base, 2 * MIB, 3);
	wait_for_the_end();
	verify(d, base, 2 * MIB, 3);
	close(fd);
	OK(pager_disconnect(p));
}

static void
keeper_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, 3 * MIB);

	(void)argument;
	fill(d, base, 3 * MIB, 4);
	wait_for_the_end();
	verify(d, base, 3 * MIB, 4);
	OK(pager_disconnect(p));
}

/* --- the one that wants too much --- */

static void
greedy_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, 256 * MIB);

	(void)argument;
	while (!scene->go)
		usleep(1000);
	fill(d, base, 256 * MIB, 5);
	FAIL("all of it found room");
}

static void
file_make(struct live *d)
{
	unsigned char *content = malloc(2 * MIB);
	int fd;

	REQUIRE(content != NULL);
	fill(d, content, 2 * MIB, 3);
	snprintf(scene->file, sizeof(scene->file), "%s/file", d->directory);
	fd = open(scene->file, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	REQUIRE(fd >= 0 && write(fd, content, 2 * MIB) == (ssize_t)(2 * MIB) && fsync(fd) == 0);
	close(fd);
	free(content);
}

static void
band_set(struct live *d, pid_t pid, const char *band)
{
	char text[1024], client[16];

	snprintf(client, sizeof(client), "%d", (int)pid);
	REQUIRE(
	    live_pagerctl(d, text, sizeof(text), "priority", client, band, NULL) == 0, "%s", text);
}

/* At each moment: who is ended is ended after the others. */
static bool
is_ended_in_order(struct live *d, bool full)
{
	static const char *const names[] = { "jetsam_kills", "purges", "notices", "pageouts",
		"swapouts", "swap_full" };
	enum { KILLS, PURGES, NOTICES, PAGEOUTS, SWAPOUTS, FULL, COUNT };
	int64_t v[COUNT];

	live_stats(d, names, COUNT, v);
	if (v[KILLS] == 0)
		return false;
	REQUIRE(v[PURGES] > 0 && v[NOTICES] > 0 && v[PAGEOUTS] > 0,
	    "%lld purges, %lld notices, %lld pages out", (long long)v[PURGES],
	    (long long)v[NOTICES], (long long)v[PAGEOUTS]);
	REQUIRE(full == (v[SWAPOUTS] > 0));
	EQ(v[KILLS], 1);
	return true;
}

static void
run(bool full)
{
	static client_body *const bodies[OTHERS] = { volatile_run, listener_run, reader_run,
		keeper_run };
	pid_t others[OTHERS], greedy;
	struct live d;
	int status;

	scene = shared_alloc(sizeof(*scene));
	if (full)
		live_start(&d, "16M", "--swap-max", "4M", "--param", "swap_file_bytes=1048576",
		    "--param", "notice_least_bytes=0", NULL);
	else
		live_start(&d, "16M", "--no-swap", "--param", "notice_least_bytes=0", NULL);
	file_make(&d);
	for (unsigned i = 0; i < OTHERS; i++)
		others[i] = client_start(&d, bodies[i], NULL);
	greedy = client_start(&d, greedy_run, NULL);
	client_forget(greedy);
	WAIT_UNTIL(&d, scene->ready == OTHERS && live_stat(&d, "sessions") == OTHERS + 1);
	band_set(&d, greedy, "background");
	for (unsigned i = 0; i < OTHERS; i++)
		band_set(&d, others[i], "important");
	scene->go = true;
	WAIT_UNTIL(&d, is_ended_in_order(&d, full));
	REQUIRE(waitpid(greedy, &status, 0) == greedy);
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == OTHERS);
	WAIT_UNTIL(&d, scene->asked > 0);
	live_check(&d);
	scene->over = true;
	for (unsigned i = 0; i < OTHERS; i++)
		client_join(&d, others[i], true);
	EQ(live_stat(&d, "jetsam_kills"), 1);
	EQ(live_stat(&d, "refused_zero_fills") + live_stat(&d, "refused_refills"), 0);
	live_stop(&d);
}

static void
none(void)
{
	run(false);
}

static void
full(void)
{
	run(true);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = { { "none", none }, { "full", full } };

	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
