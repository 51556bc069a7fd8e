/* SPDX-License-Identifier: MIT
 *
 * Ten clients with bands want three times as much as memory and swap hold. Processes are ended in
 * exactly the order that the pure function predicts, the snapshot of each explains the choice, and
 * those that are left have lost nothing.
 *
 * usage: e_jetsam order|bandless|limits|resident|shown
 */
#include "harness.h"

#include <signal.h>
#include <sys/wait.h>

#include "band.h"
#include "json-c/json.h"
#include "memorystatus/jetsam.h"

#define MIB (1ull << 20)

enum { CLIENTS = 10, SURVIVORS = 3 };

/* In the order in which they are given their bands. Those that are to be left find room in memory
 * alone, in however many pieces swap is by then; with the last one that is to go they do not find
 * it in memory and swap. */
static const struct {
	int band;
	uint64_t mib;
} rows[CLIENTS] = { { BAND_IMPORTANT, 4 }, { BAND_BACKGROUND, 11 }, { BAND_IDLE, 11 },
	{ BAND_CRITICAL, 4 }, { BAND_UI_SUPPORT, 22 }, { BAND_BACKGROUND, 11 }, { BAND_PHONE, 11 },
	{ BAND_IDLE, 11 }, { BAND_FOREGROUND, 4 }, { BAND_MAIL, 11 } };

struct scene {
	_Atomic unsigned ready, filled;
	_Atomic bool go, over;
};
static struct scene *scene;

static void
program_run(struct live *d, void *argument)
{
	unsigned number = (unsigned)(uintptr_t)argument;
	struct pager *p = client_connect(d);
	const uint64_t size = rows[number].mib * MIB;
	unsigned char *base = client_allocate(p, size);
	uint64_t seed = live_seed + number, check = seed;

	scene->ready++;
	while (!scene->go)
		usleep(1000);
	for (uint64_t at = 0; at < size; at += sizeof(seed))
		*(uint64_t *)(void *)(base + at) = rng_next(&seed);
	scene->filled++;
	/* It goes on using its memory, so that others' need is felt. */
	while (!scene->over) {
		uint64_t i = rng_below(&seed, size / d->page_bytes);

		(void)*(volatile unsigned char *)(base + i * d->page_bytes);
	}
	for (uint64_t at = 0; at < size; at += sizeof(check))
		EQ(*(uint64_t *)(void *)(base + at), rng_next(&check));
	OK(pager_disconnect(p));
}

/* --- what pagerctl says --- */

static struct json_object *
member(struct json_object *object, const char *name)
{
	struct json_object *found = json_object_object_get(object, name);

	REQUIRE(found != NULL, "no %s in %s", name, json_object_to_json_string(object));
	return found;
}

static uint64_t
number_of(struct json_object *object, const char *name)
{
	return (uint64_t)json_object_get_int64(member(object, name));
}

static bool
is_set(struct json_object *object, const char *name)
{
	return json_object_get_boolean(member(object, name));
}

static struct json_object *
events(struct live *d)
{
	static char text[1 << 18];
	struct json_object *array;

	REQUIRE(live_pagerctl(d, text, sizeof(text), "events", "--json", NULL) == 0, "%s", text);
	array = json_tokener_parse(text);
	REQUIRE(array != NULL, "%s", text);
	return array;
}

/* The snapshot, put to the pure function again, gives the same process and the same cause. */
static void
explain(struct json_object *event)
{
	struct jetsam_process processes[64];
	struct json_object *array = member(event, "processes"),
			   *below = member(event, "below_permille");
	struct jetsam_input in = { .now_ns = 1000000000000ull,
		.available = (unsigned)number_of(event, "available_permille"),
		.is_squeezed = is_set(event, "squeezed"),
		.notices_are_out = true };
	size_t count = json_object_array_length(array), chosen = 0;

	REQUIRE(count <= 64);
	in.limits.below[PRESSURE_WARNING] = (unsigned)number_of(below, "warning");
	in.limits.below[PRESSURE_URGENT] = (unsigned)number_of(below, "urgent");
	in.limits.below[PRESSURE_CRITICAL] = (unsigned)number_of(below, "critical");
	for (size_t i = 0; i < count; i++) {
		struct json_object *p = json_object_array_get_idx(array, i);

		processes[i] = (struct jetsam_process){
			.band = (int)json_object_get_int64(member(p, "band")),
			.may_be_ended = is_set(p, "could_be_ended"),
			.is_dying = is_set(p, "dying"),
			.is_over_soft = is_set(p, "over_soft_limit"),
			.moved = number_of(p, "moved"),
			.since_ns = in.now_ns,
			.footprint = number_of(p, "footprint"),
		};
	}
	EQ(jetsam_choose(processes, count, &in, &chosen), number_of(event, "cause_number"));
	REQUIRE(is_set(json_object_array_get_idx(array, chosen), "chosen"));
	EQ(number_of(json_object_array_get_idx(array, chosen), "pid"), number_of(event, "pid"));
}

