/* SPDX-License-Identifier: MIT
 *
 * Copies that stay shared until they are written: what they cost, what region queries say of them,
 * and the ways in which a snapshot could silently show something else (each test is named for its
 * trap).
 *
 * usage: e_copy TEST [4K|16K|64K]
 */
#include "harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <stdatomic.h>

#include "side.h"

/* --- what it costs, and what is said of it --- */

static void
region(struct side *s, const unsigned char *at, struct pager_region_query *ret)
{
	*ret = (struct pager_region_query){ .size = sizeof(*ret) };
	OK(pager_region_query(s->p, at, PAGER_REGION_EXTENDED, ret));
}

static void
shown_body(struct live *d, void *argument)
{
	struct side s = { .d = d, .p = client_connect(d), .page = d->page_bytes };
	struct pager_region_query q;
	struct pager_statistics before, after;
	void *moved;
	struct pager_copy *held;

	(void)argument;
	OK(pager_allocate(s.p, PAGES * s.page, PAGER_ALLOC_CONTIGUOUS, (void **)&s.source));
	OK(pager_allocate(s.p, PAGES * s.page, PAGER_ALLOC_CONTIGUOUS, (void **)&s.copy));
	for (unsigned i = 0; i < PAGES; i++)
		fill(&s, s.source, i, i + 1);
	region(&s, s.source, &q);
	EQ(q.share_mode, PAGER_SHARE_PRIVATE);
	live_rest(d);
	OK(pager_statistics(s.p, &before));
	copy(&s);
	OK(pager_statistics(s.p, &after));
	/* No frame, nothing expanded, no fault. */
	EQ(after.phys_mem, before.phys_mem);
	EQ(after.faults, before.faults);
	EQ(after.decompressions, before.decompressions);
	for (unsigned side = 0; side < 2; side++) {
		region(&s, side ? s.copy : s.source, &q);
		EQ(q.share_mode, PAGER_SHARE_COW);
		EQ(q.ref_count, 2);
		EQ(q.shadow_depth, side);
		EQ(q.info.pages_resident, side ? 0 : PAGES);
	}
	/* What is written is stored for the copy: it takes no frame, and no other page does. */
	fill(&s, s.source, 3, 200);
	live_rest(d);
	OK(pager_statistics(s.p, &after));
	EQ(after.phys_mem, before.phys_mem);
	REQUIRE(after.internal_compressed > before.internal_compressed &&
		    after.internal_compressed <= before.internal_compressed + 16 * s.page,
	    "%llu bytes are stored, of %llu before", (unsigned long long)after.internal_compressed,
	    (unsigned long long)before.internal_compressed);
	expect(&s, s.copy, 3, 4);
	/* The source goes: the rest is the copy's. The server of the last touch has let go of both.
	 */
	live_rest(d);
	OK(pager_deallocate(s.p, s.source, PAGES * s.page));
	live_rest(d);
	region(&s, s.copy, &q);
	EQ(q.share_mode, PAGER_SHARE_PRIVATE);
	EQ(q.ref_count, 1);
	EQ(q.shadow_depth, 0);
	for (unsigned i = 0; i < PAGES; i++)
		expect(&s, s.copy, i, i + 1);
	/* A copy that is moved takes nothing, either. */
	live_rest(d);
	OK(pager_statistics(s.p, &before));
	OK(pager_copyin(s.p, s.copy, PAGES * s.page, PAGER_COPY_DESTROY_SOURCE, &held));
	OK(pager_copyout(s.p, held, &moved));
	OK(pager_statistics(s.p, &after));
	EQ(after.phys_footprint, before.phys_footprint);
	for (unsigned i = 0; i < PAGES; i++)
		expect(&s, moved, i, i + 1);
	OK(pager_disconnect(s.p));
}

static void
shown(void)
{
	run_client("64M", shown_body);
}

