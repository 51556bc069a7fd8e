/* SPDX-License-Identifier: MIT
 *
 * The content oracle of copies: threads of several clients write, read, copy ranges of regions over
 * others, hold copies and put them somewhere, discard, give regions back, wire and give hints, with
 * memory that is a fraction of what is copied. Each page has a value, from which its content can be
 * computed; a copy is of values. At the end all frames, swap and memfds have come back.
 *
 * usage: e_copy_oracle name=value...
 *        page=4K memory=8M ratio=4 (working set / memory) clients=2 threads=3 ops=N (per thread)
 *        kill=0|1 (a client is killed again and again) swap=0|1
 *        fail=NAME:AFTER:TIMES (a fail point)
 */
#include "harness.h"

#include <pthread.h>

#define REGIONS 8u
#define HELD    4u

static struct config {
	char page[16], memory[16];
	unsigned ratio, clients, threads, kill, swap;
	uint64_t ops;
} config = { "4K", "8M", 4, 2, 3, 0, 1, 3000 };

/* Memory of several threads: whoever works on it has the lock. */
struct region {
	pthread_mutex_t lock;
	unsigned char *base; /* NULL: not allocated */
	uint32_t count;      /* pages */
	bool wired;
	uint64_t *values; /* of each page; 0: zeroes */
};

struct held {
	struct pager_copy *copy;
	uint32_t count;
	uint64_t *values;
};

struct world {
	struct pager *pager;
	size_t page_bytes;
	uint32_t most; /* pages of a region */
	struct region regions[REGIONS];
};

struct worker {
	struct world *world;
	uint64_t rng, ops;
	struct held held[HELD];
};

/* Half of the values give pages that do not compress. */
static uint64_t
word_of(uint64_t value, size_t i)
{
	if (value == 0)
		return 0;
	return i % 64 == 0 ? mix64(value + i) : value & 1 ? mix64(value ^ i * 0x9e37) : value;
}

static void
page_write(const struct world *w, struct region *r, uint32_t page, uint64_t value)
{
	uint64_t *at = (uint64_t *)(r->base + page * w->page_bytes);

	for (size_t i = 0; i < w->page_bytes / 8; i++)
		at[i] = word_of(value, i);
	r->values[page] = value;
}

static void
page_verify(const struct world *w, const struct region *r, uint32_t page)
{
	const uint64_t *at = (const uint64_t *)(r->base + page * w->page_bytes);
	uint64_t value = r->values[page];

	for (size_t i = 0; i < w->page_bytes / 8; i++)
		REQUIRE(at[i] == word_of(value, i), "page %u of %p, word %zu is %llx, not %llx",
		    page, (const void *)r->base, i, (unsigned long long)at[i],
		    (unsigned long long)word_of(value, i));
}

static void
region_open(struct worker *k, struct region *r)
{
	struct world *w = k->world;

	r->count = w->most / 4 + (uint32_t)rng_below(&k->rng, w->most);
	r->base = client_allocate(w->pager, r->count * w->page_bytes);
	r->values = calloc(r->count, sizeof(*r->values));
	REQUIRE(r->values != NULL);
	for (uint32_t i = 0; i < r->count; i++)
		if (rng_below(&k->rng, 4))
			page_write(w, r, i, rng_next(&k->rng));
}

static void
region_close(struct world *w, struct region *r)
{
	if (r->wired)
		OK(pager_unwire(w->pager, r->base, 4 * w->page_bytes));
	OK(pager_deallocate(w->pager, r->base, r->count * w->page_bytes));
	free(r->values);
	r->base = NULL;
	r->values = NULL;
	r->wired = false;
}

/* A range of up to `most` pages, all of them now and then. */
static uint32_t
draw_range(struct worker *k, const struct region *r, uint32_t most, uint32_t *ret_count)
{
	uint32_t first = (uint32_t)rng_below(&k->rng, r->count),
		 count = 1 + (uint32_t)rng_below(&k->rng, most);

	if (rng_below(&k->rng, 8) == 0) {
		first = 0;
		count = r->count;
	}
	*ret_count = first + count > r->count ? r->count - first : count;
	return first;
}

/* Also within one region, and onto itself. */
static void
copy(struct worker *k, struct region *from, struct region *to)
{
	struct world *w = k->world;
	uint32_t count, first = draw_range(k, from, 100, &count), at;

	at = (uint32_t)rng_below(&k->rng, to->count);
	if (at + count > to->count) {
		at = 0;
		count = count > to->count ? to->count : count;
	}
	OK(pager_copy(w->pager, from->base + first * w->page_bytes, count * w->page_bytes,
	    to->base + at * w->page_bytes));
	memmove(to->values + at, from->values + first, count * sizeof(*to->values));
}

