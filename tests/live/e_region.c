/* SPDX-License-Identifier: MIT
 *
 * What the daemon says of regions, against what it says of each page, against ledgers, and while
 * pages come and go.
 *
 * usage: e_region counts|ledger|proportional|file [page=SIZE] [memory=SIZE]
 */
#include <fcntl.h>

#include "share.h"

static struct pager_region_query
query(struct pager *p, const void *at, unsigned flags)
{
	struct pager_region_query q = { .size = sizeof(q), .depth = 1 };

	OK(pager_region_query(p, at, flags, &q));
	return q;
}

/* --- counts: extended counts against PAGE_QUERY, page by page --- */

struct pressure {
	struct stage stage;
	atomic_bool over;
};

/* Makes others' pages leave until it is told to end. */
static void
presser(struct live *d, void *argument)
{
	struct pressure *pressure = argument;
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(2 * d->memory_bytes / d->page_bytes);
	uint64_t rng = live_seed ^ 5;
	struct book book;

	book_open(&book, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 9);
	book_write_all(&book, &mixture_usual, &rng);
	stage_meet(d, &pressure->stage, 1);
	while (!atomic_load(&pressure->over))
		for (unsigned i = 0; i < 64; i++)
			book_verify(&book, (uint32_t)rng_below(&rng, count));
	book_close(&book);
	OK(pager_disconnect(p));
}

static void
count_page(struct pager *p, const unsigned char *at, struct pager_region_info *sum)
{
	unsigned disposition;

	OK(pager_page_query(p, at, &disposition));
	sum->pages_resident += (disposition & PAGER_PAGE_PRESENT) != 0;
	sum->pages_dirty += (disposition & PAGER_PAGE_DIRTY) != 0;
	sum->pages_compressed += (disposition & PAGER_PAGE_COMPRESSED) != 0;
	sum->pages_swapped += (disposition & PAGER_PAGE_SWAPPED) != 0;
	sum->pages_wired += (disposition & PAGER_PAGE_WIRED) != 0;
}

static bool
same_counts(const struct pager_region_info *a, const struct pager_region_info *b)
{
	return a->pages_resident == b->pages_resident && a->pages_dirty == b->pages_dirty &&
	       a->pages_compressed == b->pages_compressed && a->pages_swapped == b->pages_swapped &&
	       a->pages_wired == b->pages_wired;
}

/* The sum of a region's pages. What is compressed may still be on its way to swap: so it is looked
 * until the region's own counts were the same before and behind it. */
static struct pager_region_info
pages_sum(struct live *d, struct pager *p, struct pager_region_query *q)
{
	struct pager_region_info sum = { 0 }, before;

	do {
		before = q->info;
		sum = (struct pager_region_info){ 0 };
		for (uint64_t i = 0; i < before.size_bytes; i += d->page_bytes)
			count_page(p, (const unsigned char *)before.addr + i, &sum);
		*q = query(p, before.addr, PAGER_REGION_EXTENDED);
	} while (!same_counts(&before, &q->info));
	return sum;
}

/* Of all regions, each with all of its pages, while the daemon is at rest. */
static void
regions_match_pages(struct live *d, struct pager *p, struct pager_region_info *total)
{
	const unsigned char *at = NULL;
	struct pager_region_query q = { .size = sizeof(q) };

	*total = (struct pager_region_info){ 0 };
	live_rest(d);
	while (pager_region_query(p, at, PAGER_REGION_EXTENDED, &q) == 0) {
		struct pager_region_info sum = pages_sum(d, p, &q);
		const struct pager_region_info *info = &q.info;

		at = info->addr;
		EQ(info->pages_resident, sum.pages_resident);
		EQ(info->pages_dirty, sum.pages_dirty);
		EQ(info->pages_compressed, sum.pages_compressed);
		EQ(info->pages_swapped, sum.pages_swapped);
		EQ(info->pages_wired, sum.pages_wired);
		EQ(q.proportional_resident, sum.pages_resident * d->page_bytes);
		EQ(q.proportional_stored,
		    (sum.pages_compressed + sum.pages_swapped) * d->page_bytes);
		total->pages_resident += sum.pages_resident;
		total->pages_dirty += sum.pages_dirty;
		total->pages_compressed += sum.pages_compressed;
		total->pages_swapped += sum.pages_swapped;
		total->pages_wired += sum.pages_wired;
		at += info->size_bytes;
		q = query(p, info->addr, PAGER_REGION_BASIC);
		EQ(q.info.pages_resident | q.info.pages_compressed | q.info.pages_swapped, 0);
	}
}

