/* SPDX-License-Identifier: MIT
 *
 * Who pays for memory that outlives those who paid for it.
 *
 * usage: e_heirs heirs|wired [page=SIZE] [memory=SIZE]
 */
#include "share.h"

enum { HEIRS = 4 }; /* the maker, and three who come to pay after it */

struct heirs {
	struct common *common;
	_Atomic int64_t internal[HEIRS], footprint[HEIRS]; /* bytes; of those that have ended: 0 */
};

struct heir {
	struct heirs *heirs;
	unsigned number;
};

/* What each sees of the object, in quarters: none of them sees all that another pays for. */
static const struct {
	unsigned first, count;
} quarters[HEIRS] = { { 0, 4 }, { 1, 3 }, { 0, 2 }, { 1, 2 } };

/* In each round it is at one stage, where the test waits until all is settled, and notes what it
 * pays before the next one. Heir i ends in round i + 1. */
static void
heir_stages(
    struct live *d, struct heirs *h, unsigned number, struct pager *p, const struct book *book)
{
	struct common *c = h->common;
	uint32_t quarter = c->count / 4, first = quarters[number].first * quarter;
	struct pager_statistics statistics;

	for (unsigned round = 1; round <= number + 1; round++) {
		stage_meet(d, &c->stage[number], 2 * round - 1);
		OK(pager_statistics(p, &statistics));
		atomic_store(&h->internal[number], (int64_t)statistics.internal);
		atomic_store(&h->footprint[number], (int64_t)statistics.phys_footprint);
		stage_meet(d, &c->stage[number], 2 * round);
		/* Whoever has paid before, it is all there. */
		for (uint32_t i = 0; i < quarters[number].count * quarter; i++)
			book_verify(book, first + i);
	}
}

static void
heir(struct live *d, void *argument)
{
	struct heir *self = argument;
	struct common *c = self->heirs->common;
	unsigned number = self->number;
	int fd = name_receive(c->sockets[number][1]);
	struct pager *p = client_connect(d);
	size_t quarter = c->count / 4 * d->page_bytes, first = quarters[number].first * quarter,
	       bytes = quarters[number].count * quarter;
	struct book book = book_of(d, c, NULL);
	void *base;

	OK(pager_map_entry(p, fd, first, bytes, PROT_READ | PROT_WRITE, 0, &base));
	close(fd);
	book.base = (unsigned char *)base - first;
	heir_stages(d, self->heirs, number, p, &book);
	if (number == 2)
		OK(pager_deallocate(p, base, bytes));
	OK(pager_disconnect(p));
}

static void
maker(struct live *d, void *argument)
{
	struct heirs *h = argument;
	struct common *c = h->common;
	struct pager *p = client_connect(d);
	uint64_t rng = live_seed;
	struct book book = book_of(d, c, share_make(d, c, p));
	int fd = share_name(d, c, p, book.base, PROT_READ | PROT_WRITE);

	for (unsigned i = 1; i < HEIRS; i++)
		name_send(c->sockets[i][0], fd);
	close(fd);
	book_write_all(&book, &mixture_usual, &rng);
	heir_stages(d, h, 0, p, &book);
	OK(pager_disconnect(p));
}

/* Those from `first` on are at a stage, go on from it, and get to the next one. */
static void
stages_pass(struct live *d, struct common *c, unsigned first, unsigned stage)
{
	for (unsigned i = first; i < HEIRS; i++)
		stage_allow(&c->stage[i], stage);
	for (unsigned i = first; i < HEIRS; i++)
		stage_wait(d, &c->stage[i], stage + 1);
}

/* Exactly one of those who are left pays, for all that is there. */
static void
one_pays(struct live *d, struct heirs *h, unsigned first)
{
	const char *const names[] = { "internal", "internal_compressed" };
	int64_t pages[2], internal = 0, footprint = 0;
	unsigned payers = 0;

	live_rest(d);
	live_stats(d, names, 2, pages);
	for (unsigned i = first; i < HEIRS; i++) {
		internal += atomic_load(&h->internal[i]);
		footprint += atomic_load(&h->footprint[i]);
		payers += atomic_load(&h->internal[i]) > 0;
	}
	EQ(payers, 1);
	EQ(internal, pages[0] * (int64_t)d->page_bytes);
	REQUIRE(footprint >= (pages[0] + pages[1]) * (int64_t)d->page_bytes);
	live_check(d);
}

