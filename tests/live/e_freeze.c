/* SPDX-License-Identifier: MIT
 *
 * Freezing: all that a client has for itself leaves memory, nothing of anybody else's with it, and
 * comes back as it was: at a touch, and by command; while it writes; not at all when it is killed.
 *
 * usage: e_freeze away|writes|killed|no-swap|policy
 */
#include "harness.h"

#include <sys/mman.h>

#include "json-c/json.h"

#define MIB (1ull << 20)

enum { OWN_MIB = 8, WIRED_PAGES = 16, SHARED_PAGES = 32 };

struct scene {
	_Atomic unsigned ready;
	_Atomic bool verify, verified, over;
	_Atomic uint64_t rounds;
};
static struct scene *scene;

/* Half of the page does not compress. */
static void
page_write(struct live *d, unsigned char *base, uint64_t i, uint64_t word)
{
	uint64_t *page = (void *)(base + i * d->page_bytes);

	for (uint64_t at = 0; at < d->page_bytes / 16; at++)
		page[at] = mix64(word + at);
	page[0] = page[d->page_bytes / sizeof(*page) - 1] = word;
}

static void
page_verify(struct live *d, const unsigned char *base, uint64_t i, uint64_t word)
{
	const uint64_t *page = (const void *)(base + i * d->page_bytes);

	EQ(page[0], word);
	EQ(page[d->page_bytes / sizeof(*page) - 1], word);
	for (uint64_t at = 1; at < d->page_bytes / 16; at++)
		if (page[at] != mix64(word + at))
			FAIL("page %llu, word %llu is wrong", (unsigned long long)i,
			    (unsigned long long)at);
}

/* --- what pagerctl says --- */

static void
pagerctl(struct live *d, const char *verb, pid_t pid)
{
	char text[4096], client[16];

	snprintf(client, sizeof(client), "%d", (int)pid);
	REQUIRE(live_pagerctl(d, text, sizeof(text), verb, client, NULL) == 0, "%s", text);
}

/* Of what `pagerctl freeze` lists: the client's number or, with `ret`, its text. */
static uint64_t
said(struct live *d, pid_t pid, const char *what, char *ret)
{
	static char text[1 << 16];
	struct json_object *object, *clients, *client, *found;
	uint64_t number = 0;

	REQUIRE(live_pagerctl(d, text, sizeof(text), "freeze", "--json", NULL) == 0, "%s", text);
	object = json_tokener_parse(text);
	REQUIRE(object && json_object_object_get_ex(object, "clients", &clients), "%s", text);
	for (size_t i = 0; i < json_object_array_length(clients); i++) {
		client = json_object_array_get_idx(clients, i);
		if (json_object_get_int64(json_object_object_get(client, "pid")) != pid)
			continue;
		REQUIRE(json_object_object_get_ex(client, what, &found), "%s", text);
		if (ret)
			snprintf(ret, 16, "%s", json_object_get_string(found));
		number = (uint64_t)json_object_get_int64(found);
	}
	json_object_put(object);
	return number;
}

static bool
is_frozen(struct live *d, pid_t pid)
{
	char state[16] = "";

	said(d, pid, "state", state);
	return strcmp(state, "frozen") == 0;
}

/* What the last event of that process says. */
static void
event_is(struct live *d, pid_t pid, const char *what)
{
	static char text[1 << 16];
	struct json_object *object, *events, *event;
	const char *last = "";

	REQUIRE(live_pagerctl(d, text, sizeof(text), "freeze", "--json", NULL) == 0, "%s", text);
	object = json_tokener_parse(text);
	REQUIRE(object && json_object_object_get_ex(object, "events", &events), "%s", text);
	for (size_t i = 0; i < json_object_array_length(events); i++) {
		event = json_object_array_get_idx(events, i);
		if (json_object_get_int64(json_object_object_get(event, "pid")) == pid)
			last = json_object_get_string(json_object_object_get(event, "what"));
	}
	REQUIRE(strcmp(last, what) == 0, "the last event is \"%s\", not \"%s\"", last, what);
	json_object_put(object);
}

