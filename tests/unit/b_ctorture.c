/* SPDX-License-Identifier: MIT
 *
 * Random operations, compared with an oracle that knows the content of each page; then threads that
 * store, load and free, one that compacts and one that swaps. At the end nothing is left.
 */
#include "ct.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ENTRIES 1200
#define WORKERS 3

struct entry {
	atomic_bool busy; /* the page's busy bit: its holder may use the handle */
	struct cref cref;
	struct ct_id id;
};

struct torture {
	struct ct t;
	struct entry entry[ENTRIES];
	struct ct_disk disk; /* written by the swapper alone; readers rely on their pins */
	uint64_t seed;
	unsigned steps;
	atomic_bool stop;
	atomic_ullong refused, away_reads, relocated, kept;
};

static struct torture *
torture_create(size_t page_bytes, uint64_t seed, unsigned steps, bool spare)
{
	struct torture *x = calloc(1, sizeof(*x));

	/* Few chunks, so that they run out, too. */
	ct_create(&x->t, page_bytes, page_bytes * 16 * 40, WORKERS);
	if (spare) {
		ct_destroy(&x->t);
		x->t.config.spare_bytes = page_bytes * 16 * 3;
		assert_int_equal(compressor_create(&x->t.config, &x->t.c), 0);
	}
	x->seed = seed;
	x->steps = steps;
	store_relaxed(&x->t.limit, (long long)(page_bytes * 16 * 20));
	return x;
}

static bool
entry_busy_try(struct entry *e)
{
	bool was = false;

	return cas_acq_rel(&e->busy, &was, true);
}

static void
entry_unbusy(struct entry *e)
{
	store_release(&e->busy, false);
}

static bool
move(struct ct *t, struct cowner owner, struct cref from, struct cref to)
{
	struct torture *x = (struct torture *)t;
	struct entry *e = &x->entry[ct_owner_page(owner)];
	bool moved = false;

	if (entry_busy_try(e)) {
		if (e->cref.v == from.v && ct_owner(e->id.object, e->id.page).v == owner.v) {
			e->cref = to;
			moved = true;
		}
		entry_unbusy(e);
	}
	fetch_add_relaxed(moved ? &x->relocated : &x->kept, 1);
	return moved;
}

static void
entry_check(struct torture *x, struct entry *e)
{
	static __thread char page[CT_PAGE_MAX] __attribute__((aligned(64)));
	int error;

	for (;;) {
		error = compressor_load(x->t.c, e->cref, page);
		if (error != -EAGAIN)
			break;
		error = ct_read(&x->t, &x->disk, e->cref, page);
		if (error != -EAGAIN) {
			fetch_add_relaxed(&x->away_reads, 1);
			break;
		}
	}
	if (error != 0)
		abort();
	ct_check_page(page, x->t.config.page_bytes, e->id);
}

static void
entry_drop(struct torture *x, struct entry *e)
{
	compressor_free(x->t.c, e->cref);
	e->cref = CREF_NONE;
}

static void
entry_step(struct torture *x, unsigned worker, uint64_t *random)
{
	static __thread char page[CT_PAGE_MAX] __attribute__((aligned(64)));
	uint64_t r = ct_random(random), i = r % ENTRIES, dice = r >> 40 & 0xff;
	struct entry *e = &x->entry[i];

	if (!entry_busy_try(e))
		return;
	if (e->cref.v == 0 || dice < 60) {
		struct ct_id id = { 1 + worker, i, r };
		struct cref cref;
		uint32_t bytes;

		ct_page(page, x->t.config.page_bytes, id);
		int error = compressor_store(x->t.c, worker, page, ct_owner(id.object, id.page),
		    1 + (int)(r >> 60), &cref, &bytes);
		if (error == 0) {
			if (e->cref.v != 0)
				entry_drop(x, e);
			e->cref = cref;
			e->id = id;
		} else if (error == -ENOSPC) {
			fetch_add_relaxed(&x->refused, 1);
			if (e->cref.v != 0)
				entry_drop(x, e);
		} else {
			abort();
		}
	} else if (dice < 120) {
		entry_drop(x, e);
	} else {
		entry_check(x, e);
	}
	entry_unbusy(e);
}