static void
arguments_body(struct live *d, void *argument)
{
	struct side s = side_make(d);
	struct pager_copy *held;
	unsigned char *file;
	char path[] = "/tmp/pagerd-copy-XXXXXX";
	int fd = mkstemp(path);

	(void)argument;
	REQUIRE(fd >= 0 && ftruncate(fd, (off_t)(8 * s.page)) == 0);
	unlink(path);
	for (unsigned i = 0; i < PAGES; i++)
		fill(&s, s.source, i, i + 1);
	EQ(pager_copy(s.p, s.source, 0, s.copy), -EINVAL);
	EQ(pager_copy(s.p, s.source, (PAGES + 4096) * s.page, s.copy), -EINVAL);
	EQ(pager_copy(s.p, &s, 64, s.copy), -EINVAL);
	EQ(pager_copyin(s.p, s.source + 1, s.page, 0, &held), -EINVAL);
	EQ(pager_copyin(s.p, s.source, s.page, 2, &held), -EINVAL);
	/* Bytes beside whole pages, at other places in a page, and onto itself. */
	OK(pager_copy(s.p, s.source + 100, 9 * s.page + 17, s.copy + 100));
	REQUIRE(s.copy[99] == 0 && memcmp(s.copy + 100, s.source + 100, 9 * s.page + 17) == 0 &&
		s.copy[100 + 9 * s.page + 17] == 0);
	OK(pager_copy(s.p, s.source + 5, 5 * s.page, s.copy + 20 * s.page));
	REQUIRE(memcmp(s.copy + 20 * s.page, s.source + 5, 5 * s.page) == 0);
	OK(pager_copy(s.p, s.source, 40 * s.page, s.source + 4 * s.page));
	for (unsigned i = 4; i < 44; i++)
		expect(&s, s.source, i, i - 3);
	/* What may not be read or written. */
	OK(pager_protect(s.p, s.copy, 8 * s.page, PROT_READ));
	EQ(pager_copy(s.p, s.source, 4 * s.page, s.copy), -EACCES);
	OK(pager_protect(s.p, s.source, 8 * s.page, PROT_NONE));
	EQ(pager_copy(s.p, s.source, 4 * s.page, s.copy + 20 * s.page), -EACCES);
	OK(pager_protect(s.p, s.source, 8 * s.page, PROT_READ | PROT_WRITE));
	/* Files take bytes. */
	OK(pager_map_file(
	    s.p, fd, 0, 8 * s.page, PROT_READ | PROT_WRITE, PAGER_MAP_SHARED, (void **)&file));
	OK(pager_copy(s.p, s.source, 8 * s.page, file));
	REQUIRE(memcmp(file, s.source, 8 * s.page) == 0);
	OK(pager_copyin(s.p, file, 8 * s.page, 0, &held));
	file[0] = 77;
	OK(pager_copy_overwrite(s.p, s.copy + 20 * s.page, held));
	REQUIRE(memcmp(s.copy + 20 * s.page, s.source, 8 * s.page) == 0);
	OK(pager_copyin(s.p, s.source, 8 * s.page, 0, &held));
	OK(pager_copy_overwrite(s.p, file, held));
	REQUIRE(memcmp(file, s.source, 8 * s.page) == 0);
	OK(pager_deallocate(s.p, file, 8 * s.page));
	/* A client that ends with what it holds. */
	for (unsigned i = 0; i < 100; i++)
		OK(pager_copyin(s.p, s.source, PAGES * s.page, 0, &held));
	s.source[0]++;
}

static void
arguments(void)
{
	run_client("64M", arguments_body);
}

/* --- trap 1: the holder's page is mapped or filled after it was pushed --- */

struct race {
	struct side *s;
	atomic_uint round, done;
	atomic_bool end;
};

static void *
race_writer(void *argument)
{
	struct race *r = argument;

	for (unsigned seen = 0; !atomic_load(&r->end);) {
		unsigned round = atomic_load(&r->round);

		if (round == seen)
			continue;
		for (unsigned i = 0; i < PAGES; i++)
			fill(r->s, r->s->source, i, 100 + round);
		seen = round;
		atomic_store(&r->done, round);
	}
	return NULL;
}

static void
reread_body(struct live *d, void *argument)
{
	struct side s = side_make(d);
	struct race r = { .s = &s };
	unsigned rounds = (unsigned)live_scaled(150);
	pthread_t writer;

	(void)argument;
	REQUIRE(pthread_create(&writer, NULL, race_writer, &r) == 0);
	for (unsigned round = 1; round <= rounds; round++) {
		unsigned value = round == 1 ? 0 : 100 + round - 1;

		copy(&s);
		atomic_store(&r.round, round);
		for (unsigned i = 0; i < PAGES; i++)
			expect(&s, s.copy, round % 2 ? i : PAGES - 1 - i, value);
		WAIT_UNTIL(d, atomic_load(&r.done) == round);
		for (unsigned i = 0; i < PAGES; i++)
			expect(&s, s.copy, i, value);
	}
	atomic_store(&r.end, true);
	pthread_join(writer, NULL);
	OK(pager_disconnect(s.p));
}

static void
trap_1_reread(void)
{
	run_client("32M", reread_body);
}

/* --- trap 2: a way to change the source at which the copy is not thought of --- */

