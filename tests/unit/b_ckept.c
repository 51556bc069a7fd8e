/* SPDX-License-Identifier: MIT
 *
 * A compressor whose process is killed at work: another one takes its tables over, and every page
 * whose handle somebody has is there, while nothing of what nobody names is left.
 */
#include "ct.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "failpt.h"

enum { PAGES = 700, FULL_PAGES = 300 };

/* What the daemon's slots are: memory that outlives the process. Two versions of each page's
 * handle, and which of them counts. */
struct row {
	struct {
		uint64_t cref, generation;
	} version[2];
	atomic_uint which;
};
struct book {
	struct row rows[PAGES];
};

static struct book *book;
static struct compressor_kept kept;

static struct ct_id
id_of(uint64_t page)
{
	struct row *r = &book->rows[page];

	return (struct ct_id){ 3, page, r->version[load_acquire(&r->which)].generation };
}

static uint64_t
cref_of(uint64_t page)
{
	struct row *r = &book->rows[page];

	return r->version[load_acquire(&r->which)].cref;
}

/* The page has another handle from now on. */
static void
publish(uint64_t page, uint64_t cref, uint64_t generation)
{
	struct row *r = &book->rows[page];
	unsigned other = !load_relaxed(&r->which);

	r->version[other].cref = cref;
	r->version[other].generation = generation;
	store_release(&r->which, other);
}

static bool
relocate(struct ct *t, struct cowner owner, struct cref from, struct cref to)
{
	uint64_t page = ct_owner_page(owner);
	(void)t;

	if (cref_of(page) != from.v)
		return false;
	publish(page, to.v, id_of(page).generation);
	return true;
}

/* A compressor on the memfds, which stay the test's; what is there is taken over. */
static void
open_kept(struct ct *t, size_t page_bytes)
{
	struct compressor_kept own = { kept.tables < 0 ? -1 : dup(kept.tables),
		kept.segments < 0 ? -1 : dup(kept.segments) };
	bool was_there = kept.tables >= 0;
	size_t bytes;

	memset(t, 0, sizeof(*t));
	ct_configure(t, page_bytes, 8 << 20, 1);
	t->config.spare_bytes = 1 << 20;
	t->config.kept = &own;
	t->relocate = relocate;
	assert_int_equal(compressor_create(&t->config, &t->c), 0);
	t->config.kept = NULL;
	if (!was_there) {
		kept = (struct compressor_kept){ dup(own.tables), dup(own.segments) };
		return;
	}
	assert_int_equal(compressor_adopt_begin(t->c), 0);
	for (uint64_t i = 0; i < PAGES; i++)
		if (cref_of(i))
			assert_true(compressor_adopt(t->c, (struct cref){ cref_of(i) }));
	/* Whose handle this was is asked once. */
	for (uint64_t i = 0; i < PAGES; i++)
		if (cref_of(i) && !compressor_is_single_value((struct cref){ cref_of(i) }))
			assert_false(compressor_adopt(t->c, (struct cref){ cref_of(i) }));
	bytes = compressor_adopt_end(t->c);
	assert_true(bytes < SIZE_MAX);
	store_relaxed(&t->held, (long long)bytes);
	ct_check(t);
}

/* All pages, and no others. */
static void
check_pages(struct ct *t)
{
	uint64_t pages = 0;

	for (uint64_t i = 0; i < PAGES; i++) {
		if (!cref_of(i))
			continue;
		ct_load(t, (struct cref){ cref_of(i) }, id_of(i));
		pages++;
	}
	assert_int_equal(ct_stats(t).pages, pages);
}

/* A stored page gets the name of another object's page, whose number is the same. */
static void
rename_one(struct ct *t, uint64_t page, uint64_t r)
{
	if (cref_of(page))
		compressor_rename(
		    t->c, (struct cref){ cref_of(page) }, ct_owner(4 + (r & 63), page));
}