/* In which order the pure function ends processes with these bands. */
static void
predict(size_t *order)
{
	struct jetsam_process processes[CLIENTS];
	struct jetsam_input in = { .now_ns = 1,
		.is_squeezed = true,
		.notices_are_out = true,
		.limits = pressure_limits_of(1) };

	for (unsigned i = 0; i < CLIENTS; i++)
		processes[i] = (struct jetsam_process){ .band = rows[i].band,
			.may_be_ended = true,
			.moved = i + 1,
			.footprint = rows[i].mib };
	for (unsigned n = 0; n < CLIENTS; n++) {
		REQUIRE(jetsam_choose(processes, CLIENTS, &in, &order[n]) != JETSAM_NONE);
		processes[order[n]].may_be_ended = false;
	}
}

static void
order(void)
{
	size_t predicted[CLIENTS];
	struct json_object *array;
	pid_t clients[CLIENTS];
	struct live d;

	scene = shared_alloc(sizeof(*scene));
	live_start(&d, "16M", "--swap-max", "16M", "--param", "swap_file_bytes=4194304", "--param",
	    "jetsam_aging_seconds=0", NULL);
	for (unsigned i = 0; i < CLIENTS; i++) {
		clients[i] = client_start(&d, program_run, (void *)(uintptr_t)i);
		client_forget(clients[i]);
	}
	WAIT_UNTIL(&d, scene->ready == CLIENTS);
	for (unsigned i = 0; i < CLIENTS; i++)
		band_set(&d, clients[i], rows[i].band);
	predict(predicted);
	scene->go = true;
	WAIT_UNTIL(&d, live_stat(&d, "jetsam_kills") >= CLIENTS - SURVIVORS);
	for (unsigned n = 0; n < CLIENTS - SURVIVORS; n++) {
		int status;

		REQUIRE(waitpid(clients[predicted[n]], &status, 0) == clients[predicted[n]]);
		REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == SURVIVORS);
	array = events(&d);
	EQ(json_object_array_length(array), CLIENTS - SURVIVORS);
	for (unsigned n = 0; n < CLIENTS - SURVIVORS; n++) {
		struct json_object *event = json_object_array_get_idx(array, n);

		EQ(number_of(event, "pid"), clients[predicted[n]]);
		explain(event);
	}
	json_object_put(array);
	EQ(live_stat(&d, "refused_zero_fills") + live_stat(&d, "refused_refills"), 0);
	WAIT_UNTIL(&d, scene->filled >= SURVIVORS);
	live_check(&d);
	scene->over = true;
	for (unsigned n = CLIENTS - SURVIVORS; n < CLIENTS; n++) {
		int status;

		REQUIRE(waitpid(clients[predicted[n]], &status, 0) == clients[predicted[n]]);
		REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	EQ(live_stat(&d, "jetsam_kills"), CLIENTS - SURVIVORS);
	live_stop(&d);
}

/* A process without a band is not ended: its first touch is refused when nothing more can be had.
 * With the parameter it is ended. */
static void
bandless_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	const uint64_t size = 64 * MIB;
	unsigned char *base = client_allocate(p, size);
	uint64_t seed = live_seed;

	(void)argument;
	/* Also where a sanitizer has a handler for it. */
	signal(SIGBUS, SIG_DFL);
	for (uint64_t at = 0; at < size; at += sizeof(seed))
		*(uint64_t *)(void *)(base + at) = rng_next(&seed);
	FAIL("all of it found room");
}

static void
bandless(void)
{
	for (unsigned with = 0; with < 2; with++) {
		struct live d;
		int status;
		pid_t pid;

		live_start(&d, "16M", "--no-swap", with ? "--jetsam" : NULL, NULL);
		pid = client_start(&d, bandless_run, NULL);
		client_forget(pid);
		REQUIRE(waitpid(pid, &status, 0) == pid);
		REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == (with ? SIGKILL : SIGBUS));
		EQ(live_stat(&d, "jetsam_kills"), with);
		live_stop(&d);
	}
}

/* --- limits --- */

