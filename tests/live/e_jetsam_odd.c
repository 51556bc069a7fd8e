/* SPDX-License-Identifier: MIT
 *
 * Clients that do not behave while memory is short or a limit is enforced: they are stopped,
 * held at their end by a debugger, killed by others, frozen; what they had is shared; and the limit
 * or the size of memory changes meanwhile. Nobody else is ended for it, nobody waits, and nothing
 * is left behind.
 *
 * usage: e_jetsam_odd stopped|held|shared|changed|frozen|crowd
 */
#include "purgeable.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "band.h"
#include "children.h"
#include "json-c/json.h"
#include "memorystatus/jetsam.h"
#include "share.h"

struct scene {
	_Atomic unsigned ready;
	_Atomic bool go, over;
	_Atomic uint64_t written;
	int sockets[2];
};
static struct scene *scene;

static void
start(struct live *d, const char *memory, const char *swap)
{
	scene = shared_alloc(sizeof(*scene));
	if (swap)
		live_start(d, memory, "--swap-max", swap, "--param", "swap_file_bytes=16777216",
		    "--param", "jetsam_aging_seconds=0", NULL);
	else
		live_start(
		    d, memory, "--no-swap", "--jetsam", "--param", "jetsam_aging_seconds=0", NULL);
}

/* What does not compress. */
static void
random_fill(unsigned char *base, uint64_t bytes, uint64_t seed)
{
	for (uint64_t at = 0; at < bytes; at += sizeof(seed)) {
		uint64_t word = mix64(seed + at);

		memcpy(base + at, &word, sizeof(word));
	}
}

static void
random_expect(const unsigned char *base, uint64_t bytes, uint64_t seed)
{
	for (uint64_t at = 0; at < bytes; at += sizeof(seed)) {
		uint64_t word;

		memcpy(&word, base + at, sizeof(word));
		REQUIRE(word == mix64(seed + at), "%llu: %llx", (unsigned long long)at,
		    (unsigned long long)word);
	}
}

/* --- victims: have some memory, and wait --- */

#define HELD_BYTES (6 * MIB)

static void
idle_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, HELD_BYTES);

	(void)argument;
	OK(pager_pressure_watch(p, PAGER_PRESSURE_LEVELS, NULL, NULL));
	random_fill(base, HELD_BYTES, 1);
	scene->ready++;
	for (;;)
		pause();
}

/* Is in nobody's way, and says again and again that it has given back what it could. */
static void
bystander_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, 2 * MIB);

	(void)argument;
	random_fill(base, 2 * MIB, 2);
	scene->ready++;
	while (!scene->over) {
		(void)pager_pressure_done(p);
		usleep(1000);
	}
	random_expect(base, 2 * MIB, 2);
	OK(pager_disconnect(p));
}

/* Wants more than there is while the other two live. */
static uint64_t hungry_bytes = 10 * MIB;

static void
hungry_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, hungry_bytes);

	(void)argument;
	scene->ready++;
	while (!scene->go)
		usleep(1000);
	random_fill(base, hungry_bytes, 3);
	random_expect(base, hungry_bytes, 3);
	OK(pager_disconnect(p));
}

struct three {
	pid_t idle, bystander, hungry;
};

static struct three
three_start(struct live *d)
{
	struct three t;

	t.idle = client_start(d, idle_run, NULL);
	t.bystander = client_start(d, bystander_run, NULL);
	t.hungry = client_start(d, hungry_run, NULL);
	client_forget(t.idle);
	WAIT_UNTIL(d, scene->ready == 3);
	band_set(d, t.idle, BAND_IDLE);
	band_set(d, t.bystander, BAND_BACKGROUND);
	band_set(d, t.hungry, BAND_FOREGROUND);
	return t;
}

static void
three_end(struct live *d, const struct three *t)
{
	client_join(d, t->hungry, false);
	scene->over = true;
	client_join(d, t->bystander, false);
	EQ(live_stat(d, "jetsam_kills"), 1);
	EQ(live_stat(d, "refused_zero_fills") + live_stat(d, "refused_refills"), 0);
	live_stop(d);
}

/* --- stopped: it hears of nothing, and is ended like any other --- */