static void
swap_step(struct torture *x, uint64_t *random)
{
	struct ct *t = &x->t;
	uint64_t r = ct_random(random), dice = r % 100;
	uint32_t segment, cursor = (uint32_t)(r >> 32) % 16;
	struct caway away;

	if (dice < 40) {
		const void *bytes;
		size_t length;

		if (!compressor_swapout_begin(t->c, false, &segment, &bytes, &length))
			return;
		if (dice < 6) {
			if (!compressor_swapout_end(t->c, segment, -EIO, (struct cplace){ 0 }))
				abort();
			return;
		}
		struct cplace place = ct_disk_write(&x->disk, bytes, length);
		sched_yield();
		if (compressor_swapout_end(t->c, segment, 0, place))
			ct_disk_free(&x->disk, place);
	} else if (dice < 80) {
		ct_disk_collect(t, &x->disk);
	} else if (compressor_away_next(t->c, &cursor, &away)) {
		struct ct_blob *b = &x->disk.blob[away.place.v];

		if (away.length > b->length)
			abort();
		struct cplace to = ct_disk_write(&x->disk, b->bytes, b->length);
		int error = compressor_place_moved(t->c, away.segment, away.place, to);

		if (error != 0 && error != -EBUSY && error != -ENOENT)
			abort();
		ct_disk_free(&x->disk, error ? to : away.place);
	}
}

static void
torture_finish(struct torture *x)
{
	struct ct *t = &x->t;

	ct_check(t);
	for (unsigned i = 0; i < ENTRIES; i++) {
		if (x->entry[i].cref.v == 0)
			continue;
		entry_check(x, &x->entry[i]);
		entry_drop(x, &x->entry[i]);
	}
	while (compressor_compact(t->c, true) > 0)
		;
	ct_disk_collect(t, &x->disk);
	ct_check(t);
	struct compressor_stats s = ct_stats(t);
	assert_int_equal(s.pages, 0);
	assert_int_equal(s.pages_single_value, 0);
	assert_int_equal(s.pages_raw, 0);
	assert_int_equal(s.pages_away, 0);
	assert_int_equal(s.bytes_live, 0);
	assert_int_equal(s.bytes_away, 0);
	assert_int_equal(s.segments_away, 0);
	assert_int_equal(s.checksum_errors, 0);
	assert_in_range(s.segments_core, 0, WORKERS); /* the segments that the workers fill */
	assert_int_equal(x->disk.alive, 0);
	assert_true(s.compactions_minor > 0);
	assert_true(load_relaxed(&x->relocated) > 0);
	/* Of the big ones few are in memory at a time. */
	assert_true(s.refilled > 0 || t->config.page_bytes > 4096);
	assert_true(load_relaxed(&x->away_reads) > 0);
	print_message(
	    "  %llu stored, %llu loaded (%llu from disk), %llu refused, %llu minor, %llu major, "
	    "%llu moved, %llu kept\n",
	    (unsigned long long)s.compressions, (unsigned long long)s.decompressions,
	    (unsigned long long)load_relaxed(&x->away_reads),
	    (unsigned long long)load_relaxed(&x->refused), (unsigned long long)s.compactions_minor,
	    (unsigned long long)s.compactions_major,
	    (unsigned long long)load_relaxed(&x->relocated),
	    (unsigned long long)load_relaxed(&x->kept));
	ct_destroy(t);
	free(x);
}

static void
one_thread(size_t page_bytes, unsigned steps)
{
	struct torture *x =
	    torture_create(page_bytes, ct_seed("one thread"), steps, page_bytes == 16384);
	uint64_t random = x->seed + page_bytes;

	x->t.relocate = move;
	for (unsigned i = 0; i < steps; i++) {
		entry_step(x, i % WORKERS, &random);
		if (i % 16 == 0)
			swap_step(x, &random);
		if (i % 8 == 3)
			compressor_compact(x->t.c, i % 16 == 3);
		if (i % 500 == 0)
			ct_check(&x->t);
	}
	torture_finish(x);
}

struct runner {
	struct torture *x;
	unsigned worker;
	pthread_t thread;
};

static void *
run_worker(void *arg)
{
	struct runner *r = arg;
	uint64_t random = r->x->seed * 31 + r->worker;

	/* On until the compactor and the swapper have had their say, too: when they get a processor
	 * is not known. */
	for (unsigned i = 0; i < r->x->steps || load_relaxed(&r->x->relocated) == 0 ||
			     load_relaxed(&r->x->away_reads) == 0;
	     i++)
		entry_step(r->x, r->worker, &random);
	return NULL;
}