/* While pages come and go each is counted once: in the place where it is found. */
static void
counts_under_pressure(
    struct live *d, struct pager *p, struct book *b, struct pressure *pressure, uint64_t *rng)
{
	int64_t until = live_stat(d, "pageouts") + b->count;

	stage_wait(d, &pressure->stage, 1);
	stage_allow(&pressure->stage, 1);
	do {
		struct pager_region_query q = query(p, b->base, PAGER_REGION_EXTENDED);

		EQ(q.info.size_bytes, b->count * b->page_bytes);
		EQ(q.info.pages_resident + q.info.pages_compressed + q.info.pages_swapped,
		    b->count);
		REQUIRE(q.info.pages_dirty <= q.info.pages_resident);
		EQ(q.proportional_resident + q.proportional_stored, b->count * b->page_bytes);
		for (unsigned i = 0; i < 64; i++)
			book_verify(b, (uint32_t)rng_below(rng, b->count));
	} while (live_stat(d, "pageouts") < until);
	atomic_store(&pressure->over, true);
}

static void
counts_client(struct live *d, void *argument)
{
	struct pressure *pressure = argument;
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(2 * d->memory_bytes / d->page_bytes);
	uint64_t rng = live_seed;
	struct pager_region_info total;
	struct book book;

	book_open(&book, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	book_write_all(&book, &mixture_usual, &rng);
	counts_under_pressure(d, p, &book, pressure, &rng);
	/* Several regions: some dirty, some wired, some absent. */
	OK(pager_tag(p, book.base + 7 * d->page_bytes, 90 * d->page_bytes, 3));
	OK(pager_wire(p, book.base + 120 * d->page_bytes, 40 * d->page_bytes));
	for (uint32_t i = 90; i < 200; i++)
		book_poke(&book, i, i + 1);
	OK(pager_behavior(p, book.base, 50 * d->page_bytes, PAGER_BEHAVIOR_PAGEOUT));
	book_discard(p, &book, 200, 30);
	regions_match_pages(d, p, &total);
	EQ(total.pages_resident + total.pages_compressed + total.pages_swapped, count - 30);
	EQ(total.pages_wired, 40);
	REQUIRE(total.pages_dirty > 0 && total.pages_compressed + total.pages_swapped > count / 4);
	book_verify_all(&book);
	regions_match_pages(d, p, &total);
	book_close(&book);
	OK(pager_disconnect(p));
}

static void
counts(void)
{
	struct live d = { 0 };
	struct pressure *pressure;
	pid_t pids[2];

	daemon_start(&d);
	pressure = shared_alloc(sizeof(*pressure));
	pids[0] = client_start(&d, presser, pressure);
	pids[1] = client_start(&d, counts_client, pressure);
	for (unsigned i = 0; i < 2; i++)
		client_join(&d, pids[i], false);
	live_stop(&d);
}

/* --- ledger: what pagerctl map adds up is what the ledgers say --- */

struct row {
	unsigned long long size, resident, dirty, compressed, swapped, wired, regions;
};

/* The row of the summary with that name. => false: there is none */
static bool
summary_row(const char *text, const char *name, struct row *r)
{
	const char *summary = strstr(text, "\n\n"), *at;
	char line[64];

	REQUIRE(summary != NULL, "%s", text);
	snprintf(line, sizeof(line), "\n%s ", name);
	at = strstr(summary + 1, line);
	return at && sscanf(at + strlen(line), "%llu %llu %llu %llu %llu %llu %llu regions",
			 &r->size, &r->resident, &r->dirty, &r->compressed, &r->swapped, &r->wired,
			 &r->regions) == 7;
}

static void
map_is_ledger(struct live *d, struct pager *p, unsigned tags)
{
	const char *const names[] = { "untagged", "malloc large", "tag 92", "shared" };
	struct row total, elsewhere, sum = { 0 }, r;
	struct pager_statistics s;
	char text[16384], pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	live_rest(d);
	EQ(live_pagerctl(d, text, sizeof(text), "map", pid, "--units", "bytes", NULL), 0);
	OK(pager_statistics(p, &s));
	REQUIRE(summary_row(text, "total", &total), "%s", text);
	REQUIRE(summary_row(text, "of that billed to other clients", &elsewhere), "%s", text);
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!summary_row(text, names[i], &r))
			continue;
		sum.size += r.size;
		sum.resident += r.resident;
		sum.dirty += r.dirty;
		sum.compressed += r.compressed;
		sum.swapped += r.swapped;
		sum.wired += r.wired;
		sum.regions += r.regions;
		tags--;
	}
	EQ(tags, 0);
	REQUIRE(memcmp(&sum, &total, sizeof(sum)) == 0, "%s", text);
	EQ(total.size, s.virtual_size);
	EQ(total.resident - elsewhere.resident, s.internal);
	EQ(total.compressed + total.swapped - elsewhere.compressed - elsewhere.swapped,
	    s.internal_compressed);
	EQ(total.wired - elsewhere.wired, s.wired_mem);
	REQUIRE(elsewhere.resident + elsewhere.compressed + elsewhere.swapped > 0, "%s", text);
	REQUIRE(total.dirty <= total.resident && total.swapped + total.compressed > 0);
}

