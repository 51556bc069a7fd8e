/* SPDX-License-Identifier: MIT
 *
 * The content oracle under pressure: clients x threads read, write, discard, allocate, deallocate,
 * wire, unwire and give hints, with a memory that is a fraction of their working set; every page
 * read is checked against the book. The first process samples queues and memory all the while.
 *
 * usage: e_oracle name=value...
 *        page=4K memory=8M ratio=4 (working set / memory) store=compressor|swap|both
 *        retain=0|1|2 clients=2 threads=3 ops=N (per thread) sync=0|1
 */
#include "harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/uio.h>

#include "../nbdkit.h"
#include "book.h"

static struct config {
	char page[16], memory[16], store[16], retain[16];
	unsigned ratio, clients, threads, sync, nbd; /* nbd: swap is on a server */
	uint64_t ops;
} config = { "4K", "8M", "both", "2", 4, 2, 3, 0, 0, 10000 };

static struct mixture mixture;

struct shared_region {
	struct book book;
	unsigned stripe; /* neighbouring pages of one owner */
};

struct worker {
	struct pager *pager;
	struct shared_region *shared;
	unsigned index, client;
	uint64_t rng;
	int pipe[2];
	struct own { /* regions of this thread alone */
		struct book book;
		bool wired;
	} own[6];
	uint64_t ops;
	uint32_t next_object;
};

static uint32_t
owned_page(struct worker *w)
{
	struct shared_region *s = w->shared;
	uint32_t groups = s->book.count / (s->stripe * config.threads);
	uint32_t group = (uint32_t)rng_below(&w->rng, groups);

	return (group * config.threads + w->index) * s->stripe +
	       (uint32_t)rng_below(&w->rng, s->stripe);
}

static void
behave(struct worker *w, void *address, size_t bytes, enum pager_behavior behavior)
{
	int error = pager_behavior(w->pager, address, bytes, behavior);

	REQUIRE(error == 0, "behavior %d: %s", (int)behavior, strerror(-error));
}

/* Hints may fall on anybody's pages: content must not change. */
static void
hint(struct worker *w)
{
	static const enum pager_behavior hints[] = { PAGER_BEHAVIOR_DEFAULT, PAGER_BEHAVIOR_RANDOM,
		PAGER_BEHAVIOR_SEQUENTIAL, PAGER_BEHAVIOR_REVERSE_SEQUENTIAL,
		PAGER_BEHAVIOR_WILLNEED, PAGER_BEHAVIOR_DONTNEED, PAGER_BEHAVIOR_PAGEOUT };
	struct book *b = &w->shared->book;
	uint32_t first = (uint32_t)rng_below(&w->rng, b->count),
		 count = 1 + (uint32_t)rng_below(&w->rng, 64);

	if (first + count > b->count)
		count = b->count - first;
	behave(w, b->base + first * b->page_bytes, count * b->page_bytes,
	    hints[rng_below(&w->rng, 7)]);
}

static void
discard(struct worker *w)
{
	struct shared_region *s = w->shared;
	struct book *b = &s->book;
	uint32_t page = owned_page(w), first = page - page % s->stripe;

	behave(w, b->base + first * b->page_bytes, s->stripe * b->page_bytes, PAGER_BEHAVIOR_FREE);
	for (uint32_t i = 0; i < s->stripe; i++)
		book_forget(b, first + i);
}

