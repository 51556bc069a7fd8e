/* SPDX-License-Identifier: MIT
 *
 * Writers that never rest while their pages are laundered. Each page has a counter that only its
 * writer raises, and the writer remembers its value: a lost write shows at the next one.
 *
 * usage: e_hammer ordered|cooled|evicted|deallocated|unmapped|discarded [page size]
 */
#include "harness.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "book.h"

enum { WRITERS = 2, HOT = 96 };

struct hammer {
	struct live *daemon;
	struct pager *pager;
	unsigned char *base; /* HOT pages */
	size_t page_bytes;
	_Atomic uint64_t counters[HOT]; /* the value written last; 0: page not in use */
	atomic_bool stop;
	bool evict; /* told to leave, not only to cool down */
	bool in_order;
	bool skip_third; /* pages 2, 5, 8... are not the writers' */
	_Atomic uint64_t writes;
};

struct writer {
	struct hammer *h;
	unsigned index;
};

static volatile uint64_t *
word_at(struct hammer *h, unsigned page, unsigned word)
{
	return (volatile uint64_t *)(void *)(h->base + page * h->page_bytes) + word;
}

/* The counter stands at several places of the page: a torn page shows too. */
static void *
writer_main(void *argument)
{
	struct writer *w = argument;
	struct hammer *h = w->h;
	unsigned last = (unsigned)(h->page_bytes / 8 - 1), middle = last / 2;
	uint64_t rng = mix64(live_seed + w->index);
	unsigned next = 0;

	while (!atomic_load_explicit(&h->stop, memory_order_relaxed)) {
		unsigned page = (unsigned)rng_below(&rng, HOT / WRITERS) * WRITERS + w->index;
		uint64_t before;

		/* All of them, one after the other: soft faults map their neighbours, and meet the
		 * other thread's. It writes its own. */
		if (h->in_order) {
			page = next++ % HOT;
			if (page % WRITERS != w->index) {
				REQUIRE(
				    *word_at(h, page, 8) == 1, "page %u has lost its mark", page);
				continue;
			}
		}
		if (h->skip_third && page % 3 == 2)
			continue;
		before = atomic_load_explicit(&h->counters[page], memory_order_relaxed);
		for (unsigned burst = 0; burst < 50; burst++) {
			uint64_t a = *word_at(h, page, 0), b = *word_at(h, page, middle),
				 c = *word_at(h, page, last);

			REQUIRE(a == before && b == before && c == before,
			    "page %u: written %llu, reads %llu, %llu and %llu", page,
			    (unsigned long long)before, (unsigned long long)a,
			    (unsigned long long)b, (unsigned long long)c);
			before++;
			*word_at(h, page, 0) = before;
			*word_at(h, page, middle) = before;
			*word_at(h, page, last) = before;
		}
		atomic_store_explicit(&h->counters[page], before, memory_order_relaxed);
		atomic_fetch_add_explicit(&h->writes, 50, memory_order_relaxed);
	}
	return NULL;
}

/* Keeps the memory full, so that cooled pages leave. */
static void *
presser_main(void *argument)
{
	struct hammer *h = argument;
	uint32_t count = (uint32_t)(h->daemon->memory_bytes * 3 / 2 / h->page_bytes);
	uint64_t rng = live_seed;
	struct book b;

	book_open(&b, client_allocate(h->pager, count * h->page_bytes), h->page_bytes, count, 7);
	while (!atomic_load(&h->stop)) {
		uint32_t page = (uint32_t)rng_below(&rng, count);

		book_verify(&b, page);
		book_write(&b, page, mixture_draw(&(struct mixture){ 5, 10, 10 }, &rng));
	}
	book_verify_all(&b);
	return NULL;
}

static void
cool(struct hammer *h, uint64_t *rng)
{
	unsigned first = (unsigned)rng_below(rng, HOT / 3 - 6) * 3;

	if (h->evict) {
		OK(pager_behavior(h->pager, h->base + first * h->page_bytes, 16 * h->page_bytes,
		    PAGER_BEHAVIOR_PAGEOUT));
		return;
	}
	if (!h->skip_third) {
		OK(pager_behavior(h->pager, h->base + first * h->page_bytes, 16 * h->page_bytes,
		    PAGER_BEHAVIOR_DONTNEED));
		return;
	}
	for (unsigned i = first; i < first + 18; i += 3)
		OK(pager_behavior(h->pager, h->base + i * h->page_bytes, 2 * h->page_bytes,
		    PAGER_BEHAVIOR_DONTNEED));
}

