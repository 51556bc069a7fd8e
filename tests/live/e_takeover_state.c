/* SPDX-License-Identifier: MIT
 *
 * Under --keeper the worker is killed while clients wire and unwire memory, change the state of
 * purgeable memory and write to tagged memory: what is wired stays in memory, what is not volatile
 * keeps its content, what was thrown away is said once and reads as zeroes, and each kind stays on
 * its entry of the bill. Limits, bands, policies and parameters hold in the next worker, too.
 *
 * usage: e_takeover_state kills|points|limits|params|policies [page size [kills]]
 */
#include "purgeable.h"
#include "rounds.h"

enum { HALF = 8, PURGEABLE = 24, TAGGED = 16 };

static const char *page_size = "4K";
static unsigned kills_count = 8;

static const char *
memory(void)
{
	return strcmp(page_size, "4K") == 0 ? "4M" : strcmp(page_size, "16K") == 0 ? "8M" : "32M";
}

/* --- a client ------------------------------------------------------------------------------- */

/* What a client has beside its book of plain pages. */
static struct own {
	bool is_made;
	struct live *d;
	struct book wired, tagged;
	unsigned wires[2]; /* of each half */
	unsigned char *purgeable;
	uint64_t version; /* of its content; 0: zeroes */
	int state;
} own;

static void
own_make(struct pager *p, struct book *b, uint32_t object)
{
	size_t page_bytes = b->page_bytes;
	void *base = NULL;

	OK(pager_allocate(p, TAGGED * page_bytes, PAGER_ALLOC_TAGGED, &base));
	book_open(&own.tagged, base, page_bytes, TAGGED, object + 20);
	book_open(&own.wired, client_allocate(p, 2 * HALF * page_bytes), page_bytes, 2 * HALF,
	    object + 10);
	own.purgeable = make(p, PURGEABLE * page_bytes, 0);
	own.state = NONVOLATILE;
	/* What runs pagerctl needs none of it. */
	OK(pager_inherit(p, b->base, b->count * page_bytes, PAGER_INHERIT_NONE));
	OK(pager_inherit(p, own.tagged.base, TAGGED * page_bytes, PAGER_INHERIT_NONE));
	OK(pager_inherit(p, own.wired.base, 2 * HALF * page_bytes, PAGER_INHERIT_NONE));
	OK(pager_inherit(p, own.purgeable, PURGEABLE * page_bytes, PAGER_INHERIT_NONE));
	own.is_made = true;
}

static void
book_turn(struct book *b, uint64_t *rng)
{
	uint32_t page = (uint32_t)rng_below(rng, b->count);

	book_verify(b, page);
	if (rng_below(rng, 2) == 0)
		book_write(b, page, mixture_draw(&mixture_usual, rng));
}

/* The region says what this client has done, and all of a wired one is in memory. */
static void
half_is(struct pager *p, unsigned half)
{
	size_t page_bytes = own.wired.page_bytes;
	struct pager_region_info info;

	OK(pager_region(p, own.wired.base + half * HALF * page_bytes, &info));
	EQ(info.user_wired_count, own.wires[half]);
	EQ(info.pages_wired, own.wires[half] ? info.size_bytes / page_bytes : 0);
}

static void
wired_turn(struct pager *p, uint64_t *rng)
{
	unsigned half = (unsigned)rng_below(rng, 2);
	unsigned char *base = own.wired.base + half * HALF * own.wired.page_bytes;

	if (own.wires[half] == 0 || (own.wires[half] < 3 && rng_below(rng, 2) == 0)) {
		OK(pager_wire(p, base, HALF * own.wired.page_bytes));
		own.wires[half]++;
	} else {
		OK(pager_unwire(p, base, HALF * own.wired.page_bytes));
		own.wires[half]--;
	}
	half_is(p, 0);
	half_is(p, 1);
}

/* Memory that is made nonvolatile has its content, or has lost it and says so. */
static void
purgeable_turn(struct pager *p, uint64_t *rng)
{
	int wanted = own.state == NONVOLATILE || rng_below(rng, 4) == 0
			 ? rng_below(rng, 8) == 0 ? EMPTY : VOLATILE
			 : NONVOLATILE;
	int before;

	if (own.state == NONVOLATILE)
		expect(own.d, own.purgeable, PURGEABLE, 1, own.version);
	before = set(p, own.purgeable, wanted | (wanted == VOLATILE ? PAGER_PURGEABLE_LIFO : 0));
	REQUIRE(before == own.state || (before == EMPTY && own.state == VOLATILE), "%d, was %d",
	    before, own.state);
	if (before == EMPTY || wanted == EMPTY)
		own.version = 0;
	own.state = wanted == VOLATILE && before == EMPTY ? EMPTY : wanted;
	if (own.state == VOLATILE && rng_below(rng, 16) == 0) {
		OK(pager_purgeable_control(p, NULL, PAGER_PURGEABLE_PURGE_ALL, NULL));
		own.version = 0;
		own.state = EMPTY;
	}
	if (own.state != NONVOLATILE)
		return;
	expect(own.d, own.purgeable, PURGEABLE, 1, own.version);
	own.version = 1 + rng_below(rng, 1000);
	fill(own.d, own.purgeable, PURGEABLE, 1, own.version);
}