static void
stopped(void)
{
	struct three t;
	struct live d;

	start(&d, "16M", NULL);
	t = three_start(&d);
	REQUIRE(kill(t.idle, SIGSTOP) == 0);
	WAIT_UNTIL(&d, is_stopped(t.idle));
	scene->go = true;
	EQ(status_of(t.idle), SIGKILL);
	three_end(&d, &t);
}

/* --- held: a debugger keeps it from ending. What it has comes back all the same, and nobody else
 * is ended for it --- */

static void
held(void)
{
	struct three t;
	struct live d;

	/* Without the first there is room to spare: it is this test's only victim. */
	hungry_bytes = 17 * MIB / 2;
	start(&d, "16M", NULL);
	t = three_start(&d);
	REQUIRE(ptrace(PTRACE_SEIZE, t.idle, NULL, PTRACE_O_TRACEEXIT) == 0, "%s", strerror(errno));
	scene->go = true;
	EQ(status_of(t.idle) >> 8, SIGTRAP | PTRACE_EVENT_EXIT << 8);
	client_join(&d, t.hungry, false);
	scene->over = true;
	client_join(&d, t.bystander, false);
	EQ(live_stat(&d, "jetsam_kills"), 1);
	EQ(live_stat(&d, "refused_zero_fills") + live_stat(&d, "refused_refills"), 0);
	/* It is still there, and has nothing. */
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	EQ(kill(t.idle, 0), 0);
	REQUIRE(ptrace(PTRACE_DETACH, t.idle, NULL, NULL) == 0, "%s", strerror(errno));
	EQ(status_of(t.idle), SIGKILL);
	live_stop(&d);
}

/* --- shared: purgeable memory of one who is ended is another's, whose band is another --- */

enum { SHARED_BYTES = 2 * MIB };

static void
shared_owner_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	unsigned char *base = make(p, SHARED_BYTES, PAGER_ALLOC_SHAREABLE), *more;
	int fd;

	(void)argument;
	fill(d, base, SHARED_BYTES / d->page_bytes, 5, 1);
	OK(pager_make_entry(p, base, SHARED_BYTES, PROT_READ | PROT_WRITE, 0, &fd));
	name_send(scene->sockets[0], fd);
	close(fd);
	scene->ready++;
	while (!scene->go)
		usleep(1000);
	EQ(set(p, base, VOLATILE), NONVOLATILE);
	scene->ready++;
	/* In no footprint any more: what it takes now is what ends it. */
	more = client_allocate(p, 4 * MIB);
	random_fill(more, 4 * MIB, 9);
	FAIL("it has more than its limit");
}

static uint64_t
footprint(struct pager *p)
{
	struct pager_statistics s;

	OK(pager_statistics(p, &s));
	return s.phys_footprint;
}

static void
shared_other_run(struct live *d, void *argument)
{
	const uint64_t pages = SHARED_BYTES / d->page_bytes;
	struct pager *p = client_connect(d);
	void *base;
	int fd = name_receive(scene->sockets[1]);

	(void)argument;
	OK(pager_map_entry(p, fd, 0, SHARED_BYTES, PROT_READ | PROT_WRITE, 0, &base));
	close(fd);
	expect(d, base, pages, 5, 1);
	EQ(footprint(p), 0);
	scene->ready++;
	while (!scene->over)
		usleep(1000);
	/* Volatile, as it was left, and its own: with the bill. */
	EQ(get(p, base), VOLATILE);
	EQ(set(p, base, NONVOLATILE), VOLATILE);
	expect(d, base, pages, 5, 1);
	/* The bill comes when what the owner had is taken apart, after its session. */
	WAIT_UNTIL(d, footprint(p) == SHARED_BYTES);
	live_check(d);
	OK(pager_disconnect(p));
}

static void
shared(void)
{
	pid_t owner, other;
	struct live d;

	start(&d, "32M", NULL);
	REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, scene->sockets) == 0);
	owner = client_start(&d, shared_owner_run, NULL);
	client_forget(owner);
	other = client_start(&d, shared_other_run, NULL);
	WAIT_UNTIL(&d, scene->ready == 2);
	band_set(&d, owner, BAND_IDLE);
	band_set(&d, other, BAND_FOREGROUND);
	limit_set(&d, owner, "3M", "footprint-fatal");
	scene->go = true;
	EQ(status_of(owner), SIGKILL);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 1);
	EQ(live_stat(&d, "jetsam_kills"), 1);
	scene->over = true;
	client_join(&d, other, false);
	live_stop(&d);
}