/* --- clients --- */

/* Has pages of its own, wired ones and shared ones, and verifies all when it is told to. */
static void
still_run(struct live *d, void *argument)
{
	const uint64_t pages = OWN_MIB * MIB / d->page_bytes;
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, OWN_MIB * MIB);
	unsigned char *wired = client_allocate(p, WIRED_PAGES * d->page_bytes);
	void *shared;
	int name;

	(void)argument;
	OK(pager_allocate(p, SHARED_PAGES * d->page_bytes, PAGER_ALLOC_SHAREABLE, &shared));
	OK(pager_make_entry(p, shared, SHARED_PAGES * d->page_bytes, PROT_READ, 0, &name));
	OK(pager_wire(p, wired, WIRED_PAGES * d->page_bytes));
	for (uint64_t i = 0; i < pages; i++) {
		page_write(d, base, i, i + live_seed);
		/* So that what was compressed before lies among others'. */
		while (i == pages / 2 && scene->ready == 0)
			usleep(1000);
	}
	for (uint64_t i = 0; i < WIRED_PAGES; i++)
		page_write(d, wired, i, i);
	for (uint64_t i = 0; i < SHARED_PAGES; i++)
		page_write(d, shared, i, i);
	scene->ready = 2;
	while (!scene->over) {
		usleep(1000);
		if (!scene->verify)
			continue;
		for (uint64_t i = 0; i < pages; i++)
			page_verify(d, base, i, i + live_seed);
		for (uint64_t i = 0; i < WIRED_PAGES; i++)
			page_verify(d, wired, i, i);
		for (uint64_t i = 0; i < SHARED_PAGES; i++)
			page_verify(d, shared, i, i);
		scene->verify = false;
		scene->verified = true;
	}
	OK(pager_disconnect(p));
}

/* Fills the rest of memory, and touches it no more until the end. */
static void
other_run(struct live *d, void *argument)
{
	const uint64_t size = (uint64_t)(uintptr_t)argument * MIB, pages = size / d->page_bytes;
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, size);

	for (uint64_t i = 0; i < pages; i++)
		page_write(d, base, i, ~i);
	scene->ready = 1;
	while (!scene->over)
		usleep(1000);
	for (uint64_t i = 0; i < pages; i++)
		page_verify(d, base, i, ~i);
	OK(pager_disconnect(p));
}

static void
verify(struct live *d)
{
	scene->verified = false;
	scene->verify = true;
	WAIT_UNTIL(d, scene->verified);
}

/* Starts both, and waits until the one has all that it will have. */
static void
both_start(struct live *d, pid_t *clients, uint64_t other_mib)
{
	scene = shared_alloc(sizeof(*scene));
	clients[0] = client_start(d, still_run, NULL);
	clients[1] = client_start(d, other_run, (void *)(uintptr_t)other_mib);
	WAIT_UNTIL(d, scene->ready == 2);
}