/* What the source's page is when it is copied, and how it is changed then. */
static void
way(struct side *s, unsigned i)
{
	unsigned char *at = page_of(s, s->source, i);
	int pipes[2];

	switch (i % 8) {
	case 0: /* touched as it is */
		at[0] = 1;
		break;
	case 1: /* by the kernel */
		REQUIRE(pipe2(pipes, O_CLOEXEC) == 0);
		REQUIRE(write(pipes[1], "abcd", 4) == 4 && read(pipes[0], at, 4) == 4);
		close(pipes[0]);
		close(pipes[1]);
		break;
	case 2: /* brought in ahead, and written */
		OK(pager_behavior(s->p, at, s->page, PAGER_BEHAVIOR_WILLNEED));
		at[1] = 2;
		break;
	case 3: /* wired */
		OK(pager_wire(s->p, at, s->page));
		at[2] = 3;
		OK(pager_unwire(s->p, at, s->page));
		break;
	case 4: /* taken out of page tables, read, written */
		OK(pager_behavior(s->p, at, s->page, PAGER_BEHAVIOR_DONTNEED));
		(void)*(volatile unsigned char *)at;
		at[3] = 4;
		break;
	case 5: /* discarded, and written anew */
		OK(pager_behavior(s->p, at, s->page, PAGER_BEHAVIOR_FREE));
		at[4] = 5;
		break;
	case 6: /* left, came back by a read, written */
		OK(pager_behavior(s->p, at, s->page, PAGER_BEHAVIOR_PAGEOUT));
		(void)*(volatile unsigned char *)at;
		at[5] = 6;
		break;
	default: /* overwritten by another copy */
		OK(pager_copy(s->p, page_of(s, s->copy, (i + 1) % PAGES), s->page, at));
		at[6] = 7;
	}
}

static void
outcomes_body(struct live *d, void *argument)
{
	struct side s = side_make(d);
	unsigned char *second = client_allocate(s.p, PAGES * s.page);

	(void)argument;
	/* Absent, dirty, clean with a copy, stored, and duplicates. */
	for (unsigned state = 0; state < 5; state++) {
		unsigned char *from = s.source;

		OK(pager_behavior(s.p, s.source, PAGES * s.page, PAGER_BEHAVIOR_FREE));
		for (unsigned i = 0; state > 0 && i < PAGES; i++)
			fill(&s, from, i, i + state);
		if (state == 2 || state == 3)
			OK(pager_behavior(s.p, s.source, PAGES * s.page, PAGER_BEHAVIOR_PAGEOUT));
		if (state == 2)
			for (unsigned i = 0; i < PAGES; i++)
				expect(&s, s.source, i, i + state);
		if (state == 4) {
			/* The source is itself a copy of which nothing was written. */
			OK(pager_copy(s.p, s.source, PAGES * s.page, second));
			OK(pager_copy(s.p, second, PAGES * s.page, s.source));
			for (unsigned i = 0; i < PAGES; i += 2)
				expect(&s, s.source, i, i + state);
		}
		copy(&s);
		live_check(d);
		for (unsigned i = 0; i < PAGES; i++)
			way(&s, i);
		for (unsigned i = 0; i < PAGES; i++)
			expect(&s, s.copy, i, state > 0 ? i + state : 0);
	}
	OK(pager_disconnect(s.p));
}

static void
trap_2_outcomes(void)
{
	run_client("64M", outcomes_body);
}

/* --- trap 3: a page is mapped again without write protection --- */

static void
protected_body(struct live *d, void *argument)
{
	struct side s = side_make(d);

	(void)argument;
	for (unsigned i = 0; i < PAGES; i++)
		fill(&s, s.source, i, i + 1);
	copy(&s);
	/* Out of page tables, and mapped again by reads: one by one, and as neighbours of a run. */
	for (unsigned round = 0; round < 3; round++) {
		OK(pager_behavior(s.p, s.source, PAGES * s.page, PAGER_BEHAVIOR_DONTNEED));
		for (unsigned i = 0; i < PAGES; i++)
			expect(&s, s.source, round == 1 ? PAGES - 1 - i : i,
			    (round == 1 ? PAGES - 1 - i : i) + 1);
		live_check(d);
	}
	for (unsigned i = 0; i < PAGES; i++)
		fill(&s, s.source, i, 99);
	for (unsigned i = 0; i < PAGES; i++)
		expect(&s, s.copy, i, i + 1);
	OK(pager_disconnect(s.p));
}

static void
trap_3_protected(void)
{
	run_client("64M", protected_body);
}

/* --- trap 8: the end of the source takes the copy's content away --- */