/* --- changed: the limit is lifted while it is being enforced --- */

#define CHANGED_BYTES (6 * MIB)

static void
changed_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, CHANGED_BYTES);

	(void)argument;
	scene->ready++;
	while (!scene->go)
		usleep(1000);
	for (uint64_t at = 0; at < CHANGED_BYTES; at += d->page_bytes) {
		random_fill(base + at, d->page_bytes, at);
		scene->written = at + d->page_bytes;
	}
	for (uint64_t at = 0; at < CHANGED_BYTES; at += d->page_bytes)
		random_expect(base + at, d->page_bytes, at);
	OK(pager_disconnect(p));
}

/* The event that ended the process: it was over that limit, whatever the limit is by now. */
static void
event_expect(struct live *d, unsigned number, pid_t pid, uint64_t limit)
{
	static char text[1 << 18];
	struct json_object *array, *event, *value;

	REQUIRE(live_pagerctl(d, text, sizeof(text), "events", "--json", NULL) == 0, "%s", text);
	array = json_tokener_parse(text);
	REQUIRE(array && json_object_array_length(array) > 0, "%s", text);
	event = json_object_array_get_idx(array, json_object_array_length(array) - 1);
	REQUIRE(json_object_object_get_ex(event, "number", &value));
	EQ(json_object_get_int64(value), number);
	REQUIRE(json_object_object_get_ex(event, "pid", &value));
	EQ(json_object_get_int64(value), pid);
	REQUIRE(json_object_object_get_ex(event, "cause_number", &value));
	EQ(json_object_get_int64(value), JETSAM_PER_PROCESS_LIMIT);
	REQUIRE(json_object_object_get_ex(event, "limit", &value));
	EQ(json_object_get_int64(value), limit);
	json_object_put(array);
}

static void
changed(void)
{
	static const char *const kinds[] = { "footprint-fatal", "resident-fatal", NULL };
	unsigned kills = 0, rounds = (unsigned)live_scaled(24);
	struct live d;

	start(&d, "32M", NULL);
	for (unsigned i = 0; i < rounds; i++) {
		const char *kind = kinds[i % 3];
		/* Before, at, and behind the limit. */
		uint64_t at = 2 * MIB - (uint64_t)(i % 4) * 8 * d.page_bytes;
		char text[1024];
		int status;
		pid_t pid;

		scene->ready = 0;
		scene->go = false;
		scene->written = 0;
		pid = client_start(&d, changed_run, NULL);
		client_forget(pid);
		WAIT_UNTIL(&d, scene->ready == 1);
		limit_set(&d, pid, "2M", kind);
		scene->go = true;
		WAIT_UNTIL(&d, scene->written >= at);
		/* It may have been ended. */
		(void)client_command(&d, "limit", pid, "none", kind, text);
		status = status_of(pid);
		if (status != 0) {
			EQ(status, SIGKILL);
			EQ(i % 3, 0);
			WAIT_UNTIL(&d, live_stat(&d, "jetsam_kills") == ++kills);
			event_expect(&d, kills, pid, 2 * MIB);
		}
		WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	}
	EQ(live_stat(&d, "jetsam_kills"), kills);
	printf("%u of %u were ended before their limit was lifted\n", kills, rounds);
	live_stop(&d);
}

/* --- frozen: it is over a limit while it is being frozen, or thawed --- */

static void
frozen(void)
{
	struct live d;
	pid_t pid;

	start(&d, "14M", "64M");
	for (unsigned thaws = 0; thaws < 2; thaws++) {
		scene->ready = 0;
		pid = client_start(&d, idle_run, NULL);
		client_forget(pid);
		WAIT_UNTIL(&d, scene->ready == 1);
		client_must(&d, "freeze", pid, NULL, NULL);
		WAIT_UNTIL(&d, live_stat(&d, "stored_away") > 0 && live_stat(&d, "frozen") == 1);
		if (thaws)
			client_must(&d, "thaw", pid, NULL, NULL);
		limit_set(&d, pid, "1M", "footprint-fatal");
		EQ(status_of(pid), SIGKILL);
		WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
		WAIT_UNTIL(&d, live_stat(&d, "jetsam_kills") == thaws + 1);
		event_expect(&d, thaws + 1, pid, MIB);
		WAIT_UNTIL(&d, live_stat(&d, "frozen") == 0);
		WAIT_UNTIL(&d, live_stat(&d, "stored_away") == 0);
		live_check(&d);
	}
	live_stop(&d);
}