static void
away(void)
{
	const char *const names[] = { "stored_away", "frozen_waiting", "frozen" };
	uint64_t own, held, resident;
	int64_t values[3];
	pid_t clients[2];
	struct live d;

	live_start(&d, "14M", "--swap-max", "64M", "--param", "swap_file_bytes=16777216", NULL);
	both_start(&d, clients, 12);
	own = OWN_MIB * MIB / d.page_bytes;
	held = WIRED_PAGES + SHARED_PAGES;
	EQ(live_stat(&d, "stored_away"), 0);
	pagerctl(&d, "freeze", clients[0]);
	EQ(is_frozen(&d, clients[0]), true);
	event_is(&d, clients[0], "frozen");
	EQ(said(&d, clients[0], "out", NULL) + said(&d, clients[0], "gathered", NULL),
	    own * d.page_bytes);
	EQ(said(&d, clients[0], "shared", NULL), SHARED_PAGES * d.page_bytes);
	EQ(said(&d, clients[0], "held", NULL), WIRED_PAGES * d.page_bytes);
	/* Some had been compressed before, among the other's. */
	REQUIRE(said(&d, clients[0], "gathered", NULL) > 0);
	EQ(said(&d, clients[0], "resident", NULL), held * d.page_bytes);
	EQ(said(&d, clients[0], "band", NULL), 180);
	/* All of its pages go out, and none of the other's. */
	WAIT_UNTIL(&d, (live_stats(&d, names, 3, values), values[1] == 0 && values[0] > 0));
	WAIT_UNTIL(&d, live_stat(&d, "stored_away") == (int64_t)own);
	WAIT_UNTIL(&d, live_stat(&d, "frozen") == 1);
	live_check(&d);

	verify(&d);
	EQ(is_frozen(&d, clients[0]), false);
	event_is(&d, clients[0], "touched");
	EQ(said(&d, clients[0], "times_touched", NULL), 1);
	WAIT_UNTIL(&d, live_stat(&d, "frozen") == 0 && live_stat(&d, "thaw_touches") == 1);

	/* By command: pages come back as far as frames are free. */
	pagerctl(&d, "freeze", clients[0]);
	resident = said(&d, clients[0], "resident", NULL);
	pagerctl(&d, "thaw", clients[0]);
	EQ(is_frozen(&d, clients[0]), false);
	event_is(&d, clients[0], "thawed");
	REQUIRE(said(&d, clients[0], "resident", NULL) > resident);
	/* A client that is not frozen is not thawed. */
	pagerctl(&d, "thaw", clients[0]);
	EQ(live_stat(&d, "freezes"), 2);
	EQ(live_stat(&d, "thaws"), 1);
	verify(&d);
	EQ(said(&d, clients[0], "times_touched", NULL), 1);
	scene->over = true;
	client_join(&d, clients[0], true);
	client_join(&d, clients[1], true);
	live_stop(&d);
}

/* Compressed, and nothing more. */
static void
no_swap(void)
{
	uint64_t own;
	pid_t clients[2];
	struct live d;

	live_start(&d, "20M", "--no-swap", NULL);
	both_start(&d, clients, 8);
	own = OWN_MIB * MIB;
	pagerctl(&d, "freeze", clients[0]);
	EQ(is_frozen(&d, clients[0]), true);
	EQ(said(&d, clients[0], "out", NULL) + said(&d, clients[0], "gathered", NULL), own);
	live_check(&d);
	verify(&d);
	pagerctl(&d, "freeze", clients[0]);
	scene->over = true;
	client_join(&d, clients[0], true);
	client_join(&d, clients[1], true);
	live_stop(&d);
}

static void
killed(void)
{
	pid_t clients[2];
	struct live d;

	live_start(&d, "14M", "--swap-max", "64M", "--param", "swap_file_bytes=16777216", NULL);
	both_start(&d, clients, 12);
	pagerctl(&d, "freeze", clients[0]);
	WAIT_UNTIL(&d, live_stat(&d, "stored_away") > 0 && live_stat(&d, "frozen") == 1);
	client_kill(clients[0]);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 1);
	WAIT_UNTIL(&d, live_stat(&d, "frozen") == 0);
	/* Its pages are gone, from memory and from swap. */
	WAIT_UNTIL(&d, live_stat(&d, "stored_away") == 0);
	live_check(&d);
	scene->over = true;
	client_join(&d, clients[1], true);
	live_stop(&d);
}