/* One region after another is allocated, hammered, and loses every third page while it is hammered.
 */
static void
run_region(struct hammer *h, uint64_t rounds, const char *way)
{
	struct writer writers[WRITERS];
	pthread_t threads[WRITERS];
	uint64_t rng = mix64(live_seed + rounds);
	unsigned gone = 2;

	h->base = client_allocate(h->pager, HOT * h->page_bytes);
	for (unsigned i = 0; i < HOT; i++) {
		atomic_store(&h->counters[i], 0);
		*word_at(h, i, 8) = 1;
	}
	atomic_store(&h->stop, false);
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){ h, i };
		REQUIRE(pthread_create(&threads[i], NULL, writer_main, &writers[i]) == 0);
	}
	/* In order, until soft faults have mapped neighbours: for that a writer must run after
	 * the agent. */
	for (uint64_t n = 0; n < rounds || (h->in_order && live_stat(h->daemon, "around") == 0);
	     n++) {
		cool(h, &rng);
		if (n % 8 != 0 || gone >= HOT || !h->skip_third)
			continue;
		if (strcmp(way, "deallocated") == 0)
			OK(pager_deallocate(
			    h->pager, h->base + gone * h->page_bytes, h->page_bytes));
		else if (strcmp(way, "unmapped") == 0)
			REQUIRE(munmap(h->base + gone * h->page_bytes, h->page_bytes) == 0);
		else if (strcmp(way, "discarded") == 0)
			OK(pager_behavior(h->pager, h->base + gone * h->page_bytes, h->page_bytes,
			    PAGER_BEHAVIOR_FREE));
		gone += 3;
	}
	atomic_store(&h->stop, true);
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < HOT; i++) {
		if (h->skip_third && i % 3 == 2) {
			if (strcmp(way, "deallocated") == 0)
				continue;
			if (strcmp(way, "unmapped") == 0)
				continue;
		} else {
			EQ(*word_at(h, i, 0), atomic_load(&h->counters[i]));
		}
		EQ(*word_at(h, i, 8), h->skip_third && i % 3 == 2 && i < gone ? 0 : 1);
	}
	/* The rest stays mapped: the library must not find ranges that were unmapped behind its
	 * back. */
}

struct arguments {
	const char *way;
};

static void
client(struct live *d, void *argument)
{
	struct arguments *a = argument;
	struct hammer h = { .daemon = d, .page_bytes = d->page_bytes }, press;
	pthread_t presser;
	bool evicted = strcmp(a->way, "evicted") == 0, ordered = strcmp(a->way, "ordered") == 0;
	bool cooled = evicted || ordered || strcmp(a->way, "cooled") == 0;

	h.pager = client_connect(d);
	h.evict = evicted;
	h.in_order = ordered;
	h.skip_third = !cooled;
	press.daemon = d;
	press.pager = h.pager;
	press.page_bytes = h.page_bytes;
	atomic_init(&press.stop, false);
	REQUIRE(pthread_create(&presser, NULL, presser_main, &press) == 0);
	if (cooled)
		run_region(&h, live_scaled(2500), a->way);
	else
		for (unsigned i = 0; i < live_scaled(6); i++)
			run_region(&h, 300, a->way);
	atomic_store(&press.stop, true);
	pthread_join(presser, NULL);
	printf("%llu writes\n", (unsigned long long)atomic_load(&h.writes));
}

int
main(int argc, char **argv)
{
	struct arguments a = { argc > 1 ? argv[1] : "" };
	const char *size = argc > 2 ? argv[2] : "4K";
	struct live d;

	live_init(argc, argv);
	live_start(&d, strcmp(size, "4K") == 0 ? "4M" : "32M", "--page-size", size, "--param",
	    "retain_copies=1", NULL);
	client_join(&d, client_start(&d, client, &a), true);
	printf("rescues %lld, busy waits %lld, pageouts %lld, write-protect faults %lld\n",
	    (long long)live_stat(&d, "rescues"), (long long)live_stat(&d, "busy_waits"),
	    (long long)live_stat(&d, "pageouts"), (long long)live_stat(&d, "write_protect_faults"));
	if (strcmp(a.way, "ordered") == 0)
		REQUIRE(live_stat(&d, "around") > 0);
	REQUIRE(live_stat(&d, "pageouts") > 0);
	live_stop(&d);
	return 0;
}
