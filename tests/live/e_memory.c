/* SPDX-License-Identifier: MIT
 *
 * The size of memory changes under load: what the daemon holds follows, and no page is lost.
 *
 * usage: e_memory load|wired|full
 */
#include "harness.h"

#include "json-c/json.h"

#define MIB (1ull << 20)

enum { CLIENTS = 3 };

struct scene {
	_Atomic bool over, full, freed;
	_Atomic uint64_t rounds[CLIENTS];
};
static struct scene *scene;

/* --- clients --- */

/* Writes and reads its pages at random, and knows what each must hold. */
static void
load_run(struct live *d, void *argument)
{
	unsigned number = (unsigned)(uintptr_t)argument;
	struct pager *p = client_connect(d);
	const uint64_t size = 16 * MIB, pages = size / d->page_bytes;
	unsigned char *base = client_allocate(p, size);
	uint64_t *known = calloc(pages, sizeof(*known)), seed = live_seed + number;

	REQUIRE(known != NULL);
	while (!scene->over) {
		uint64_t i = rng_below(&seed, pages), word = rng_next(&seed);
		volatile uint64_t *first = (void *)(base + i * d->page_bytes),
				  *last = first + d->page_bytes / sizeof(*first) - 1;

		EQ(*first, known[i]);
		EQ(*last, known[i]);
		if (word % 3 != 0) {
			/* Half of the page does not compress. */
			for (volatile uint64_t *at = first; at < first + d->page_bytes / 16; at++)
				*at = mix64(word + (uint64_t)(at - first));
			*first = *last = known[i] = word;
		}
		scene->rounds[number]++;
	}
	for (uint64_t i = 0; i < pages; i++)
		EQ(*(volatile uint64_t *)(void *)(base + i * d->page_bytes), known[i]);
	free(known);
	OK(pager_disconnect(p));
}

/* --- the daemon --- */

static int
memory_set(struct live *d, const char *size, char *text, size_t text_size)
{
	return live_pagerctl(d, text, text_size, "memory", size, NULL);
}

static uint64_t
least_of(struct live *d)
{
	char text[4096];
	struct json_object *object, *least;
	uint64_t bytes;

	REQUIRE(live_pagerctl(d, text, sizeof(text), "memory", "--json", NULL) == 0, "%s", text);
	object = json_tokener_parse(text);
	REQUIRE(object != NULL && json_object_object_get_ex(object, "least", &least), "%s", text);
	bytes = (uint64_t)json_object_get_int64(least);
	json_object_put(object);
	return bytes;
}

static void
everybody_goes_on(struct live *d)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		uint64_t before = scene->rounds[i];

		WAIT_UNTIL(d, scene->rounds[i] > before + 200);
	}
}

/* The size is set; what the daemon may hold follows, and what it holds is within that. */
static void
resize(struct live *d, const char *text, uint64_t bytes)
{
	char answer[1024];

	REQUIRE(memory_set(d, text, answer, sizeof(answer)) == 0, "%s", answer);
	WAIT_UNTIL(d, (uint64_t)live_stat(d, "total") * d->page_bytes == bytes);
	d->memory_bytes = bytes;
	live_sample(d, true);
	everybody_goes_on(d);
	live_sample(d, true);
	live_check(d);
}

static void
load(void)
{
	pid_t clients[CLIENTS];
	struct live d;
	char text[1024];

	scene = shared_alloc(sizeof(*scene));
	live_start(&d, "32M", "--swap-max", "256M", "--param", "swap_file_bytes=16777216", NULL);
	for (unsigned i = 0; i < CLIENTS; i++)
		clients[i] = client_start(&d, load_run, (void *)(uintptr_t)i);
	everybody_goes_on(&d);
	WAIT_UNTIL(&d, live_stat(&d, "pageouts") > 1000);
	resize(&d, "16M", 16 * MIB);
	resize(&d, "48M", 48 * MIB);
	resize(&d, "12M", 12 * MIB);
	resize(&d, "32M", 32 * MIB);
	REQUIRE(
	    memory_set(&d, "64K", text, sizeof(text)) == 1 && strstr(text, "can be"), "%s", text);
	REQUIRE(
	    memory_set(&d, "1G", text, sizeof(text)) == 1 && strstr(text, "can be"), "%s", text);
	scene->over = true;
	for (unsigned i = 0; i < CLIENTS; i++)
		client_join(&d, clients[i], false);
	EQ(live_stat(&d, "refused_zero_fills") + live_stat(&d, "refused_refills"), 0);
	live_stop(&d);
}

/* Memory does not become smaller than what is wired. */
static void
wire_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	void *base = client_allocate(p, 8 * MIB);
	char text[1024], size[32];

	(void)argument;
	OK(pager_wire(p, base, 8 * MIB));
	REQUIRE(memory_set(d, "8M", text, sizeof(text)) == 1 && strstr(text, "8M are wired"), "%s",
	    text);
	EQ(live_stat(d, "wanted") * (int64_t)d->page_bytes, 16 * MIB);
	REQUIRE(least_of(d) > 8 * MIB);
	snprintf(size, sizeof(size), "%llu", (unsigned long long)least_of(d));
	REQUIRE(memory_set(d, size, text, sizeof(text)) == 0, "%s", text);
	OK(pager_unwire(p, base, 8 * MIB));
	OK(pager_disconnect(p));
}

static void
wired(void)
{
	struct live d;

	live_start(&d, "16M", "--no-swap", NULL);
	client_join(&d, client_start(&d, wire_run, NULL), false);
	live_stop(&d);
}

/* Where the content has no other place memory stays as large as it must be, and says so. */
static void
full_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	const uint64_t size = 12 * MIB;
	unsigned char *base = client_allocate(p, size);
	uint64_t seed = live_seed;

	(void)argument;
	for (uint64_t at = 0; at < size; at += sizeof(seed)) {
		uint64_t word = rng_next(&seed);

		memcpy(base + at, &word, sizeof(word));
	}
	scene->full = true;
	seed = live_seed;
	while (!scene->over) {
		uint64_t i = rng_below(&seed, size / d->page_bytes);

		(void)*(volatile unsigned char *)(base + i * d->page_bytes);
	}
	seed = live_seed;
	for (uint64_t at = 0; at < size; at += sizeof(seed))
		EQ(*(uint64_t *)(void *)(base + at), rng_next(&seed));
	OK(pager_disconnect(p));
}

static void
full(void)
{
	struct live d;
	char text[1024];
	pid_t pid;

	scene = shared_alloc(sizeof(*scene));
	live_start(&d, "16M", "--no-swap", NULL);
	pid = client_start(&d, full_run, NULL);
	WAIT_UNTIL(&d, scene->full);
	REQUIRE(memory_set(&d, "8M", text, sizeof(text)) == 0, "%s", text);
	WAIT_UNTIL(&d, live_log_count(&d, "memory cannot be made as small") == 1);
	REQUIRE((uint64_t)live_stat(&d, "total") * d.page_bytes > 8 * MIB);
	EQ(live_stat(&d, "refused_refills"), 0);
	live_check(&d);
	scene->over = true;
	client_join(&d, pid, false);
	live_kill(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = { { "load", load }, { "wired", wired },
		{ "full", full } };

	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
