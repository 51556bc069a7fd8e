/* SPDX-License-Identifier: MIT
 *
 * Notices of memory pressure reach programs, by function and by descriptor, in the order of their
 * sizes, and what each gives back is measured.
 *
 * usage: e_pressure notices
 */
#include "harness.h"

#include <poll.h>

#include "json-c/json.h"
#include "pager/pressure.h"

#define MIB (1ull << 20)

enum { CLIENTS = 3 };

/* What the processes of the test tell one another. */
struct scene {
	_Atomic unsigned ready, rises, falls, ended;
	_Atomic unsigned rise_order[CLIENTS], fall_order[CLIENTS];
	_Atomic int pids[CLIENTS];
};
static struct scene *scene;

struct program {
	struct live *d;
	struct pager *p;
	void *base;
	unsigned number;
	_Atomic bool over;
};

/* Client 0 is the largest. */
static uint64_t
size_of(unsigned number)
{
	return (CLIENTS - number) * MIB;
}

static void
fill(struct live *d, unsigned char *base, uint64_t size)
{
	for (uint64_t at = 0; at < size; at += d->page_bytes)
		base[at] = 1;
}

/* What a program does about a level: it gives its memory back. */
static void
heed(struct program *program, unsigned level)
{
	if (level == PAGER_PRESSURE_WARNING) {
		scene->rise_order[program->number] = ++scene->rises;
		OK(pager_behavior(
		    program->p, program->base, size_of(program->number) / 2, PAGER_BEHAVIOR_FREE));
	} else {
		EQ(level, PAGER_PRESSURE_NORMAL);
		scene->fall_order[program->number] = ++scene->falls;
		program->over = true;
	}
}

static void
event(void *context, enum pager_event event, uint64_t value)
{
	if (event == PAGER_EVENT_PRESSURE)
		heed(context, (unsigned)value);
}

static void
heed_descriptor(struct program *program, int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	enum pager_pressure level;
	int r;

	REQUIRE(poll(&poll_fd, 1, -1) == 1);
	r = pager_pressure_take(program->p, &level);
	if (r == -EAGAIN)
		return;
	OK(r);
	heed(program, level);
	OK(pager_pressure_done(program->p));
}

/* Clients 0 and 1 have a function, client 2 a descriptor. */
static void
program_run(struct live *d, void *argument)
{
	struct program program = { .d = d, .number = (unsigned)(uintptr_t)argument };
	bool has_function = program.number < 2;
	struct pager_options options = { .size = sizeof(options),
		.name = "program",
		.event = has_function ? event : NULL,
		.event_context = &program };
	enum pager_pressure level, now = PAGER_PRESSURE_CRITICAL;
	int fd = -1;

	OK(pager_connect(d->socket, &options, &program.p));
	program.base = client_allocate(program.p, size_of(program.number));
	fill(d, program.base, size_of(program.number));
	EQ(pager_pressure_watch(program.p, 4, NULL, NULL), -EINVAL);
	EQ(pager_pressure_take(program.p, &level), -EAGAIN);
	OK(pager_pressure_watch(program.p, PAGER_PRESSURE_LEVELS, has_function ? NULL : &fd, &now));
	EQ(now, PAGER_PRESSURE_NORMAL);
	scene->pids[program.number] = getpid();
	scene->ready++;
	while (!program.over) {
		if (has_function)
			usleep(1000);
		else
			heed_descriptor(&program, fd);
	}
	scene->ended++;
	while (scene->ended <= CLIENTS)
		usleep(1000);
	OK(pager_disconnect(program.p));
}

static struct json_object *
pressure(struct live *d, const char *simulate)
{
	static char text[65536];
	struct json_object *object;

	REQUIRE((simulate ? live_pagerctl(d, text, sizeof(text), "pressure", "--json", "--simulate",
				simulate, NULL)
			  : live_pagerctl(d, text, sizeof(text), "pressure", "--json", NULL)) == 0,
	    "%s", text);
	object = json_tokener_parse(text);
	REQUIRE(object != NULL, "%s", text);
	return object;
}

static struct json_object *
member(struct json_object *object, const char *name)
{
	struct json_object *found = json_object_object_get(object, name);

	REQUIRE(found != NULL, "no %s in %s", name, json_object_to_json_string(object));
	return found;
}

static uint64_t
number(struct json_object *object, const char *name)
{
	return (uint64_t)json_object_get_int64(member(object, name));
}

