/* SPDX-License-Identifier: MIT
 *
 * REUSABLE and REUSE: pages that may go one by one. Each page has its content or zeroes until it is
 * written again; what is written stays; nothing of it is stored; and the bill follows.
 *
 * usage: e_reusable states|others|oracle [4K|16K|64K]
 */
#include "purgeable.h"

static const char *page_size = "4K";

static void
start(struct live *d, const char *memory)
{
	live_start(
	    d, memory, "--page-size", page_size, "--param", "swap_file_bytes=33554432", NULL);
}

/* Forks of this client are no affair of the daemon's: copying makes pages ordinary. */
static struct pager *
connect_alone(struct live *d)
{
	struct pager_options options = { .size = sizeof(options), .flags = PAGER_NO_INHERIT };
	struct pager *p;

	OK(pager_connect(d->socket, &options, &p));
	return p;
}

static void
expect_bill_at(int line, struct live *d, struct pager *p, uint64_t footprint, uint64_t reusable)
{
	struct pager_statistics s;
	uint64_t now;

	/* What has been touched is booked then. */
	live_rest(d);
	now = (uint64_t)live_stat(d, "reusable") * d->page_bytes;
	OK(pager_statistics(p, &s));
	REQUIRE(s.phys_footprint == footprint && now == reusable &&
		    s.internal + s.internal_compressed == footprint &&
		    s.phys_mem == s.internal + reusable,
	    "line %d: footprint %llu, not %llu, and reusable %llu, not %llu", line,
	    (unsigned long long)s.phys_footprint, (unsigned long long)footprint,
	    (unsigned long long)now, (unsigned long long)reusable);
}
#define expect_bill(d, footprint, reusable) expect_bill_at(__LINE__, d, p, footprint, reusable)

static void
states_run(struct live *d, void *argument)
{
	const uint64_t page = d->page_bytes, pages = 48, size = pages * page;
	struct pager *p = connect_alone(d);
	unsigned char *base = client_allocate(p, size), *other = client_allocate(p, size);
	int64_t stored;

	(void)argument;
	/* Regions of their own: faults of one bring in no pages of the other. */
	OK(pager_tag(p, other, size, 7));
	fill(d, base, pages, 1, 1);
	expect_bill(d, size, 0);
	OK(pager_behavior(p, base, size, PAGER_BEHAVIOR_REUSABLE));
	expect_bill(d, 0, size);
	/* It is there still, and reading changes nothing. */
	expect(d, base, pages, 1, 1);
	expect_bill(d, 0, size);
	live_check(d);
	/* A write makes a page the owner's again, and no other. */
	fill(d, base, 4, 1, 1);
	expect_bill(d, 4 * page, size - 4 * page);
	OK(pager_behavior(p, base + 8 * page, 8 * page, PAGER_BEHAVIOR_REUSE));
	expect_bill(d, 12 * page, size - 12 * page);
	expect(d, base, pages, 1, 1);
	/* What is reusable leaves for nothing; the others are stored. */
	stored = live_stat(d, "compressions");
	OK(pager_behavior(p, base, size, PAGER_BEHAVIOR_PAGEOUT));
	live_rest(d);
	EQ(live_stat(d, "compressions"), stored + 12);
	expect_bill(d, 12 * page, 0);
	expect(d, base, 4, 1, 1);
	for (uint64_t i = 4; i < pages; i++) {
		uint64_t word = *(uint64_t *)(void *)(base + i * page);

		EQ(word, i >= 8 && i < 16 ? word_of(1, 1, i) : 0);
	}
	/* What is stored goes at once. */
	fill(d, base, pages, 1, 2);
	OK(pager_behavior(p, base, size, PAGER_BEHAVIOR_PAGEOUT));
	expect_bill(d, size, 0);
	OK(pager_behavior(p, base, size, PAGER_BEHAVIOR_REUSABLE));
	expect_bill(d, 0, 0);
	expect(d, base, pages, 1, 0);
	OK(pager_disconnect(p));
}