/* Writes and reads its pages at random, and knows what each must hold. */
static void
writer_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	const uint64_t size = OWN_MIB * MIB, pages = size / d->page_bytes;
	unsigned char *base = client_allocate(p, size);
	uint64_t *known = calloc(pages, sizeof(*known)), seed = live_seed;

	(void)argument;
	REQUIRE(known != NULL);
	while (!scene->over) {
		uint64_t i = rng_below(&seed, pages), word = rng_next(&seed);

		if (known[i])
			page_verify(d, base, i, known[i]);
		known[i] = word;
		page_write(d, base, i, word);
		scene->rounds++;
	}
	for (uint64_t i = 0; i < pages; i++)
		if (known[i])
			page_verify(d, base, i, known[i]);
	free(known);
	OK(pager_disconnect(p));
}

static void
writes(void)
{
	struct live d;
	pid_t client;

	scene = shared_alloc(sizeof(*scene));
	live_start(&d, "14M", "--swap-max", "64M", "--param", "swap_file_bytes=16777216", NULL);
	client = client_start(&d, writer_run, NULL);
	for (unsigned i = 0; i < 10; i++) {
		uint64_t before = scene->rounds;

		WAIT_UNTIL(&d, scene->rounds > before + 200);
		pagerctl(&d, i % 3 == 2 ? "thaw" : "freeze", client);
		before = scene->rounds;
		WAIT_UNTIL(&d, scene->rounds > before + 200);
		live_sample(&d, i % 4 == 0);
	}
	REQUIRE(live_stat(&d, "freezes") >= 7);
	live_check(&d);
	scene->over = true;
	client_join(&d, client, true);
	live_stop(&d);
}

/* Without being asked for: of three processes that have been quiet, two have a band in which they
 * may be frozen, and only one of these is large enough. */
static void
quiet_run(struct live *d, void *argument)
{
	const uint64_t size = (uint64_t)(uintptr_t)argument * MIB, pages = size / d->page_bytes;
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, size);

	for (uint64_t i = 0; i < pages; i++)
		page_write(d, base, i, size + i);
	scene->ready++;
	while (!scene->over)
		usleep(1000);
	for (uint64_t i = 0; i < pages; i++)
		page_verify(d, base, i, size + i);
	OK(pager_disconnect(p));
}

static void
policy(void)
{
	static const struct {
		uint64_t mib;
		const char *band;
	} rows[3] = { { 3, "background" }, { 3, "aging2" }, { 1, "idle" } };
	char text[1024], client[16];
	pid_t clients[3];
	struct live d;

	scene = shared_alloc(sizeof(*scene));
	live_start(&d, "8M", "--swap-max", "64M", "--param", "swap_file_bytes=16777216", "--param",
	    "freeze_quiet_seconds=0", "--param", "freeze_least_bytes=2097152", "--param",
	    "jetsam_aging_seconds=0", NULL);
	for (unsigned i = 0; i < 3; i++)
		clients[i] = client_start(&d, quiet_run, (void *)(uintptr_t)rows[i].mib);
	WAIT_UNTIL(&d, scene->ready == 3);
	for (unsigned i = 0; i < 3; i++) {
		snprintf(client, sizeof(client), "%d", (int)clients[i]);
		REQUIRE(live_pagerctl(
			    &d, text, sizeof(text), "priority", client, rows[i].band, NULL) == 0,
		    "%s", text);
	}
	live_param(&d, "freeze", "1");
	WAIT_UNTIL(&d, is_frozen(&d, clients[1]));
	event_is(&d, clients[1], "chosen");
	EQ(said(&d, clients[1], "band", NULL), 75);
	EQ(live_stat(&d, "freezes"), 1);
	EQ(said(&d, clients[0], "times_frozen", NULL), 0);
	EQ(said(&d, clients[2], "times_frozen", NULL), 0);
	live_param(&d, "freeze", "0");
	live_check(&d);
	scene->over = true;
	for (unsigned i = 0; i < 3; i++)
		client_join(&d, clients[i], true);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = { { "away", away }, { "writes", writes },
		{ "killed", killed }, { "no-swap", no_swap }, { "policy", policy } };

	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