/* The kernel reads and writes the page on our behalf. */
static void
through_pipe(struct worker *w)
{
	struct book *b = &w->shared->book;
	uint32_t page = owned_page(w);
	unsigned char *at = b->base + page * b->page_bytes;
	size_t bytes = 4096;
	static _Thread_local _Alignas(64) unsigned char copy[65536];

	page_expect(b, page, copy);
	REQUIRE(write(w->pipe[1], at, bytes) == (ssize_t)bytes, "write: %s", strerror(errno));
	{
		static _Thread_local unsigned char back[4096];

		REQUIRE(
		    read(w->pipe[0], back, bytes) == (ssize_t)bytes, "read: %s", strerror(errno));
		REQUIRE(memcmp(back, copy, bytes) == 0,
		    "write(2) from page %u of object %u gave other bytes", page, b->object);
	}
	/* Where everything must fit, incompressible pages must not pile up. */
	book_note(b, page, mixture.noise ? KIND_NOISE : KIND_TEXT);
	page_expect(b, page, copy);
	for (size_t done = 0; done < b->page_bytes; done += bytes) {
		REQUIRE(write(w->pipe[1], copy + done, bytes) == (ssize_t)bytes, "write: %s",
		    strerror(errno));
		REQUIRE(read(w->pipe[0], at + done, bytes) == (ssize_t)bytes,
		    "read(2) into page %u: %s", page, strerror(errno));
	}
}

static void
scan(struct worker *w)
{
	struct book *b = &w->shared->book;
	uint32_t page = owned_page(w), groups = 1 + (uint32_t)rng_below(&w->rng, 24);
	bool down = rng_below(&w->rng, 2);

	for (uint32_t g = 0; g < groups; g++) {
		uint32_t step = g * config.threads * w->shared->stripe;

		if (down ? step > page : page + step >= b->count)
			return;
		book_verify(b, down ? page - step : page + step);
	}
}

static void
own_open(struct worker *w, struct own *own)
{
	uint32_t count = 1 + (uint32_t)rng_below(&w->rng, 40);
	size_t page = w->shared->book.page_bytes;

	book_open(&own->book, client_allocate(w->pager, count * page), page, count,
	    1000 + w->client * 100 + w->index + 7 * ++w->next_object);
	own->wired = false;
	for (uint32_t i = 0; i < count; i++)
		if (rng_below(&w->rng, 4))
			book_write(&own->book, i, mixture_draw(&mixture, &w->rng));
}

static void
own_wire(struct worker *w, struct own *own)
{
	struct book *b = &own->book;
	int error;

	if (own->wired) {
		OK(pager_unwire(w->pager, b->base, b->count * b->page_bytes));
		own->wired = false;
		return;
	}
	if (b->count > 8)
		return;
	error = pager_wire(w->pager, b->base, b->count * b->page_bytes);
	REQUIRE(error == 0 || error == -EAGAIN, "wire: %s", strerror(-error));
	own->wired = error == 0;
}

/* The tail or all of it goes; sometimes page by page from the middle. */
static void
own_close(struct worker *w, struct own *own)
{
	struct book *b = &own->book;
	uint32_t keep = rng_below(&w->rng, 3) ? 0 : b->count / 2;

	book_verify_all(b);
	if (b->count - keep > 0)
		OK(pager_deallocate(
		    w->pager, b->base + keep * b->page_bytes, (b->count - keep) * b->page_bytes));
	b->count = keep;
	if (keep == 0) {
		book_close(b);
		memset(own, 0, sizeof(*own));
	}
}

static void
work_own(struct worker *w)
{
	struct own *own = &w->own[rng_below(&w->rng, 6)];
	uint32_t page;

	if (own->book.count == 0) {
		own_open(w, own);
		return;
	}
	page = (uint32_t)rng_below(&w->rng, own->book.count);
	switch (rng_below(&w->rng, 8)) {
	case 0:
		own_close(w, own);
		break;
	case 1:
		own_wire(w, own);
		break;
	case 2:
	case 3:
		book_write(&own->book, page, mixture_draw(&mixture, &w->rng));
		break;
	case 4:
		book_poke(&own->book, page, (uint32_t)rng_next(&w->rng));
		break;
	default:
		book_verify(&own->book, page);
	}
}