/* Stores, frees, renames and compacts until something kills it. */
static void
work(struct ct *t, uint64_t seed)
{
	static char page[CT_PAGE_MAX] __attribute__((aligned(4096)));

	for (;;) {
		uint64_t r = ct_random(&seed), i = r % PAGES, old = cref_of(i);

		if (r >> 32 & 1 && old) {
			publish(i, 0, id_of(i).generation);
			compressor_free(t->c, (struct cref){ old });
		} else if (old || ct_stats(t).pages < FULL_PAGES) {
			struct ct_id id = { 3, i, id_of(i).generation + 1 };
			struct cref cref;
			uint32_t bytes;

			ct_page(page, t->config.page_bytes, id);
			if (compressor_store(t->c, 0, page, ct_owner(3, i), 1, &cref, &bytes) != 0)
				continue;
			publish(i, cref.v, id.generation);
			if (old)
				compressor_free(t->c, (struct cref){ old });
		}
		rename_one(t, (r >> 40) % PAGES, r >> 35);
		if (r >> 33 & 1)
			compressor_compact(t->c, r >> 34 & 1);
	}
}

/* A life: takes over, works, and is killed. => whether it was killed, and not by a failed check */
static bool
live_and_die(size_t page_bytes, const char *fail, uint64_t seed)
{
	struct ct t;
	int status, begun[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(begun), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		/* What is wrong ends this process, not the test that it was. */
		setenv("CMOCKA_TEST_ABORT", "1", 1);
		close(begun[0]);
		open_kept(&t, page_bytes);
		check_pages(&t);
		if (fail)
			failpt_arm(fail);
		close(begun[1]);
		work(&t, seed);
	}
	close(begun[1]);
	/* Where no point is armed the kill comes at any moment. */
	(void)!read(begun[0], &byte, 1);
	close(begun[0]);
	if (!fail) {
		nanosleep(&(struct timespec){ .tv_nsec = (long)(seed % 4000000) }, NULL);
		kill(pid, SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void
begin(void)
{
	memset(book, 0, sizeof(*book));
	kept = (struct compressor_kept){ -1, -1 };
}

/* What is left after the last life; all of it is freed, and then there is nothing. */
static void
end(size_t page_bytes)
{
	struct ct t;

	open_kept(&t, page_bytes);
	check_pages(&t);
	for (uint64_t i = 0; i < PAGES; i++)
		if (cref_of(i))
			compressor_free(t.c, (struct cref){ cref_of(i) });
	assert_int_equal(ct_stats(&t).pages, 0);
	ct_check(&t);
	ct_destroy(&t);
	close(kept.tables);
	close(kept.segments);
}

static void
kills_at_any_moment(void **state)
{
	static const size_t sizes[] = { 4096, 16384, 65536 };
	uint64_t seed = ct_seed("b_ckept");
	struct ct t;
	(void)state;

	for (size_t z = 0; z < 3; z++) {
		begin();
		open_kept(&t, sizes[z]);
		ct_destroy(&t);
		for (int life = 0; life < 10; life++)
			assert_true(live_and_die(sizes[z], NULL, ct_random(&seed)));
		end(sizes[z]);
	}
}

/* Each of them at several passes. */
static void
kills_between_two_steps(void **state)
{
	static const char *const points[] = { "DIE_SLIDE_HALF", "DIE_SLIDE_MOVED",
		"DIE_SEGMENT_OPEN", "DIE_SEGMENT_TRIM", "DIE_SEGMENT_GONE", "DIE_VACANT_FILL",
		"DIE_MERGE", "DIE_RENAME" };
	uint64_t seed = ct_seed("b_ckept");
	struct ct t;
	(void)state;

	if (!FAIL_POINTS)
		skip();
	begin();
	open_kept(&t, 4096);
	ct_destroy(&t);
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		for (int after = 0; after < 3; after++) {
			char spec[64];

			snprintf(spec, sizeof(spec), "%s:%d", points[i], after * (i < 2 ? 37 : 1));
			if (!live_and_die(4096, spec, ct_random(&seed)))
				fail_msg("%s: a wrong page, or another end", spec);
		}
	end(4096);
}

/* Tables of another shape are not taken. */
static void
another_shape_is_refused(void **state)
{
	struct compressor_kept own;
	struct compressor *c;
	struct ct t;
	(void)state;

	begin();
	open_kept(&t, 4096);
	ct_destroy(&t);
	ct_configure(&t, 16384, 8 << 20, 1);
	own = (struct compressor_kept){ dup(kept.tables), dup(kept.segments) };
	t.config.kept = &own;
	assert_int_equal(compressor_create(&t.config, &c), -EPROTO);
	close(kept.tables);
	close(kept.segments);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_shape_is_refused),
		cmocka_unit_test(kills_between_two_steps),
		cmocka_unit_test(kills_at_any_moment),
	};

	book = mmap(NULL, sizeof(*book), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(book != MAP_FAILED);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
