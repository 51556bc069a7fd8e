/* SPDX-License-Identifier: MIT
 *
 * --host-pressure: the daemon gives memory back while the machine is short of it, takes it again
 * when there is enough, and loses nothing. The machine is a directory of the test's.
 *
 * usage: e_host follows|stalls
 */
#include "harness.h"

#include <sys/stat.h>

#define MIB (1ull << 20)

enum { CLIENTS = 2 };

struct scene {
	_Atomic bool over;
	_Atomic uint64_t rounds[CLIENTS];
};
static struct scene *scene;
static char machine[128];

/* Replaces a file of the machine's, whole. */
static void
machine_file(const char *name, const char *text)
{
	char path[256], next[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", machine, name);
	snprintf(next, sizeof(next), "%s/next", machine);
	f = fopen(next, "w");
	REQUIRE(f && fputs(text, f) >= 0 && fclose(f) == 0);
	OK(rename(next, path) ? -errno : 0);
}

/* available: of 1000 MiB. */
static void
machine_set(unsigned available_mib, const char *some, const char *full)
{
	char text[512];

	snprintf(text, sizeof(text),
	    "MemTotal:        1024000 kB\nMemFree:          10 kB\nMemAvailable: %u kB\n",
	    available_mib * 1024);
	machine_file("meminfo", text);
	snprintf(text, sizeof(text),
	    "some avg10=%s avg60=0.00 avg300=0.00 total=1\nfull avg10=%s avg60=0.00 avg300=0.00 "
	    "total=1\n",
	    some, full);
	machine_file("pressure/memory", text);
}

/* Writes and reads its pages at random, and knows what each must hold. */
static void
load_run(struct live *d, void *argument)
{
	unsigned number = (unsigned)(uintptr_t)argument;
	struct pager *p = client_connect(d);
	const uint64_t size = 20 * MIB, pages = size / d->page_bytes;
	unsigned char *base = client_allocate(p, size);
	uint64_t *known = calloc(pages, sizeof(*known)), seed = live_seed + number;

	REQUIRE(known != NULL);
	while (!scene->over) {
		uint64_t i = rng_below(&seed, pages), word = rng_next(&seed);
		volatile uint64_t *first = (void *)(base + i * d->page_bytes);

		EQ(*first, known[i]);
		for (volatile uint64_t *at = first; at < first + d->page_bytes / 16; at++)
			*at = mix64(word + (uint64_t)(at - first));
		*first = known[i] = word;
		scene->rounds[number]++;
	}
	for (uint64_t i = 0; i < pages; i++)
		EQ(*(volatile uint64_t *)(void *)(base + i * d->page_bytes), known[i]);
	free(known);
	OK(pager_disconnect(p));
}

static void
everybody_goes_on(struct live *d)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		uint64_t before = scene->rounds[i];

		WAIT_UNTIL(d, scene->rounds[i] > before + 100);
	}
}

/* What `pagerctl pressure` says the machine's level is. */
static bool
machine_is(struct live *d, const char *level)
{
	char text[1 << 15], wanted[64];

	REQUIRE(live_pagerctl(d, text, sizeof(text), "pressure", NULL) == 0, "%s", text);
	snprintf(wanted, sizeof(wanted), "the machine's %s", level);
	return strstr(text, wanted) != NULL;
}

static void
total_becomes(struct live *d, uint64_t mib)
{
	WAIT_UNTIL(d, (uint64_t)live_stat(d, "total") * d->page_bytes == mib * MIB);
	d->memory_bytes = mib * MIB;
	live_sample(d, true);
	everybody_goes_on(d);
	live_sample(d, true);
}

static void
start(struct live *d, pid_t *clients)
{
	char path[256];

	scene = shared_alloc(sizeof(*scene));
	live_directory_make(machine, sizeof(machine));
	snprintf(path, sizeof(path), "%s/pressure", machine);
	OK(mkdir(path, 0755) ? -errno : 0);
	machine_set(500, "0.00", "0.00");
	live_start(d, "32M", "--swap-max", "256M", "--param", "swap_file_bytes=16777216",
	    "--host-pressure", "--host-files", machine, "--param", "host_calm_ms=50", NULL);
	for (unsigned i = 0; i < CLIENTS; i++)
		clients[i] = client_start(d, load_run, (void *)(uintptr_t)i);
	everybody_goes_on(d);
	WAIT_UNTIL(d, machine_is(d, "normal"));
}

static void
stop(struct live *d, const pid_t *clients)
{
	live_check(d);
	scene->over = true;
	for (unsigned i = 0; i < CLIENTS; i++)
		client_join(d, clients[i], false);
	live_stop(d);
}

static void
follows(void)
{
	pid_t clients[CLIENTS];
	char text[1024];
	struct live d;

	start(&d, clients);
	/* 10 % of the machine's memory is to be available. What the daemon gives back does not show
	 * here, so that it gives back more and more, down to a quarter. */
	machine_set(90, "0.00", "0.00");
	total_becomes(&d, 8);
	EQ(machine_is(&d, "warning"), true);
	/* Neither short nor plenty: nothing changes. */
	machine_set(120, "0.00", "0.00");
	WAIT_UNTIL(&d, machine_is(&d, "normal"));
	everybody_goes_on(&d);
	EQ((uint64_t)live_stat(&d, "total") * d.page_bytes, 8 * MIB);
	machine_set(500, "0.00", "0.00");
	total_becomes(&d, 32);
	/* What an administrator wants is the most. */
	REQUIRE(live_pagerctl(&d, text, sizeof(text), "memory", "16M", NULL) == 0, "%s", text);
	total_becomes(&d, 16);
	machine_set(20, "0.00", "0.00");
	total_becomes(&d, 4);
	EQ(machine_is(&d, "critical"), true);
	machine_set(500, "0.00", "0.00");
	total_becomes(&d, 16);
	stop(&d, clients);
}

/* Tasks of the machine wait for memory, whatever is said to be available. */
static void
stalls(void)
{
	pid_t clients[CLIENTS];
	struct live d;

	start(&d, clients);
	machine_set(500, "20.00", "0.00");
	WAIT_UNTIL(&d, machine_is(&d, "warning"));
	total_becomes(&d, 8);
	WAIT_UNTIL(&d, live_stat(&d, "pressure") == 1);
	machine_set(500, "20.00", "12.50");
	WAIT_UNTIL(&d, machine_is(&d, "critical"));
	machine_set(500, "0.00", "0.00");
	total_becomes(&d, 32);
	EQ(machine_is(&d, "normal"), true);
	/* A machine that says nothing any more is not short. */
	machine_file("meminfo", "");
	everybody_goes_on(&d);
	stop(&d, clients);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = { { "follows", follows }, { "stalls", stalls } };

	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