static void
query(struct worker *w)
{
	struct book *b = &w->shared->book;
	struct pager_region_info info;
	struct pager_statistics statistics;
	uint32_t page = owned_page(w);
	unsigned disposition;

	OK(pager_page_query(w->pager, b->base + page * b->page_bytes, &disposition));
	REQUIRE(!(disposition & PAGER_PAGE_POISONED), "page %u is poisoned", page);
	OK(pager_region(w->pager, b->base + page * b->page_bytes, &info));
	REQUIRE((unsigned char *)info.addr <= b->base + page * b->page_bytes && info.size_bytes > 0,
	    "region of page %u", page);
	OK(pager_statistics(w->pager, &statistics));
	EQ(statistics.phys_footprint, statistics.internal + statistics.internal_compressed);
}

static void *
worker_main(void *argument)
{
	struct worker *w = argument;
	struct book *b = &w->shared->book;

	REQUIRE(pipe2(w->pipe, O_CLOEXEC) == 0, "%s", strerror(errno));
	for (uint32_t page = 0; page < b->count; page++)
		if (page / w->shared->stripe % config.threads == w->index)
			book_write(b, page, mixture_draw(&mixture, &w->rng));
	for (uint64_t n = 0; n < w->ops; n++) {
		uint64_t draw = rng_below(&w->rng, 1000);

		if (draw < 420)
			book_verify(b, owned_page(w));
		else if (draw < 650)
			book_write(b, owned_page(w), mixture_draw(&mixture, &w->rng));
		else if (draw < 800)
			book_poke(b, owned_page(w), (uint32_t)rng_next(&w->rng));
		else if (draw < 840)
			scan(w);
		else if (draw < 870)
			through_pipe(w);
		else if (draw < 895)
			discard(w);
		else if (draw < 915)
			hint(w);
		else if (draw < 920)
			query(w);
		else
			work_own(w);
	}
	for (uint32_t page = 0; page < b->count; page++)
		if (page / w->shared->stripe % config.threads == w->index)
			book_verify(b, page);
	for (size_t i = 0; i < 6; i++)
		if (w->own[i].book.count)
			book_verify_all(&w->own[i].book);
	close(w->pipe[0]);
	close(w->pipe[1]);
	return NULL;
}

static void
client(struct live *d, void *argument)
{
	unsigned index = *(unsigned *)argument;
	struct pager *p = client_connect(d);
	struct shared_region shared = { .stripe = index % 2 ? 1 : 8 };
	struct worker workers[16] = { 0 };
	pthread_t threads[16];
	uint64_t bytes = d->memory_bytes * config.ratio / config.clients;
	uint32_t group = shared.stripe * config.threads;
	uint32_t pages = (uint32_t)(bytes / d->page_bytes / group * group);

	book_open(&shared.book, client_allocate(p, pages * d->page_bytes), d->page_bytes, pages,
	    index + 1);
	for (unsigned i = 0; i < config.threads; i++) {
		workers[i] = (struct worker){ .pager = p,
			.shared = &shared,
			.index = i,
			.client = index,
			.rng = mix64(live_seed * 1000 + index * 16 + i),
			.ops = config.ops };
		REQUIRE(pthread_create(&threads[i], NULL, worker_main, &workers[i]) == 0, "thread");
	}
	for (unsigned i = 0; i < config.threads; i++)
		pthread_join(threads[i], NULL);
	if (index % 2)
		OK(pager_disconnect(p)); /* the others just end */
}