struct limited {
	_Atomic unsigned told, stage;
	_Atomic bool go;
	_Atomic bool is_held; /* it cannot have more than its limit, and waits for `end` instead */
	_Atomic bool end;
};
static struct limited *limited;

static void
told(void *context, enum pager_event event, uint64_t value)
{
	(void)context;
	if (event == PAGER_EVENT_LIMIT)
		limited->told = (unsigned)value;
}

static void
write_pages(struct live *d, unsigned char *base, uint64_t from, uint64_t to)
{
	for (uint64_t at = from; at < to; at += d->page_bytes)
		*(uint64_t *)(void *)(base + at) = mix64(at);
}

/* Fills 1 MiB, and when it is told to, all up to argument MiB. */
static void
limited_run(struct live *d, void *argument)
{
	uint64_t size = (uint64_t)(uintptr_t)argument * MIB;
	struct pager_options options = { .size = sizeof(options), .event = told };
	struct pager *p;
	unsigned char *base;

	OK(pager_connect(d->socket, &options, &p));
	base = client_allocate(p, size);
	write_pages(d, base, 0, MIB);
	limited->stage = 1;
	while (!limited->go)
		usleep(1000);
	write_pages(d, base, MIB, 7 * MIB / 2);
	limited->stage = 2;
	while (limited->told != 80)
		usleep(1000);
	write_pages(d, base, 7 * MIB / 2, size);
	while (!limited->is_held && limited->told != 100)
		usleep(1000);
	for (uint64_t at = 0; at < size; at += d->page_bytes)
		EQ(*(uint64_t *)(void *)(base + at), mix64(at));
	limited->stage = 3;
	while (limited->is_held && !limited->end)
		usleep(1000);
	OK(pager_disconnect(p));
}

/* Wires 4 MiB, and when it is told to, touches one more page. */
static void
wired_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, 4 * MIB), *more = client_allocate(p, MIB);

	(void)argument;
	OK(pager_wire(p, base, 4 * MIB));
	limited->stage = 1;
	while (!limited->go)
		usleep(1000);
	*more = 1;
	limited->stage = 2;
	OK(pager_disconnect(p));
}

static pid_t
limited_start(struct live *d, uint64_t mib)
{
	pid_t pid;

	*limited = (struct limited){ 0 };
	pid = client_start(d, limited_run, (void *)(uintptr_t)mib);
	client_forget(pid);
	WAIT_UNTIL(d, limited->stage == 1);
	return pid;
}

/* The process was ended with that limit, and never had more than one batch beyond it. */
static void
was_ended(struct live *d, pid_t pid, unsigned kills, uint64_t limit)
{
	struct json_object *array, *event;
	int status;

	REQUIRE(waitpid(pid, &status, 0) == pid);
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %d", status);
	WAIT_UNTIL(d, live_stat(d, "sessions") == 0);
	array = events(d);
	EQ(json_object_array_length(array), kills);
	event = json_object_array_get_idx(array, kills - 1);
	EQ(number_of(event, "pid"), pid);
	EQ(number_of(event, "cause_number"), JETSAM_PER_PROCESS_LIMIT);
	EQ(number_of(event, "limit"), limit);
	REQUIRE(number_of(event, "footprint") <= limit + 64 * d->page_bytes, "%llu",
	    (unsigned long long)number_of(event, "footprint"));
	json_object_put(array);
}