/* Lets the others have the CPU; nothing is concluded from how long. */
static void
pause_briefly(void)
{
	nanosleep(&(struct timespec){ 0, 20000 }, NULL);
}

static void *
run_compactor(void *arg)
{
	struct runner *r = arg;
	bool urgent = false;

	while (!load_acquire(&r->x->stop)) {
		urgent = !urgent;
		if (compressor_compact(r->x->t.c, urgent) == 0)
			pause_briefly();
	}
	return NULL;
}

static void *
run_swapper(void *arg)
{
	struct runner *r = arg;
	uint64_t random = r->x->seed * 77;

	while (!load_acquire(&r->x->stop)) {
		swap_step(r->x, &random);
		pause_briefly();
	}
	return NULL;
}

static void
threads(size_t page_bytes, unsigned steps)
{
	struct torture *x =
	    torture_create(page_bytes, ct_seed("threads"), steps, page_bytes == 4096);
	struct runner runner[WORKERS + 2];

	x->t.relocate = move;
	for (unsigned i = 0; i < WORKERS + 2; i++) {
		runner[i] = (struct runner){ x, i, 0 };
		assert_int_equal(pthread_create(&runner[i].thread, NULL,
				     i < WORKERS    ? run_worker
				     : i == WORKERS ? run_compactor
						    : run_swapper,
				     &runner[i]),
		    0);
	}
	for (unsigned i = 0; i < WORKERS + 2; i++) {
		if (i == WORKERS)
			store_release(&x->stop, true);
		assert_int_equal(pthread_join(runner[i].thread, NULL), 0);
	}
	torture_finish(x);
}

/* A page is freed just while its bytes slide: it must not come back. */
struct slide_race {
	struct ct t;
	struct cref cref[64];
	atomic_bool go, done;
};

static void *
run_slider(void *arg)
{
	struct slide_race *r = arg;

	store_release(&r->go, true);
	do
		compressor_compact(r->t.c, true);
	while (!load_acquire(&r->done));
	return NULL;
}

static void
frees_meet_slides(void **state)
{
	struct slide_race r = { 0 };
	uint64_t minor = 0;
	(void)state;

	for (uint64_t round = 0; round < 80; round++) {
		pthread_t thread;

		ct_create(&r.t, 4096, 1 << 20, 1);
		for (uint64_t i = 0; i < 64; i++)
			r.cref[i] = ct_store_kind(&r.t, (struct ct_id){ 1, i, round }, CT_RANDOM);
		for (uint64_t i = 0; i < 10; i++)
			compressor_free(r.t.c, r.cref[i]);
		store_relaxed(&r.go, false);
		store_relaxed(&r.done, false);
		assert_int_equal(pthread_create(&thread, NULL, run_slider, &r), 0);
		while (!load_acquire(&r.go))
			sched_yield();
		/* From the end, where the slide arrives last; one stays. */
		for (uint64_t i = 62; i > 10; i--) {
			compressor_free(r.t.c, r.cref[i]);
			for (volatile unsigned spin = 0; spin < 40 * (round % 8); spin++)
				;
		}
		store_release(&r.done, true);
		assert_int_equal(pthread_join(thread, NULL), 0);
		ct_check(&r.t);
		ct_load_kind(&r.t, r.cref[10], (struct ct_id){ 1, 10, round }, CT_RANDOM);
		assert_int_equal(ct_stats(&r.t).pages, 2);
		minor += ct_stats(&r.t).compactions_minor;
		ct_destroy(&r.t);
	}
	assert_true(minor > 0);
}

#define CASES(bytes, alone, together)                                                              \
	static void one_thread_##bytes(void **state)                                               \
	{                                                                                          \
		(void)state;                                                                       \
		one_thread(bytes, alone);                                                          \
	}                                                                                          \
	static void threads_##bytes(void **state)                                                  \
	{                                                                                          \
		(void)state;                                                                       \
		threads(bytes, together);                                                          \
	}
CASES(4096, 15000, 12000)
CASES(16384, 5000, 3000)
CASES(65536, 2500, 1000)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frees_meet_slides),
		cmocka_unit_test(one_thread_4096),
		cmocka_unit_test(one_thread_16384),
		cmocka_unit_test(one_thread_65536),
		cmocka_unit_test(threads_4096),
		cmocka_unit_test(threads_16384),
		cmocka_unit_test(threads_65536),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