/* Copies, wires and page lists. */
static void
others_run(struct live *d, void *argument)
{
	const uint64_t page = d->page_bytes, pages = 48, size = pages * page;
	struct pager *p = connect_alone(d);
	unsigned char *base = client_allocate(p, size), *copy = client_allocate(p, size);
	struct pager_upl *u;

	(void)argument;
	OK(pager_tag(p, copy, size, 7));
	fill(d, base, pages, 1, 3);
	/* Twice, and the other one without the first. */
	OK(pager_behavior(p, base, size, PAGER_BEHAVIOR_REUSE));
	OK(pager_behavior(p, base, size, PAGER_BEHAVIOR_REUSABLE));
	OK(pager_behavior(p, base, size, PAGER_BEHAVIOR_REUSABLE));
	/* A copy has what is there now, for good. */
	OK(pager_copy(p, base, size, copy));
	expect_bill(d, size, 0);
	fill(d, base, pages, 1, 4);
	expect(d, copy, pages, 1, 3);
	/* Memory that something shares is passed over, and so is wired memory. */
	OK(pager_copy(p, base, size, copy));
	OK(pager_behavior(p, base, size, PAGER_BEHAVIOR_REUSABLE));
	EQ(live_stat(d, "reusable"), 0);
	OK(pager_deallocate(p, copy, size));
	OK(pager_wire(p, base, 8 * page));
	OK(pager_behavior(p, base, size, PAGER_BEHAVIOR_REUSABLE));
	expect_bill(d, 8 * page, size - 8 * page);
	OK(pager_unwire(p, base, 8 * page));
	OK(pager_behavior(p, base, size, PAGER_BEHAVIOR_REUSABLE));
	expect_bill(d, 0, size);
	OK(pager_wire(p, base, size));
	expect_bill(d, size, 0);
	OK(pager_unwire(p, base, size));
	/* A page list has what is there. */
	OK(pager_behavior(p, base, size, PAGER_BEHAVIOR_REUSABLE));
	OK(pager_upl_create(p, base, size, 0, &u));
	EQ(pager_behavior(p, base, size, PAGER_BEHAVIOR_REUSABLE), -EBUSY);
	OK(pager_upl_commit(u, 0, NULL));
	OK(pager_upl_destroy(u));
	expect_bill(d, size, 0);
	expect(d, base, pages, 1, 4);
	OK(pager_behavior(p, base, size, PAGER_BEHAVIOR_REUSABLE));
	OK(pager_behavior(p, base, size, PAGER_BEHAVIOR_FREE));
	expect_bill(d, 0, 0);
	fill(d, base, pages, 1, 5);
	OK(pager_behavior(p, base, size, PAGER_BEHAVIOR_REUSABLE));
	live_check(d);
	OK(pager_deallocate(p, base, size));
	expect_bill(d, 0, 0);
	OK(pager_disconnect(p));
}

static void
run_alone(client_body *body)
{
	struct live d;

	start(&d, "32M");
	client_join(&d, client_start(&d, body, NULL), false);
	live_stop(&d);
}

static void
states(void)
{
	run_alone(states_run);
}

static void
others(void)
{
	run_alone(others_run);
}

/* A program with more memory than there is, that says of a part of it what it does not need. */
static void
oracle_run(struct live *d, void *argument)
{
	const uint64_t pages = 3 * d->memory_bytes / d->page_bytes / 2, ops = live_scaled(6000);
	unsigned char *base;
	struct pager *p = connect_alone(d);
	/* version 0: nothing. is_reusable: it may be gone, and then stays so. */
	struct known {
		uint64_t version;
		bool is_reusable;
	} *known = calloc(pages, sizeof(*known));
	uint64_t seed = live_seed, gone = 0, kept = 0;

	(void)argument;
	REQUIRE(known != NULL);
	base = client_allocate(p, pages * d->page_bytes);
	for (uint64_t n = 1; n < ops || gone == 0 || kept == 0; n++) {
		uint64_t first = rng_below(&seed, pages), random = rng_next(&seed),
			 count = 1 + random % 16, what = random >> 60;

		count = first + count > pages ? pages - first : count;
		if (what < 5)
			OK(pager_behavior(p, base + first * d->page_bytes, count * d->page_bytes,
			    PAGER_BEHAVIOR_REUSABLE));
		else if (what < 8)
			OK(pager_behavior(p, base + first * d->page_bytes, count * d->page_bytes,
			    PAGER_BEHAVIOR_REUSE));
		for (uint64_t i = first; i < first + count; i++) {
			struct known *k = &known[i];
			unsigned char *at = base + i * d->page_bytes;
			uint64_t word;

			if (what < 5) {
				k->is_reusable = true;
				continue;
			}
			word = *(volatile uint64_t *)(void *)at;
			if (k->is_reusable && word == 0 && k->version != 0) {
				k->version = 0;
				gone++;
			} else if (k->is_reusable && k->version != 0) {
				kept++;
			}
			REQUIRE(word == (k->version ? word_of(9, k->version, 0) : 0),
			    "page %llu has %llx", (unsigned long long)i, (unsigned long long)word);
			if (what < 8)
				k->is_reusable = false;
			if (what < 11)
				continue;
			k->version = n;
			k->is_reusable = false;
			fill(d, at, 1, 9, n);
		}
	}
	for (uint64_t i = 0; i < pages; i++) {
		uint64_t word = *(volatile uint64_t *)(void *)(base + i * d->page_bytes);

		REQUIRE((known[i].is_reusable && word == 0) ||
			    word == (known[i].version ? word_of(9, known[i].version, 0) : 0),
		    "page %llu has %llx at the end", (unsigned long long)i,
		    (unsigned long long)word);
	}
	free(known);
	OK(pager_disconnect(p));
}

static void
oracle(void)
{
	struct live d;

	start(&d, page_size[0] == '6' ? "32M" : "8M");
	client_join(&d, client_start(&d, oracle_run, NULL), true);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = { { "states", states }, { "others", others },
		{ "oracle", oracle } };

	live_init(argc, argv);
	if (argc > 2)
		page_size = argv[2];
	return LIVE_RUN(argc, argv, tests);
}