static void
ledger_partner(struct live *d, void *argument)
{
	struct common *c = argument;
	struct pager *p = client_connect(d);
	uint64_t rng = live_seed ^ 7;
	struct book book = book_of(d, c, share_make(d, c, p));
	int fd = share_name(d, c, p, book.base, PROT_READ | PROT_WRITE);

	book_write_all(&book, &mixture_usual, &rng);
	name_send(c->sockets[1][0], fd);
	close(fd);
	stage_meet(d, &c->stage[1], 1);
	book_verify_all(&book);
	OK(pager_disconnect(p));
}

static void
ledger_client(struct live *d, void *argument)
{
	struct common *c = argument;
	struct pager *p = client_connect(d);
	int fd = name_receive(c->sockets[1][1]);
	struct book shared = book_of(d, c, share_map(d, c, p, fd, PROT_READ | PROT_WRITE)), own;
	uint32_t count = (uint32_t)(2 * d->memory_bytes / d->page_bytes);
	uint64_t rng = live_seed;
	void *mine;

	close(fd);
	book_open(&own, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	OK(pager_tag(p, own.base + 16 * d->page_bytes, 64 * d->page_bytes, 3));
	OK(pager_tag(p, own.base + 99 * d->page_bytes, d->page_bytes, 92));
	OK(pager_allocate(p, 64 * d->page_bytes, PAGER_ALLOC_SHAREABLE, &mine));
	OK(pager_tag(p, mine, 64 * d->page_bytes, 55));
	memset(mine, 7, 40 * d->page_bytes);
	book_write_all(&own, &mixture_usual, &rng);
	book_verify_all(&shared);
	OK(pager_wire(p, own.base + 30 * d->page_bytes, 8 * d->page_bytes));
	map_is_ledger(d, p, 4);
	book_verify_all(&own);
	OK(pager_behavior(p, mine, 64 * d->page_bytes, PAGER_BEHAVIOR_PAGEOUT));
	OK(pager_unwire(p, own.base + 30 * d->page_bytes, 8 * d->page_bytes));
	map_is_ledger(d, p, 4);
	live_check(d);
	stage_allow(&c->stage[1], 1);
	book_close(&own);
	OK(pager_disconnect(p));
}

static void
ledger(void)
{
	struct live d = { 0 };
	struct common *c;
	pid_t pids[2];

	daemon_start(&d);
	c = common_make_pages(&d, (uint32_t)(d.memory_bytes / d.page_bytes / 2));
	pids[0] = client_start(&d, ledger_partner, c);
	pids[1] = client_start(&d, ledger_client, c);
	for (unsigned i = 0; i < 2; i++)
		client_join(&d, pids[i], false);
	live_stop(&d);
}

/* --- proportional: what each maps of shared memory adds up to what there is --- */

struct measure {
	struct pager_statistics statistics;
	struct pager_region_query upper; /* of the second half */
};

struct proportional {
	struct common *common;
	struct measure *measures; /* of each sharer */
	unsigned number;
};

/* At stage 1 it has mapped and looked, and from then on it changes nothing; at 2 it has asked. */
static void
proportional_measure(struct live *d, struct proportional *a, struct pager *p, void *upper)
{
	struct stage *stage = &a->common->stage[a->number];

	stage_meet(d, stage, 1);
	OK(pager_statistics(p, &a->measures[a->number].statistics));
	a->measures[a->number].upper = query(p, upper, PAGER_REGION_EXTENDED);
	stage_meet(d, stage, 2);
	OK(pager_disconnect(p));
}

static void
proportional_maker(struct live *d, void *argument)
{
	struct proportional *a = argument;
	struct common *c = a->common;
	struct pager *p = client_connect(d);
	uint64_t rng = live_seed;
	struct book book = book_of(d, c, share_make(d, c, p));
	int fd = share_name(d, c, p, book.base, PROT_READ | PROT_WRITE);

	for (unsigned i = 1; i <= 2; i++)
		name_send(c->sockets[i][0], fd);
	close(fd);
	book_write_all(&book, &mixture_usual, &rng);
	/* Its own memory is in none of the figures. */
	memset(client_allocate(p, 16 * d->page_bytes), 1, 16 * d->page_bytes);
	proportional_measure(d, a, p, book.base + c->count / 2 * d->page_bytes);
}

/* Number 1 maps all, number 2 the second half, twice. */
static void
proportional_sharer(struct live *d, void *argument)
{
	struct proportional *a = argument;
	struct common *c = a->common;
	int fd = name_receive(c->sockets[a->number][1]);
	struct pager *p = client_connect(d);
	size_t half = c->count / 2 * d->page_bytes, bytes = a->number == 1 ? 2 * half : half;
	uint64_t from = a->number == 1 ? 0 : half;
	unsigned char *at = NULL;
	void *base;

	for (unsigned i = 0; i < a->number; i++) {
		OK(pager_map_entry(p, fd, from, bytes, PROT_READ, 0, &base));
		at = base;
		for (size_t k = 0; k < bytes; k += d->page_bytes)
			(void)*(volatile unsigned char *)(at + k);
	}
	close(fd);
	proportional_measure(d, a, p, a->number == 1 ? at + half : at);
}

static void
proportional(void)
{
	struct live d = { 0 };
	struct measure *m = shared_alloc(3 * sizeof(*m));
	struct proportional *sharers[3];
	uint64_t resident_sum = 0, stored_sum = 0, internal, compressed;
	struct common *c;
	pid_t pids[3];

	daemon_start(&d);
	c = common_make(&d);
	for (unsigned i = 0; i < 3; i++) {
		sharers[i] = shared_alloc(sizeof(*sharers[i]));
		*sharers[i] = (struct proportional){ c, m, i };
		pids[i] =
		    client_start(&d, i == 0 ? proportional_maker : proportional_sharer, sharers[i]);
	}
	for (unsigned i = 0; i < 3; i++)
		stage_wait(&d, &c->stage[i], 1);
	live_rest(&d);
	for (unsigned i = 0; i < 3; i++) {
		stage_allow(&c->stage[i], 1);
		stage_wait(&d, &c->stage[i], 2);
	}
	/* The maker is billed for its own 16 pages, too, wherever they are. */
	internal = m[0].statistics.internal + m[0].statistics.internal_compressed;
	EQ(internal, (c->count + 16) * d.page_bytes);
	EQ(m[1].statistics.phys_footprint, 0);
	EQ(m[2].statistics.phys_footprint, 0);
	for (unsigned i = 0; i < 3; i++) {
		const struct pager_statistics *s = &m[i].statistics;

		resident_sum += s->shared_proportional_resident;
		stored_sum += s->shared_proportional_stored;
		EQ(s->shared_resident + s->shared_stored, c->count * d.page_bytes);
		EQ(m[i].upper.ref_count, 4);
		EQ(m[i].upper.billed, i == 0);
		EQ(m[i].upper.proportional_resident,
		    m[i].upper.info.pages_resident * d.page_bytes / 4);
		EQ(m[i].upper.share_mode, i == 2 ? PAGER_SHARE_SHARED_ALIASED : PAGER_SHARE_SHARED);
	}
	/* The lower half has two places and the upper one four. */
	internal = m[0].statistics.shared_resident;
	compressed = m[0].statistics.shared_stored;
	EQ(internal, m[1].statistics.shared_resident);
	EQ(resident_sum, internal);
	EQ(stored_sum, compressed);
	REQUIRE(internal > 0 && compressed > 0);
	live_check(&d);
	for (unsigned i = 0; i < 3; i++) {
		stage_allow(&c->stage[i], 2);
		client_join(&d, pids[i], false);
	}
	WAIT_UNTIL(&d, resident(&d) == 0);
	live_stop(&d);
}

/* --- file: a file's pager is external, and its mappings are shared memory as any --- */

static void
file_client(struct live *d, void *argument)
{
	struct pager *p[2] = { client_connect(d), client_connect(d) };
	const size_t bytes = 64 * d->page_bytes;
	struct pager_statistics s[2];
	struct pager_region_query q;
	char path[192];
	void *base[2];
	int fd;

	(void)argument;
	snprintf(path, sizeof(path), "%s/file", d->directory);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0, "%s", strerror(errno));
	for (unsigned i = 0; i < 2; i++) {
		OK(pager_map_file(
		    p[i], fd, 0, bytes, PROT_READ | PROT_WRITE, PAGER_MAP_SHARED, &base[i]));
		q = query(p[i], base[i], PAGER_REGION_BASIC);
		EQ(q.external_pager, 1);
		EQ(q.ref_count, i + 1);
		EQ(q.share_mode, i == 0 ? PAGER_SHARE_PRIVATE : PAGER_SHARE_SHARED);
		memset(base[i], (int)i + 1, bytes);
	}
	live_rest(d);
	for (unsigned i = 0; i < 2; i++)
		OK(pager_statistics(p[i], &s[i]));
	EQ(s[0].shared_resident, bytes);
	EQ(s[1].shared_resident, bytes);
	EQ(s[0].shared_proportional_resident, bytes / 2);
	EQ(s[1].shared_proportional_resident, bytes / 2);
	EQ(query(p[0], client_allocate(p[0], 1), PAGER_REGION_BASIC).external_pager, 0);
	OK(pager_disconnect(p[0]));
	WAIT_UNTIL(d, query(p[1], base[1], PAGER_REGION_BASIC).share_mode == PAGER_SHARE_PRIVATE);
	close(fd);
	OK(pager_disconnect(p[1]));
	REQUIRE(unlink(path) == 0);
}

static void
file(void)
{
	struct live d = { 0 };

	daemon_start(&d);
	client_join(&d, client_start(&d, file_client, NULL), false);
	live_stop(&d);
}

static const struct live_test tests[] = { { "counts", counts }, { "ledger", ledger },
	{ "proportional", proportional }, { "file", file } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
