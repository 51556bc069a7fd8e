/* SPDX-License-Identifier: MIT
 *
 * Programs under `pagerctl run` live through kills of pagerd's workers, their forked children, too;
 * their group is one all the time, with what holds for it and what it has counted.
 *
 * usage: e_takeover_run kills|points|upgrade|begins
 */
#include "harness.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* tests/live/run_kept.c says the same. */
struct notes {
	_Atomic uint64_t rounds, over, children;
};

struct scene {
	struct live d;
	struct notes *notes;
	char notes_path[200], report[200];
	pid_t launcher;
	uint64_t group, takeovers;
};

static char text[65536];

static void
launcher(struct live *d, void *argument)
{
	const struct scene *s = argument;
	char report[240];

	snprintf(report, sizeof(report), "--report=%s", s->report);
	execl(getenv("PAGERCTL"), "pagerctl", "-s", d->socket, "run", "--json", report, "--name",
	    "kept", "--limit", "3M", "--priority", "background", "--", getenv("RUN_KEPT"),
	    s->notes_path, NULL);
	FAIL("%s", strerror(errno));
}

/* A number of an object. */
static uint64_t
number(struct json_object *object, const char *name)
{
	struct json_object *value = json_object_object_get(object, name);

	REQUIRE(value != NULL, "there is no %s", name);
	return json_object_get_uint64(value);
}

/* The program is in the group of before, and what was said of the run holds for it. */
static void
program_is_known(struct scene *s)
{
	struct json_object *all, *clients, *client;

	EQ(live_pagerctl(
	       &s->d, text, sizeof(text), "top", "--batch", "--count", "1", "--json", NULL),
	    0);
	all = json_tokener_parse(text);
	REQUIRE(all != NULL, "%s", text);
	clients = json_object_object_get(all, "clients");
	REQUIRE(json_object_array_length(clients) > 0, "%s", text);
	client = json_object_array_get_idx(clients, 0);
	if (s->group == 0)
		s->group = number(client, "run");
	REQUIRE(s->group > 0);
	EQ(number(client, "run"), s->group);
	EQ(number(client, "limit"), 3 << 20);
	REQUIRE(strcmp(json_object_get_string(json_object_object_get(client, "band_name")),
		    "background") == 0);
	REQUIRE(strcmp(json_object_get_string(json_object_object_get(client, "run_name")),
		    "kept") == 0);
	json_object_put(all);
}

static void
go_on(struct scene *s, uint64_t rounds)
{
	uint64_t until = atomic_load(&s->notes->rounds) + rounds;
	int status;

	WAIT_UNTIL(&s->d,
	    atomic_load(&s->notes->rounds) >= until || waitpid(s->launcher, &status, WNOHANG) != 0);
	REQUIRE(atomic_load(&s->notes->rounds) >= until, "the program has ended");
}