/* Whether each client has said that it is done, and has given back half of what it had. */
static bool
all_gave(struct live *d)
{
	struct json_object *answer = pressure(d, NULL), *array = member(answer, "clients");
	unsigned gave = 0;

	for (size_t i = 0; i < json_object_array_length(array); i++) {
		struct json_object *c = json_object_array_get_idx(array, i);

		for (unsigned n = 0; n < CLIENTS; n++) {
			if ((int)number(c, "pid") != scene->pids[n] || number(c, "notice") == 0 ||
			    !json_object_get_boolean(member(c, "done")))
				continue;
			EQ(number(c, "footprint_before"), size_of(n));
			EQ(number(c, "freed_when_done"), size_of(n) / 2);
			gave += number(c, "freed") == size_of(n) / 2;
		}
	}
	json_object_put(answer);
	return gave == CLIENTS;
}

static void
notices(void)
{
	struct json_object *answer;
	pid_t clients[CLIENTS];
	struct live d;

	scene = shared_alloc(sizeof(*scene));
	/* One is told after the other has been: what they do shows the order. */
	live_start(&d, "64M", "--no-swap", "--param", "notice_least_bytes=0", NULL);
	for (unsigned i = 0; i < CLIENTS; i++)
		clients[i] = client_start(&d, program_run, (void *)(uintptr_t)i);
	WAIT_UNTIL(&d, scene->ready == CLIENTS);
	live_rest(&d);
	answer = pressure(&d, "warning");
	REQUIRE(strcmp(json_object_get_string(member(answer, "announced")), "warning") == 0);
	json_object_put(answer);
	WAIT_UNTIL(&d, scene->rises == CLIENTS && all_gave(&d));
	EQ(live_stat(&d, "notices"), CLIENTS);
	answer = pressure(&d, NULL);
	REQUIRE(strcmp(json_object_get_string(member(answer, "announced")), "warning") == 0);
	REQUIRE(strcmp(json_object_get_string(member(answer, "measured")), "normal") == 0);
	json_object_put(answer);
	json_object_put(pressure(&d, "normal"));
	WAIT_UNTIL(&d, scene->falls == CLIENTS && scene->ended == CLIENTS);
	EQ(live_stat(&d, "notices"), 2 * CLIENTS);
	json_object_put(pressure(&d, "none"));
	scene->ended++;
	for (unsigned i = 0; i < CLIENTS; i++)
		client_join(&d, clients[i], false);
	live_stop(&d);
}

/* Whether less is available than where the level begins. */
static bool
is_below(struct live *d, const char *level)
{
	struct json_object *answer = pressure(d, NULL);
	bool below =
	    number(answer, "available_permille") < number(member(answer, "below_permille"), level);

	json_object_put(answer);
	return below;
}

static void
touch(struct live *d, unsigned char *base, uint64_t size, uint64_t *seed)
{
	for (uint64_t at = 0; at < size; at += sizeof(*seed)) {
		uint64_t word = rng_next(seed);

		memcpy(base + at, &word, sizeof(word));
	}
	(void)d;
}

/* Whether that level has been announced, and none above it. */
static bool
is_told(struct pager *p, int fd, enum pager_pressure wanted)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	enum pager_pressure level = PAGER_PRESSURE_NORMAL;

	if (poll(&poll_fd, 1, 0) != 1 || pager_pressure_take(p, &level) != 0)
		return false;
	REQUIRE(level <= wanted);
	return level == wanted;
}

struct filling {
	struct pager *p;
	unsigned char *base;
	uint64_t at, seed;
	int fd;
};

/* Touches more and more until the level is announced. There may be more room again before it is. */
static void
touch_until(struct live *d, struct filling *f, const char *level, enum pager_pressure wanted)
{
	const uint64_t step = MIB / 4;

	for (; !is_told(f->p, f->fd, wanted); live_tick(d))
		for (; !is_below(d, level); f->at += step)
			touch(d, f->base + f->at, step, &f->seed);
}

/* Memory and swap fill up with what cannot be compressed: the levels come by themselves, and
 * critical comes while touches are still answered. */
static void
fill_until_told(struct live *d, void *argument)
{
	struct filling f = { .p = client_connect(d), .seed = 1 };

	(void)argument;
	f.base = client_allocate(f.p, 64 * MIB);
	OK(pager_pressure_watch(f.p, PAGER_PRESSURE_LEVELS, &f.fd, NULL));
	touch_until(d, &f, "warning", PAGER_PRESSURE_WARNING);
	touch_until(d, &f, "critical", PAGER_PRESSURE_CRITICAL);
	REQUIRE(f.at > 24 * MIB, "at %llu", (unsigned long long)f.at);
	EQ(live_stat(d, "refused_zero_fills"), 0);
	OK(pager_disconnect(f.p));
}

static void
fills(void)
{
	struct live d;

	live_start(&d, "16M", "--swap-max", "16M", "--param", "swap_file_bytes=4194304", "--param",
	    "notice_least_bytes=0", "--param", "notice_pause_ms=0", NULL);
	client_join(&d, client_start(&d, fill_until_told, NULL), false);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = { { "notices", notices }, { "fills", fills } };

	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