/* --- crowd: killed, stopped, moved and limited at random while memory is short --- */

enum { CROWD = 7 };

static void
crowd_run(struct live *d, void *argument)
{
	const uint64_t bytes = 3 * MIB, seed = (uint64_t)(uintptr_t)argument;
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, bytes);

	scene->ready++;
	for (uint64_t round = 0; !scene->over; round++) {
		random_fill(base, bytes, seed + round);
		random_expect(base, bytes, seed + round);
		if (round % 3 == 2)
			OK(pager_behavior(p, base, bytes, PAGER_BEHAVIOR_FREE));
		scene->written++;
	}
	OK(pager_disconnect(p));
}

static pid_t
crowd_start(struct live *d, uint64_t *rng)
{
	static const int bands[] = { BAND_IDLE, BAND_BACKGROUND, BAND_FOREGROUND, BAND_IMPORTANT };
	unsigned ready = scene->ready;
	char text[1024], band[16];
	pid_t pid = client_start(d, crowd_run, (void *)(uintptr_t)(rng_next(rng) >> 8));

	client_forget(pid);
	WAIT_UNTIL(d, scene->ready > ready || has_ended(pid));
	snprintf(band, sizeof(band), "%d", bands[rng_below(rng, 4)]);
	(void)client_command(d, "priority", pid, band, NULL, text);
	return pid;
}

static void
crowd_harm(struct live *d, pid_t pid, uint64_t *rng)
{
	static const char *const limits[] = { "2M", "4M", "none" };
	static const char *const kinds[] = { "footprint", "footprint-fatal", "inactive-fatal",
		"resident-fatal", NULL };
	char text[1024];

	switch (rng_below(rng, 6)) {
	case 0:
		kill(pid, SIGKILL);
		break;
	case 1:
		kill(pid, SIGSTOP);
		break;
	case 2:
		kill(pid, SIGCONT);
		break;
	case 3:
		(void)client_command(
		    d, "limit", pid, limits[rng_below(rng, 3)], kinds[rng_below(rng, 5)], text);
		break;
	case 4:
		(void)client_command(
		    d, "priority", pid, rng_below(rng, 2) ? "idle" : "foreground", NULL, text);
		break;
	case 5:
		(void)live_pagerctl(
		    d, text, sizeof(text), "memory", rng_below(rng, 2) ? "12M" : "16M", NULL);
		break;
	}
}

static void
crowd(void)
{
	uint64_t rng = live_seed, rounds = live_scaled(40);
	unsigned ended = 0;
	pid_t pids[CROWD];
	char text[1024];
	struct live d;

	start(&d, "16M", NULL);
	for (unsigned i = 0; i < CROWD; i++)
		pids[i] = crowd_start(&d, &rng);
	for (uint64_t n = 0; n < rounds; n++) {
		unsigned i = (unsigned)rng_below(&rng, CROWD);

		crowd_harm(&d, pids[i], &rng);
		live_tick(&d);
		for (unsigned k = 0; k < CROWD; k++)
			if (has_ended(pids[k])) {
				EQ(status_of(pids[k]), SIGKILL);
				ended++;
				pids[k] = crowd_start(&d, &rng);
			}
	}
	live_check(&d);
	printf("%u have ended, of these %lld by jetsam; %llu rounds were right\n", ended,
	    (long long)live_stat(&d, "jetsam_kills"), (unsigned long long)scene->written);
	scene->over = true;
	for (unsigned i = 0; i < CROWD; i++) {
		int status;

		kill(pids[i], SIGCONT);
		status = status_of(pids[i]);
		REQUIRE(status == 0 || status == SIGKILL, "status %#x", status);
	}
	REQUIRE(live_pagerctl(&d, text, sizeof(text), "memory", "16M", NULL) == 0, "%s", text);
	WAIT_UNTIL(&d, (uint64_t)live_stat(&d, "total") * d.page_bytes == d.memory_bytes);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = { { "stopped", stopped }, { "held", held },
		{ "shared", shared }, { "changed", changed }, { "frozen", frozen },
		{ "crowd", crowd } };

	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