static void
hold(struct worker *k, struct region *from)
{
	struct world *w = k->world;
	struct held *h = &k->held[rng_below(&k->rng, HELD)];
	uint32_t first;

	if (h->copy) {
		OK(pager_copy_discard(w->pager, h->copy));
		free(h->values);
		h->values = NULL;
		h->copy = NULL;
		return;
	}
	first = draw_range(k, from, 100, &h->count);
	h->values = calloc(h->count, sizeof(*h->values));
	REQUIRE(h->values != NULL);
	memcpy(h->values, from->values + first, h->count * sizeof(*h->values));
	OK(pager_copyin(
	    w->pager, from->base + first * w->page_bytes, h->count * w->page_bytes, 0, &h->copy));
}

static void
put(struct worker *k, struct region *to)
{
	struct world *w = k->world;
	struct held *h = &k->held[rng_below(&k->rng, HELD)];
	struct region out = { 0 };

	if (!h->copy)
		return;
	if (h->count <= to->count && rng_below(&k->rng, 2)) {
		uint32_t at = (uint32_t)rng_below(&k->rng, to->count - h->count + 1);

		OK(pager_copy_overwrite(w->pager, to->base + at * w->page_bytes, h->copy));
		memcpy(to->values + at, h->values, h->count * sizeof(*h->values));
	} else {
		OK(pager_copyout(w->pager, h->copy, (void **)&out.base));
		out.values = h->values;
		for (uint32_t i = 0; i < h->count; i++)
			page_verify(w, &out, i);
		page_write(w, &out, (uint32_t)rng_below(&k->rng, h->count), rng_next(&k->rng));
		OK(pager_deallocate(w->pager, out.base, h->count * w->page_bytes));
	}
	free(h->values);
	h->values = NULL;
	h->copy = NULL;
}

/* The region becomes a copy that is put at new addresses: the content moves. */
static void
move(struct worker *k, struct region *r)
{
	struct world *w = k->world;
	struct pager_copy *moved;

	if (r->wired)
		return;
	OK(pager_copyin(
	    w->pager, r->base, r->count * w->page_bytes, PAGER_COPY_DESTROY_SOURCE, &moved));
	OK(pager_copyout(w->pager, moved, (void **)&r->base));
}

static void
hint(struct worker *k, struct region *r)
{
	static const enum pager_behavior hints[] = { PAGER_BEHAVIOR_WILLNEED,
		PAGER_BEHAVIOR_DONTNEED, PAGER_BEHAVIOR_PAGEOUT, PAGER_BEHAVIOR_FREE };
	struct world *w = k->world;
	enum pager_behavior what = hints[rng_below(&k->rng, 4)];
	uint32_t count, first = draw_range(k, r, 32, &count);

	OK(pager_behavior(w->pager, r->base + first * w->page_bytes, count * w->page_bytes, what));
	if (what == PAGER_BEHAVIOR_FREE)
		memset(r->values + first, 0, count * sizeof(*r->values));
}

static void
wire(struct worker *k, struct region *r)
{
	struct world *w = k->world;
	int error;

	if (r->wired) {
		OK(pager_unwire(w->pager, r->base, 4 * w->page_bytes));
		r->wired = false;
		return;
	}
	error = pager_wire(w->pager, r->base, 4 * w->page_bytes);
	REQUIRE(error == 0 || error == -EAGAIN, "wire: %s", strerror(-error));
	r->wired = error == 0;
}

static void
work(struct worker *k, struct region *r, struct region *other)
{
	uint64_t draw = rng_below(&k->rng, 1000);
	uint32_t page, n;

	if (!r->base) {
		region_open(k, r);
		return;
	}
	page = (uint32_t)rng_below(&k->rng, r->count);
	n = 1 + (uint32_t)rng_below(&k->rng, 12);
	if (draw < 380) {
		for (uint32_t i = page; i < page + n && i < r->count; i++)
			page_verify(k->world, r, i);
	} else if (draw < 640) {
		for (uint32_t i = page; i < page + n && i < r->count; i++)
			page_write(k->world, r, i, rng_next(&k->rng));
	} else if (draw < 790) {
		if (other->base)
			copy(k, r, other);
	} else if (draw < 850) {
		hold(k, r);
	} else if (draw < 900) {
		put(k, r);
	} else if (draw < 950) {
		hint(k, r);
	} else if (draw < 970) {
		wire(k, r);
	} else if (draw < 980) {
		move(k, r);
	} else if (draw < 985) {
		for (uint32_t i = 0; i < r->count; i++)
			page_verify(k->world, r, i);
		region_close(k->world, r);
	}
}