static void
scene_open(struct scene *s)
{
	int fd;

	live_start(&s->d, "4M", "--keeper", NULL);
	snprintf(s->notes_path, sizeof(s->notes_path), "%s/notes", s->d.directory);
	snprintf(s->report, sizeof(s->report), "%s/report", s->d.directory);
	fd = open(s->notes_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0 && ftruncate(fd, sizeof(*s->notes)) == 0, "%s", strerror(errno));
	s->notes = mmap(NULL, sizeof(*s->notes), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(s->notes != MAP_FAILED, "%s", strerror(errno));
	close(fd);
}

static void
scene_begin(struct scene *s)
{
	memset(s, 0, sizeof(*s));
	scene_open(s);
	s->launcher = client_start(&s->d, launcher, s);
	go_on(s, 1);
	program_is_known(s);
}

static void
scene_taken_over(struct scene *s)
{
	live_taken_over(&s->d);
	s->takeovers++;
	EQ(live_stat(&s->d, "takeovers"), s->takeovers);
	EQ(live_stat(&s->d, "pages_lost"), 0);
	/* The program has more than fits: the next worker has stored pages of it, too. */
	REQUIRE(live_stat(&s->d, "stored_pages") > 0);
	program_is_known(s);
}

static void
scene_end(struct scene *s)
{
	struct json_object *report;

	atomic_store(&s->notes->over, 1);
	client_join(&s->d, s->launcher, false);
	report = json_object_from_file(s->report);
	REQUIRE(report != NULL);
	/* The program and each child once, however many workers have served them. */
	EQ(number(report, "processes"), 1 + atomic_load(&s->notes->children));
	EQ(number(report, "processes_left"), 0);
	EQ(number(report, "exit_status"), 0);
	REQUIRE(number(report, "phys_footprint_peak") >= 13 << 20);
	json_object_put(report);
	WAIT_UNTIL(&s->d, live_stat(&s->d, "sessions") == 0);
	live_check(&s->d);
	live_stop(&s->d);
}

static void
kills(void)
{
	uint64_t rng = mix64(live_seed);
	struct scene s;

	scene_begin(&s);
	for (unsigned i = 0; i < 6; i++) {
		go_on(&s, rng_below(&rng, 3));
		nanosleep(&(struct timespec){ .tv_nsec = (long)rng_below(&rng, 50000000) }, NULL);
		kill(s.d.pid, SIGKILL);
		scene_taken_over(&s);
		go_on(&s, 1);
		live_check(&s.d);
	}
	scene_end(&s);
}

/* Where requests of forks and groups have been carried out or answered. */
static void
points(void)
{
	static const char *const names[] = { "DIE_ANSWER", "DIE_ANSWERED", "DIE_ENTRY_MADE",
		"DIE_ENTRY_GONE", "DIE_OBJECT_MADE", "DIE_FILL_PLACED" };
	uint64_t rng = mix64(live_seed);
	struct scene s;

	if (!FAIL_POINTS)
		exit(77);
	scene_begin(&s);
	for (size_t i = 0; i < 2 * sizeof(names) / sizeof(names[0]); i++) {
		char spec[80];

		snprintf(spec, sizeof(spec), "%s:%u", names[i / 2],
		    1 + (unsigned)(i % 2 + rng_below(&rng, 6)));
		live_debug_fail(&s.d, spec);
		scene_taken_over(&s);
		go_on(&s, 1);
		live_check(&s.d);
	}
	scene_end(&s);
}

/* Another program takes over. */
static void
upgrade(void)
{
	struct scene s;

	scene_begin(&s);
	for (unsigned i = 0; i < 3; i++) {
		EQ(live_pagerctl(&s.d, text, sizeof(text), "upgrade", NULL), 0);
		scene_taken_over(&s);
		go_on(&s, 1);
		live_check(&s.d);
	}
	scene_end(&s);
}

/* The worker is killed at some moment while a program begins: while its group is made, it connects,
 * is attached or joins. It runs managed all the same. */
static void
begins(void)
{
	uint64_t rng = mix64(live_seed);
	struct json_object *report;
	struct scene s = { 0 };

	scene_open(&s);
	/* It ends when it has looked at its pages. */
	atomic_store(&s.notes->over, 1);
	for (unsigned i = 0; i < 16; i++) {
		s.launcher = client_start(&s.d, launcher, &s);
		nanosleep(&(struct timespec){ .tv_nsec = (long)rng_below(&rng, 30000000) }, NULL);
		kill(s.d.pid, SIGKILL);
		live_taken_over(&s.d);
		client_join(&s.d, s.launcher, false);
		report = json_object_from_file(s.report);
		REQUIRE(report != NULL);
		EQ(number(report, "exit_status"), 0);
		EQ(number(report, "processes"), 1);
		REQUIRE(number(report, "phys_footprint_peak") >= 6 << 20);
		json_object_put(report);
		EQ(unlink(s.report), 0);
	}
	WAIT_UNTIL(&s.d, live_stat(&s.d, "sessions") == 0);
	EQ(live_stat(&s.d, "pages_lost"), 0);
	live_check(&s.d);
	live_stop(&s.d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = { { "kills", kills }, { "points", points },
		{ "upgrade", upgrade }, { "begins", begins } };

	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