static void
heirs(void)
{
	/* Pages that somebody still sees when the heirs before that one have ended, in quarters. */
	static const unsigned seen[HEIRS] = { 4, 4, 3, 2 };
	struct heirs *h = shared_alloc(sizeof(*h));
	struct live d = { 0 };
	struct common *c;
	pid_t pids[HEIRS];

	daemon_start(&d);
	h->common = c = common_make_pages(&d, (uint32_t)(d.memory_bytes / d.page_bytes / 2));
	pids[0] = client_start(&d, maker, h);
	for (unsigned i = 1; i < HEIRS; i++) {
		struct heir *self = shared_alloc(sizeof(*self));

		*self = (struct heir){ h, i };
		pids[i] = client_start(&d, heir, self);
	}
	for (unsigned first = 0; first < HEIRS; first++) {
		unsigned stage = 2 * first + 1;

		stages_pass(&d, c, first, stage - 1);
		WAIT_UNTIL(&d, resident(&d) == (int64_t)(seen[first] * (c->count / 4)));
		stages_pass(&d, c, first, stage);
		one_pays(&d, h, first);
		if (first == 1) {
			client_kill(pids[first]);
		} else {
			stage_allow(&c->stage[first], stage + 1);
			client_join(&d, pids[first], false);
		}
		WAIT_UNTIL(&d, live_stat(&d, "sessions") == HEIRS - 1 - first);
	}
	WAIT_UNTIL(&d, resident(&d) == 0);
	live_stop(&d);
}

/* --- wired: more than the owner may have is wired by another, and the owner goes on --- */

enum { OWNER_LIMIT = 64 }; /* pages */

struct wired {
	struct common *common;
	_Atomic uint64_t touches; /* of the owner */
	atomic_bool stop;
};

static void
wired_owner(struct live *d, void *argument)
{
	struct wired *w = argument;
	struct common *c = w->common;
	struct pager *p = client_connect(d);
	int fd = share_name(d, c, p, share_make(d, c, p), PROT_READ | PROT_WRITE);
	uint64_t rng = live_seed;
	struct book own;

	name_send(c->sockets[1][0], fd);
	close(fd);
	book_open(&own, client_allocate(p, 4 * OWNER_LIMIT * d->page_bytes), d->page_bytes,
	    4 * OWNER_LIMIT, 3);
	stage_meet(d, &c->stage[0], 1);
	while (!atomic_load(&w->stop)) {
		uint32_t page = (uint32_t)rng_below(&rng, own.count);

		book_verify(&own, page);
		book_write(&own, page, mixture_draw(&mixture_usual, &rng));
		atomic_fetch_add(&w->touches, 1);
	}
	book_verify_all(&own);
	OK(pager_disconnect(p));
}

static void
wired_partner(struct live *d, void *argument)
{
	struct wired *w = argument;
	struct common *c = w->common;
	int fd = name_receive(c->sockets[1][1]);
	struct pager *p = client_connect(d);
	void *base = share_map(d, c, p, fd, PROT_READ | PROT_WRITE);

	close(fd);
	stage_meet(d, &c->stage[1], 1);
	OK(pager_wire(p, base, c->count * d->page_bytes));
	stage_meet(d, &c->stage[1], 2);
	OK(pager_unwire(p, base, c->count * d->page_bytes));
	stage_meet(d, &c->stage[1], 3);
	OK(pager_disconnect(p));
}

static void
wired_go_on(struct live *d, struct wired *w)
{
	uint64_t until = atomic_load(&w->touches) + 8 * OWNER_LIMIT;

	WAIT_UNTIL(d, atomic_load(&w->touches) >= until);
}

static void
wired(void)
{
	struct wired *w = shared_alloc(sizeof(*w));
	struct live d = { 0 };
	struct common *c;
	pid_t pids[2];

	daemon_start(&d);
	w->common = c = common_make_pages(&d, 4 * OWNER_LIMIT);
	pids[0] = client_start(&d, wired_owner, w);
	pids[1] = client_start(&d, wired_partner, w);
	for (unsigned i = 0; i < 2; i++)
		stage_wait(&d, &c->stage[i], 1);
	live_limit(&d, pids[0], OWNER_LIMIT * d.page_bytes);
	stage_allow(&c->stage[0], 1);
	wired_go_on(&d, w);
	stage_allow(&c->stage[1], 1);
	stage_wait(&d, &c->stage[1], 2);
	WAIT_UNTIL(&d, live_stat(&d, "wired") == c->count);
	wired_go_on(&d, w);
	/* Its own pages are within its limit all the same. */
	REQUIRE(live_stat(&d, "internal") <= c->count + 2 * OWNER_LIMIT);
	stage_allow(&c->stage[1], 2);
	stage_wait(&d, &c->stage[1], 3);
	/* What is wired no more counts again, and leaves. */
	wired_go_on(&d, w);
	WAIT_UNTIL(&d, live_stat(&d, "internal") <= 2 * OWNER_LIMIT);
	live_check(&d);
	atomic_store(&w->stop, true);
	stage_allow(&c->stage[1], 3);
	for (unsigned i = 0; i < 2; i++)
		client_join(&d, pids[i], false);
	WAIT_UNTIL(&d, resident(&d) == 0);
	live_stop(&d);
}

static const struct live_test tests[] = { { "heirs", heirs }, { "wired", wired } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