static void
set(const char *word)
{
	char name[16], value[16];

	REQUIRE(sscanf(word, "%15[^=]=%15s", name, value) == 2);
#define TEXT(field)                                                                                \
	if (strcmp(name, #field) == 0)                                                             \
	snprintf(config.field, sizeof(config.field), "%s", value)
#define NUMBER(field)                                                                              \
	if (strcmp(name, #field) == 0)                                                             \
	config.field = (unsigned)strtoul(value, NULL, 10)
	TEXT(page);
	TEXT(memory);
	TEXT(store);
	TEXT(retain);
	NUMBER(ratio);
	NUMBER(clients);
	NUMBER(threads);
	NUMBER(sync);
	NUMBER(nbd);
	if (strcmp(name, "ops") == 0)
		config.ops = strtoull(value, NULL, 10);
}

static void
server_start(struct nbdkit *server, char *directory, size_t size)
{
	const char *const words[] = { "memory", "512M", NULL };

	if (nbdkit_is_missing()) {
		puts("skipped: nbdkit is not installed");
		exit(77);
	}
	live_directory_make(directory, size);
	REQUIRE(nbdkit_start(server, directory, words) == 0, "nbdkit has ended");
}

int
main(int argc, char **argv)
{
	unsigned index[16];
	pid_t pids[16];
	struct live d;
	char retain[48], percent[32], sync[32];
	struct nbdkit server = { 0 };
	char directory[128];
	bool no_swap;

	live_init(argc, argv);
	for (int i = 1; i < argc; i++)
		set(argv[i]);
	config.ops = live_scaled(config.ops);
	no_swap = strcmp(config.store, "compressor") == 0;
	/* Without swap all must fit, compressed; and first touches are never refused then. */
	if (no_swap)
		mixture = config.ratio > 8 ? (struct mixture){ 25, 40, 0 }
					   : (struct mixture){ 10, 25, 3 };
	else
		mixture = (struct mixture){ 5, 10, 40 };
	snprintf(retain, sizeof(retain), "retain_copies=%s", config.retain);
	snprintf(percent, sizeof(percent), "compressor_percent=%u",
	    strcmp(config.store, "swap") == 0 ? 5u : 75u);
	snprintf(sync, sizeof(sync), "swap_force_sync=%u", config.sync);
	if (config.nbd)
		server_start(&server, directory, sizeof(directory));
	live_start(&d, config.memory, "--page-size", config.page, "--param", retain, "--param",
	    percent, "--param", sync, "--param", "swap_file_bytes=33554432",
	    no_swap      ? "--no-swap"
	    : config.nbd ? "--swap-nbd"
			 : NULL,
	    config.nbd ? server.uri : NULL, NULL);
	for (unsigned i = 0; i < config.clients; i++) {
		index[i] = i;
		pids[i] = client_start(&d, client, &index[i]);
	}
	/* While everything moves. */
	for (unsigned i = 0; i < 3; i++)
		live_check(&d);
	for (unsigned i = 0; i < config.clients; i++)
		client_join(&d, pids[i], true);
	printf("faults %lld compressions %lld decompressions %lld swapins %lld pageouts %lld clean "
	       "%lld rescues %lld "
	       "parks %lld busy %lld lost %lld\n",
	    (long long)live_stat(&d, "faults"), (long long)live_stat(&d, "compressions"),
	    (long long)live_stat(&d, "decompressions"), (long long)live_stat(&d, "swapins"),
	    (long long)live_stat(&d, "pageouts"), (long long)live_stat(&d, "clean_pageouts"),
	    (long long)live_stat(&d, "rescues"), (long long)live_stat(&d, "parks"),
	    (long long)live_stat(&d, "busy_waits"), (long long)live_stat(&d, "pages_lost"));
	REQUIRE(live_stat(&d, "compressions") > 0, "there was no pressure");
	REQUIRE(
	    live_stat(&d, "holes") < live_stat(&d, "pageouts"), "no two neighbours left together");
	if (!no_swap && config.ratio > 8)
		REQUIRE(live_stat(&d, "swapins") > 0, "nothing came from swap");
	EQ(live_stat(&d, "pages_lost"), 0);
	EQ(live_stat(&d, "planted"), 0);
	EQ(live_stat(&d, "refused_zero_fills"), 0);
	if (config.nbd)
		REQUIRE(live_stat(&d, "swap_nbd_bytes") > 0 || live_stat(&d, "swapouts") == 0);
	live_stop(&d);
	if (config.nbd)
		nbdkit_kill(&server);
	return 0;
}