static void *
worker_main(void *argument)
{
	struct worker *k = argument;

	for (uint64_t n = 0; n < k->ops; n++) {
		unsigned a = (unsigned)rng_below(&k->rng, REGIONS),
			 b = (unsigned)rng_below(&k->rng, REGIONS);
		struct region *low = &k->world->regions[a < b ? a : b],
			      *high = &k->world->regions[a < b ? b : a];

		pthread_mutex_lock(&low->lock);
		if (high != low)
			pthread_mutex_lock(&high->lock);
		work(k, &k->world->regions[a], &k->world->regions[b]);
		if (high != low)
			pthread_mutex_unlock(&high->lock);
		pthread_mutex_unlock(&low->lock);
	}
	for (unsigned i = 0; i < HELD; i++) {
		if (k->held[i].copy && i % 2)
			OK(pager_copy_discard(k->world->pager, k->held[i].copy));
		free(k->held[i].values);
	}
	return NULL;
}

static void
client(struct live *d, void *argument)
{
	unsigned index = *(unsigned *)argument;
	struct world world = { .pager = client_connect(d), .page_bytes = d->page_bytes };
	uint64_t bytes = d->memory_bytes * config.ratio / config.clients;
	struct worker workers[16] = { 0 };
	pthread_t threads[16];

	world.most = (uint32_t)(bytes / REGIONS / d->page_bytes);
	for (unsigned i = 0; i < REGIONS; i++)
		pthread_mutex_init(&world.regions[i].lock, NULL);
	for (unsigned i = 0; i < config.threads; i++) {
		workers[i] = (struct worker){ .world = &world,
			.rng = mix64(live_seed * 1000 + index * 16 + i),
			.ops = config.ops };
		REQUIRE(pthread_create(&threads[i], NULL, worker_main, &workers[i]) == 0, "thread");
	}
	for (unsigned i = 0; i < config.threads; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < REGIONS; i++)
		for (uint32_t page = 0; world.regions[i].base && page < world.regions[i].count;
		     page++)
			page_verify(&world, &world.regions[i], page);
	/* Others end with all that they have. */
	if (index % 2)
		OK(pager_disconnect(world.pager));
}

static void
set(const char *word)
{
	char name[16], value[64];

	REQUIRE(sscanf(word, "%15[^=]=%63s", name, value) == 2);
	if (strcmp(name, "fail") == 0)
		setenv("PAGERD_FAIL", value, 1);
	if (strcmp(name, "page") == 0)
		snprintf(config.page, sizeof(config.page), "%.15s", value);
	if (strcmp(name, "memory") == 0)
		snprintf(config.memory, sizeof(config.memory), "%.15s", value);
#define NUMBER(field)                                                                              \
	if (strcmp(name, #field) == 0)                                                             \
	config.field = (unsigned)strtoul(value, NULL, 10)
	NUMBER(ratio);
	NUMBER(clients);
	NUMBER(threads);
	NUMBER(kill);
	NUMBER(swap);
	NUMBER(ops);
}

int
main(int argc, char **argv)
{
	unsigned index[16];
	pid_t pids[16];
	struct live d;

	live_init(argc, argv);
	for (int i = 1; i < argc; i++)
		set(argv[i]);
	config.ops = live_scaled(config.ops);
	live_start(&d, config.memory, "--page-size", config.page, "--param",
	    "swap_file_bytes=33554432", config.swap ? NULL : "--no-swap", NULL);
	for (unsigned i = 0; i < config.clients; i++) {
		index[i] = i;
		pids[i] = client_start(&d, client, &index[i]);
	}
	/* While everything moves. */
	for (unsigned i = 0; i < 3; i++)
		live_check(&d);
	for (unsigned n = 0; config.kill && n < 6; n++) {
		int64_t before = live_stat(&d, "copies");

		WAIT_UNTIL(&d, live_stat(&d, "copies") > before + 2000);
		client_kill(pids[0]);
		pids[0] = client_start(&d, client, &index[0]);
		live_check(&d);
	}
	for (unsigned i = 0; i < config.clients; i++)
		client_join(&d, pids[i], true);
	printf(
	    "copies %lld fills %lld pushes %lld renames %lld faults %lld compressions %lld swapins "
	    "%lld busy %lld parks %lld\n",
	    (long long)live_stat(&d, "copies"), (long long)live_stat(&d, "copy_fills"),
	    (long long)live_stat(&d, "copy_pushes"), (long long)live_stat(&d, "copy_renames"),
	    (long long)live_stat(&d, "faults"), (long long)live_stat(&d, "compressions"),
	    (long long)live_stat(&d, "swapins"), (long long)live_stat(&d, "busy_waits"),
	    (long long)live_stat(&d, "parks"));
	REQUIRE(live_stat(&d, "copy_fills") > 0 && live_stat(&d, "copy_pushes") > 0 &&
		    live_stat(&d, "copy_renames") > 0,
	    "something was never done");
	EQ(live_stat(&d, "pages_lost"), 0);
	EQ(live_stat(&d, "planted"), 0);
	WAIT_UNTIL(&d, live_stat(&d, "copy_links") == 0);
	live_stop(&d);
	return 0;
}