static unsigned long long
number_in(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	REQUIRE(at, "%s in %s", key, text);
	return strtoull(at + strlen(key), NULL, 10);
}

/* What the ledger says of this process's only tagged memory. */
static void
tagged_is_billed(void)
{
	uint64_t bytes = own.tagged.count * own.tagged.page_bytes;
	char text[16384], pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	for (uint32_t i = 0; i < own.tagged.count; i++)
		book_write(&own.tagged, i, KIND_TEXT);
	/* A tool's connection ends with the worker. */
	WAIT_UNTIL(
	    own.d, live_pagerctl(own.d, text, sizeof(text), "footprint", pid, "--json", NULL) == 0);
	EQ(number_in(text, "\"tagged_footprint\":") +
		number_in(text, "\"tagged_footprint_compressed\":"),
	    bytes);
}

static void
turn(struct pager *p, struct book *b, uint32_t object, uint64_t *rng)
{
	uint64_t kind = rng_below(rng, 100);

	if (!own.is_made)
		own_make(p, b, object);
	if (kind < 50)
		book_turn(b, rng);
	else if (kind < 65)
		book_turn(rng_below(rng, 2) ? &own.wired : &own.tagged, rng);
	else if (kind < 80)
		wired_turn(p, rng);
	else if (kind < 96)
		purgeable_turn(p, rng);
	else if (kind == 96)
		tagged_is_billed();
	else
		OK(pager_behavior(
		    p, b->base, b->count / 2 * b->page_bytes, PAGER_BEHAVIOR_PAGEOUT));
}

static void
client(struct live *d, void *argument)
{
	own.d = d;
	rounds_run(d, argument, turn);
}

/* --- tests ---------------------------------------------------------------------------------- */

struct scene {
	struct live d;
	struct rounds rounds;
	uint64_t takeovers;
};

static void
scene_begin(struct scene *s)
{
	live_start(&s->d, memory(), "--keeper", "--page-size", page_size, "--param",
	    "compressor_percent=5", NULL);
	s->takeovers = 0;
	rounds_start(&s->rounds, &s->d, client);
}

static void
scene_taken_over(struct scene *s)
{
	live_taken_over(&s->d);
	EQ(live_stat(&s->d, "takeovers"), ++s->takeovers);
	EQ(live_stat(&s->d, "pages_lost"), 0);
}

static void
scene_end(struct scene *s)
{
	rounds_end(&s->rounds, &s->d);
	REQUIRE(live_log_count(&s->d, "is not there") == 0);
	REQUIRE(live_log_count(&s->d, "does not agree") == 0);
	live_stop(&s->d);
}

static void
kills(void)
{
	uint64_t rng = mix64(live_seed);
	struct scene s;

	scene_begin(&s);
	rounds_go_on(&s.rounds, &s.d, 100);
	for (unsigned i = 0; i < kills_count; i++) {
		rounds_go_on(&s.rounds, &s.d, rng_below(&rng, 200));
		kill(s.d.pid, SIGKILL);
		scene_taken_over(&s);
		live_check(&s.d);
	}
	scene_end(&s);
}

/* Between two steps of a change. */
static void
points(void)
{
	static const char *const names[] = { "DIE_WIRED", "DIE_PURGING", "DIE_PURGEABLE",
		"DIE_ANSWER", "DIE_ANSWERED", "DIE_DISCARD_PUNCHED", "DIE_WIRED", "DIE_PURGEABLE",
		"DIE_PURGING", "DIE_FILL_PLACED" };
	uint64_t rng = mix64(live_seed);
	struct scene s;

	if (!FAIL_POINTS)
		exit(77);
	scene_begin(&s);
	rounds_go_on(&s.rounds, &s.d, 200);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char spec[80];

		/* The answer to this request passes one of them. */
		snprintf(spec, sizeof(spec), "%s:%u", names[i], 1 + (unsigned)rng_below(&rng, 4));
		live_debug_fail(&s.d, spec);
		scene_taken_over(&s);
		rounds_go_on(&s.rounds, &s.d, 20);
		live_check(&s.d);
	}
	scene_end(&s);
}