static void
source_ends_body(struct live *d, void *argument)
{
	struct side s = side_make(d);
	unsigned char *copies[6];

	(void)argument;
	for (unsigned n = 0; n < 6; n++)
		copies[n] = client_allocate(s.p, PAGES * s.page);
	/* A line of copies, each of another generation, that ends in the middle, at its begin and
	 * at its end; some of the content is stored. */
	for (unsigned n = 0; n < 6; n++) {
		for (unsigned i = n; i < PAGES; i += n + 1)
			fill(&s, s.source, i, 10 * n + i % 10 + 1);
		OK(pager_copy(s.p, s.source, PAGES * s.page, copies[n]));
		if (n % 2)
			OK(pager_behavior(s.p, s.source, PAGES * s.page, PAGER_BEHAVIOR_PAGEOUT));
	}
	OK(pager_deallocate(s.p, copies[3], PAGES * s.page));
	OK(pager_deallocate(s.p, s.source, PAGES / 2 * s.page));
	OK(pager_deallocate(s.p, copies[5], PAGES * s.page));
	OK(pager_deallocate(s.p, s.source + PAGES / 2 * s.page, PAGES / 2 * s.page));
	OK(pager_deallocate(s.p, copies[0], PAGES * s.page));
	for (unsigned n = 1; n < 5; n++)
		for (unsigned i = 0; n != 3 && i < PAGES; i++) {
			unsigned value = 0;

			for (unsigned m = 0; m <= n; m++)
				if (i >= m && (i - m) % (m + 1) == 0)
					value = 10 * m + i % 10 + 1;
			expect(&s, copies[n], i, value);
		}
	OK(pager_disconnect(s.p));
}

static void
trap_8_source_ends(void)
{
	run_client("64M", source_ends_body);
}

/* --- trap 14: what a device writes to --- */

static void
wired_body(struct live *d, void *argument)
{
	struct side s = side_make(d);

	(void)argument;
	for (unsigned i = 0; i < PAGES; i++)
		fill(&s, s.source, i, i + 1);
	/* Wired when it is copied: by content. */
	OK(pager_wire(s.p, s.source, 8 * s.page));
	copy(&s);
	fill(&s, s.source, 2, 50);
	expect(&s, s.copy, 2, 3);
	OK(pager_unwire(s.p, s.source, 8 * s.page));
	/* Wired afterwards: both ends. */
	copy(&s);
	OK(pager_wire(s.p, s.source, 8 * s.page));
	OK(pager_wire(s.p, s.copy + 8 * s.page, 8 * s.page));
	REQUIRE(query(&s, s.source, 1) & PAGER_PAGE_WIRED);
	REQUIRE(query(&s, s.copy, 9) & PAGER_PAGE_WIRED);
	live_check(d);
	for (unsigned i = 0; i < 16; i++)
		fill(&s, s.source, i, 60);
	fill(&s, s.copy, 9, 70);
	for (unsigned i = 0; i < 16; i++) {
		expect(&s, s.source, i, 60);
		expect(&s, s.copy, i, i == 9 ? 70 : i == 2 ? 50 : i + 1);
	}
	OK(pager_disconnect(s.p));
}

static void
trap_14_wired(void)
{
	run_client("64M", wired_body);
}

/* --- a source that several see --- */

static void
shared_body(struct live *d, void *argument)
{
	struct side s = { .d = d, .p = client_connect(d), .page = d->page_bytes };
	unsigned char *other;
	struct pager *q = client_connect(d);
	int name;

	(void)argument;
	OK(pager_allocate(s.p, PAGES * s.page, PAGER_ALLOC_SHAREABLE, (void **)&s.source));
	s.copy = client_allocate(s.p, PAGES * s.page);
	OK(pager_make_entry(s.p, s.source, PAGES * s.page, PROT_READ | PROT_WRITE, 0, &name));
	OK(pager_map_entry(q, name, 0, PAGES * s.page, PROT_READ | PROT_WRITE, 0, (void **)&other));
	close(name);
	for (unsigned i = 0; i < PAGES; i++)
		fill(&s, i % 2 ? s.source : other, i, i + 1);
	copy(&s);
	live_check(d);
	for (unsigned i = 0; i < PAGES; i++)
		fill(&s, i % 3 ? s.source : other, i, 200);
	for (unsigned i = 0; i < PAGES; i++) {
		expect(&s, s.copy, i, i + 1);
		expect(&s, s.source, i, 200);
		expect(&s, other, i, 200);
	}
	/* And as the destination: all see it. */
	OK(pager_copy(s.p, s.copy, PAGES * s.page, s.source));
	for (unsigned i = 0; i < PAGES; i++)
		expect(&s, other, i, i + 1);
	fill(&s, other, 7, 90);
	expect(&s, s.copy, 7, 8);
	expect(&s, s.source, 7, 90);
	OK(pager_deallocate(q, other, PAGES * s.page));
	OK(pager_disconnect(q));
	OK(pager_disconnect(s.p));
}

static void
shared(void)
{
	run_client("64M", shared_body);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = {
		{ "shown", shown },
		{ "arguments", arguments },
		{ "trap-1-reread", trap_1_reread },
		{ "trap-2-outcomes", trap_2_outcomes },
		{ "trap-3-protected", trap_3_protected },
		{ "trap-8-source-ends", trap_8_source_ends },
		{ "trap-14-wired", trap_14_wired },
		{ "shared", shared },
	};

	live_init(argc, argv);
	if (argc > 2)
		page_size = argv[2];
	return LIVE_RUN(argc, argv, tests);
}