static void
limits(void)
{
	struct live d;
	int status;
	pid_t pid;

	limited = shared_alloc(sizeof(*limited));
	live_start(&d, "32M", "--no-swap", "--param", "jetsam_aging_seconds=0", NULL);
	/* Soft: told at 80 percent and when it has more, and goes on. */
	pid = limited_start(&d, 6);
	limit_set(&d, pid, "4M", "footprint");
	limited->go = true;
	REQUIRE(waitpid(pid, &status, 0) == pid && status == 0);
	/* Fatal: ended, whatever is available. */
	pid = limited_start(&d, 16);
	limit_set(&d, pid, "4M", "footprint-fatal");
	limited->go = true;
	was_ended(&d, pid, 1, 4 * MIB);
	/* Set below what the process has. */
	pid = limited_start(&d, 16);
	limit_set(&d, pid, "512K", "footprint-fatal");
	REQUIRE(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	/* While it is idle another limit holds. */
	pid = limited_start(&d, 16);
	limit_set(&d, pid, "16M", "footprint-fatal");
	limit_set(&d, pid, "2M", "inactive-fatal");
	band_set(&d, pid, BAND_IDLE);
	limited->go = true;
	REQUIRE(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	WAIT_UNTIL(&d, live_stat(&d, "jetsam_kills") == 3);
	live_stop(&d);
}

/* Most of an entry of the client's ledger, ever, as it is seen from outside. */
static uint64_t
most_of(struct live *d, pid_t pid, const char *entry)
{
	struct json_object *object, *row = NULL;
	static char text[16384];
	char client[16];
	uint64_t most;

	snprintf(client, sizeof(client), "%d", (int)pid);
	REQUIRE(live_pagerctl(
		    d, text, sizeof(text), "footprint", client, "--entries", "--json", NULL) == 0,
	    "%s", text);
	object = json_tokener_parse(text);
	REQUIRE(object && json_object_object_get_ex(object, entry, &row), "%s", text);
	most = number_of(row, "lifetime_most");
	json_object_put(object);
	return most;
}

/* A client at its limit on the footprint, as `pagerctl footprint -i` shows it from outside: each
 * line has the most since the line before. */
static void
shown(void)
{
	uint64_t most = 0, lines = 0, page;
	char command[512], line[16384];
	struct live d;
	FILE *watch;
	pid_t pid;

	limited = shared_alloc(sizeof(*limited));
	live_start(&d, "32M", "--no-swap", NULL);
	page = d.page_bytes;
	pid = limited_start(&d, 32);
	limit_set(&d, pid, "8M", "footprint-fatal");
	snprintf(command, sizeof(command), "%s -s %s footprint %d -i 0.1 --json",
	    getenv("PAGERCTL"), d.socket, (int)pid);
	watch = popen(command, "r");
	REQUIRE(watch);
	while (fgets(line, sizeof(line), watch)) {
		struct json_object *object = json_tokener_parse(line), *row = NULL;

		REQUIRE(json_object_object_get_ex(object, "phys_footprint", &row), "%s", line);
		if (number_of(row, "interval_most") > most)
			most = number_of(row, "interval_most");
		json_object_put(object);
		lines++;
		limited->go = true;
		/* It has 3.5 MiB and waits for a warning, which it gets when that has been seen. */
		if (lines >= 3)
			limited->told = 80;
	}
	EQ(pclose(watch), 0);
	REQUIRE(lines > 0 && most <= 8 * MIB + 64 * page, "%llu", (unsigned long long)most);
	printf("limit %llu, %llu lines, most seen from outside %llu bytes\n",
	    (unsigned long long)(8 * MIB), (unsigned long long)lines, (unsigned long long)most);
	was_ended(&d, pid, 1, 8 * MIB);
	live_stop(&d);
}

/* Limits on resident memory: soft ones tell; fatal ones are held by the process's own pages, and
 * end it only where none can leave. */
static void
resident(void)
{
	struct json_object *array, *event;
	struct live d;
	int status;
	pid_t pid;

	limited = shared_alloc(sizeof(*limited));
	live_start(&d, "32M", "--no-swap", NULL);
	pid = limited_start(&d, 6);
	limit_set(&d, pid, "4M", "resident-soft");
	limited->go = true;
	REQUIRE(waitpid(pid, &status, 0) == pid && status == 0);
	pid = limited_start(&d, 12);
	limited->is_held = true;
	limit_set(&d, pid, "4M", "resident-fatal");
	limited->go = true;
	WAIT_UNTIL(&d, limited->stage == 3);
	REQUIRE(most_of(&d, pid, "phys_mem") <= 4 * MIB + 64 * d.page_bytes);
	REQUIRE(most_of(&d, pid, "phys_footprint") >= 12 * MIB);
	limited->end = true;
	REQUIRE(waitpid(pid, &status, 0) == pid && status == 0);
	EQ(live_stat(&d, "jetsam_kills"), 0);
	/* What is wired cannot leave. */
	*limited = (struct limited){ 0 };
	pid = client_start(&d, wired_run, NULL);
	client_forget(pid);
	WAIT_UNTIL(&d, limited->stage == 1);
	limit_set(&d, pid, "2M", "resident-fatal");
	limited->go = true;
	REQUIRE(waitpid(pid, &status, 0) == pid);
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %d", status);
	EQ(limited->stage, 1);
	WAIT_UNTIL(&d, live_stat(&d, "jetsam_kills") == 1);
	array = events(&d);
	event = json_object_array_get_idx(array, 0);
	EQ(number_of(event, "pid"), pid);
	EQ(number_of(event, "cause_number"), JETSAM_PER_PROCESS_LIMIT);
	EQ(number_of(event, "limit"), 2 * MIB);
	json_object_put(array);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = { { "order", order }, { "resident", resident },
		{ "shown", shown }, { "bandless", bandless }, { "limits", limits } };

	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