/* Of the client of the two tests below. */
struct steps {
	atomic_uint asked, reached;
	_Atomic uint64_t turns;
};

static void
step_reach(struct live *d, struct steps *s, unsigned step)
{
	atomic_store(&s->reached, step);
	WAIT_UNTIL(d, atomic_load(&s->asked) >= step);
}

/* Step 0: writes to twice as much as it may have; 1: has no session; 2: has one again. */
static void
limited(struct live *d, void *argument)
{
	struct steps *s = argument;
	struct pager *p = client_connect(d);
	uint64_t rng = mix64(live_seed);
	struct book b;

	book_open(&b, client_allocate(p, 128 * d->page_bytes), d->page_bytes, 128, 1);
	while (atomic_load(&s->asked) == 0) {
		book_turn(&b, &rng);
		atomic_fetch_add(&s->turns, 1);
	}
	book_verify_all(&b);
	OK(pager_disconnect(p));
	step_reach(d, s, 2);
	p = client_connect(d);
	step_reach(d, s, 3);
	OK(pager_disconnect(p));
}

/* Sets all of it, to what it is already, so that the answers say what it was. */
static void
limits_set(struct live *d, pid_t pid, bool are_known)
{
	static const struct {
		const char *kind;
		uint64_t pages;
	} limits[] = { { "resident", 64 }, { "footprint", 1000 }, { "inactive-fatal", 2000 },
		{ "resident-soft", 100 }, { "resident-inactive-fatal", 3000 } };
	char number[16], size[32], text[2048];

	snprintf(number, sizeof(number), "%d", (int)pid);
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		snprintf(size, sizeof(size), "%llu",
		    (unsigned long long)(limits[i].pages * d->page_bytes));
		REQUIRE(live_pagerctl(d, text, sizeof(text), "limit", number, size, limits[i].kind,
			    "--json", NULL) == 0,
		    "%s", text);
		EQ(number_in(text, "\"previous_limit\":"),
		    are_known ? limits[i].pages * d->page_bytes : 0);
	}
	REQUIRE(live_pagerctl(
		    d, text, sizeof(text), "priority", number, "foreground", "--json", NULL) == 0,
	    "%s", text);
	if (are_known)
		EQ(number_in(text, "\"previous_band\":"), number_in(text, "\"band\":"));
}

/* The limit on an entry is of the session. */
static void
entry_limit_set(struct live *d, pid_t pid, bool is_known)
{
	char number[16], size[32], text[2048];
	uint64_t bytes = 500 * d->page_bytes;

	snprintf(number, sizeof(number), "%d", (int)pid);
	snprintf(size, sizeof(size), "%llu", (unsigned long long)bytes);
	REQUIRE(live_pagerctl(d, text, sizeof(text), "limit", number, size, "internal", "50",
		    "--json", NULL) == 0,
	    "%s", text);
	EQ(number_in(text, "\"previous_limit\":"), is_known ? bytes : 0);
}

static void
is_limited(struct live *d, pid_t pid)
{
	char number[16], text[16384];

	snprintf(number, sizeof(number), "%d", (int)pid);
	REQUIRE(live_pagerctl(d, text, sizeof(text), "footprint", number, "--json", NULL) == 0,
	    "%s", text);
	REQUIRE(number_in(text, "\"phys_mem\":") <= 64 * d->page_bytes, "%s", text);
}

static void
taken_over(struct live *d, uint64_t *takeovers)
{
	kill(d->pid, SIGKILL);
	live_taken_over(d);
	EQ(live_stat(d, "takeovers"), ++*takeovers);
	live_check(d);
}

static void
limits(void)
{
	struct steps *s = shared_alloc(sizeof(*s));
	uint64_t takeovers = 0, turns;
	struct live d;
	pid_t pid;

	live_start(&d, memory(), "--keeper", "--no-swap", "--page-size", page_size, NULL);
	pid = client_start(&d, limited, s);
	WAIT_UNTIL(&d, atomic_load(&s->turns) > 0);
	limits_set(&d, pid, false);
	entry_limit_set(&d, pid, false);
	for (unsigned i = 0; i < 4; i++) {
		taken_over(&d, &takeovers);
		turns = atomic_load(&s->turns) + 200;
		WAIT_UNTIL(&d, atomic_load(&s->turns) >= turns);
		limits_set(&d, pid, true);
		entry_limit_set(&d, pid, true);
		is_limited(&d, pid);
	}
	/* They hold for later sessions of the process, also where it has none at a kill. */
	atomic_store(&s->asked, 1);
	WAIT_UNTIL(&d, atomic_load(&s->reached) == 2 && live_stat(&d, "sessions") == 0);
	taken_over(&d, &takeovers);
	limits_set(&d, pid, true);
	taken_over(&d, &takeovers);
	atomic_store(&s->asked, 2);
	WAIT_UNTIL(&d, atomic_load(&s->reached) == 3);
	limits_set(&d, pid, true);
	atomic_store(&s->asked, 3);
	client_join(&d, pid, false);
	/* Of a process that has ended nothing is left. */
	taken_over(&d, &takeovers);
	live_stop(&d);
}

static unsigned long long
param_of(struct live *d, const char *name)
{
	char text[32768], line[80];
	const char *at;

	REQUIRE(live_pagerctl(d, text, sizeof(text), "param", "list", NULL) == 0, "%s", text);
	snprintf(line, sizeof(line), "%s ", name);
	at = strstr(text, line);
	REQUIRE(at, "%s in %s", name, text);
	return strtoull(at + strlen(line), NULL, 10);
}

static void
params(void)
{
	uint64_t takeovers = 0;
	char text[512];
	struct live d;

	live_start(&d, memory(), "--keeper", "--no-swap", "--page-size", page_size, "--param",
	    "pageout_batch=8", NULL);
	live_param(&d, "pageout_cluster", "4");
	live_param(&d, "jetsam_aging_seconds", "7");
	live_param(&d, "pageout_cluster", "5");
	live_param(&d, "max_objects", "2000");
	/* Tables that outlive the worker were made with it. */
	REQUIRE(live_pagerctl(&d, text, sizeof(text), "param", "set", "max_client_regions", "100",
		    NULL) != 0);
	for (unsigned i = 0; i < 3; i++) {
		taken_over(&d, &takeovers);
		EQ(param_of(&d, "pageout_cluster"), 5 + i);
		EQ(param_of(&d, "jetsam_aging_seconds"), 7);
		EQ(param_of(&d, "max_objects"), 2000);
		EQ(param_of(&d, "pageout_batch"), 8);
		EQ(param_of(&d, "max_client_regions"), 65536);
		snprintf(text, sizeof(text), "%u", 6 + i);
		live_param(&d, "pageout_cluster", text);
	}
	live_stop(&d);
}

/* The policy of a client, or ("") of the daemon, as it is shown. */
static bool
policy_is(struct live *d, const char *client, const char *policy)
{
	char text[4096];

	EQ(live_pagerctl(
	       d, text, sizeof(text), "policy", client[0] ? "--client" : NULL, client, NULL),
	    0);
	return strstr(text, policy) != NULL;
}

/* Each worker begins with the policies that were chosen, the daemon's and the client's own; and one
 * that was given up does not come back. */
static void
policies(void)
{
	static const char *const chosen[] = { "lru", "clock", "fifo" };
	struct steps *s = shared_alloc(sizeof(*s));
	uint64_t takeovers = 0, turns;
	char text[512], client[16];
	struct live d;
	pid_t pid;

	live_start(&d, memory(), "--keeper", "--no-swap", "--page-size", page_size, NULL);
	pid = client_start(&d, limited, s);
	snprintf(client, sizeof(client), "%d", (int)pid);
	WAIT_UNTIL(&d, atomic_load(&s->turns) > 0);
	for (unsigned i = 0; i < 3; i++) {
		const char *its = chosen[(i + 1) % 3];

		EQ(live_pagerctl(&d, text, sizeof(text), "policy", chosen[i], NULL), 0);
		EQ(live_pagerctl(&d, text, sizeof(text), "policy", "--client", client, its, NULL),
		    0);
		taken_over(&d, &takeovers);
		REQUIRE(policy_is(&d, "", chosen[i]) && policy_is(&d, client, its));
		turns = atomic_load(&s->turns) + 200;
		WAIT_UNTIL(&d, atomic_load(&s->turns) >= turns);
	}
	EQ(live_pagerctl(&d, text, sizeof(text), "policy", "--client", client, "none", NULL), 0);
	taken_over(&d, &takeovers);
	REQUIRE(policy_is(&d, "", chosen[2]) && !policy_is(&d, client, chosen[0]));
	for (unsigned step = 1; step <= 3; step++) {
		atomic_store(&s->asked, step);
		if (step < 3)
			WAIT_UNTIL(&d, atomic_load(&s->reached) == step + 1);
	}
	client_join(&d, pid, false);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = { { "kills", kills }, { "points", points },
		{ "limits", limits }, { "params", params }, { "policies", policies } };

	live_init(argc, argv);
	if (argc > 2)
		page_size = argv[2];
	if (argc > 3)
		kills_count = (unsigned)atoi(argv[3]);
	return LIVE_RUN(argc, argv, tests);
}
