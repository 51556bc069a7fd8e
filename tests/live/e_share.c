/* SPDX-License-Identifier: MIT
 *
 * The content oracle with several processes on one object: each reads and writes any page of it
 * under a lock of the page, advises, wires, leaves and comes back.
 *
 * usage: e_share sharers|killed [page=SIZE] [memory=SIZE] [ratio=N] [clients=N] [ops=N]
 */
#include "page.h"
#include "share.h"

/* Pages have left, and have come back. */
static void
memory_was_short(struct live *d)
{
	live_rest(d);
	REQUIRE(live_stat(d, "pageouts") > 0);
	REQUIRE(live_stat(d, "decompressions") + live_stat(d, "swapins") > 0);
}

/* --- sharers: the oracle, several processes on one object --- */

static void
page_turn(struct live *d, struct common *c, struct book *book, uint64_t *rng)
{
	uint32_t page = (uint32_t)rng_below(rng, c->count);
	bool known = page_lock(d, c, page);

	if (known)
		book_verify(book, page);
	if (!known || rng_below(rng, 2) == 0)
		book_write(book, page, mixture_draw(&mixture_usual, rng));
	page_unlock(c, page);
}

/* What changes no content of what others see, too. */
static void
advice_turn(struct live *d, struct common *c, struct pager *p, struct book *book, uint64_t *rng)
{
	uint32_t from = (uint32_t)rng_below(rng, c->count),
		 count = 1 + (uint32_t)rng_below(rng, 16);
	unsigned char *at = book->base + from * d->page_bytes;
	size_t bytes;
	int r;

	if (count > c->count - from)
		count = c->count - from;
	bytes = count * d->page_bytes;
	switch (rng_below(rng, 6)) {
	case 0:
		OK(pager_behavior(p, at, bytes, PAGER_BEHAVIOR_PAGEOUT));
		break;
	case 1:
		OK(pager_behavior(p, at, bytes, PAGER_BEHAVIOR_WILLNEED));
		break;
	case 2:
		OK(pager_behavior(p, at, bytes, PAGER_BEHAVIOR_DONTNEED));
		break;
	case 3: /* Others keep it. */
		OK(pager_behavior(p, at, bytes, PAGER_BEHAVIOR_FREE));
		break;
	default:
		r = pager_wire(p, at, bytes);
		REQUIRE(r == 0 || r == -EAGAIN, "%d", r);
		if (r == 0)
			OK(pager_unwire(p, at, bytes));
		break;
	}
}

struct sharer {
	struct common *common;
	unsigned number;
};

static void
sharer_run(struct live *d, struct common *c, unsigned number, struct pager *p, int fd, void *base)
{
	struct book book = book_of(d, c, base);
	uint64_t rng = live_seed ^ mix64(number + 1);

	for (uint64_t i = 0; i < live_scaled(c->ops); i++) {
		if (rng_below(&rng, 40) == 0)
			advice_turn(d, c, p, &book, &rng);
		/* Leaves and comes back, at another address. */
		if (fd >= 0 && rng_below(&rng, 500) == 0) {
			size_t half = c->count / 2 * d->page_bytes;

			OK(pager_deallocate(p, book.base + half, c->count * d->page_bytes - half));
			OK(pager_deallocate(p, book.base, half));
			book.base = share_map(d, c, p, fd, PROT_READ | PROT_WRITE);
		}
		page_turn(d, c, &book, &rng);
	}
}

static void
sharer(struct live *d, void *argument)
{
	struct sharer *s = argument;
	struct common *c = s->common;
	int fd = name_receive(c->sockets[s->number][1]);
	struct pager *p = client_connect(d);
	void *base = share_map(d, c, p, fd, PROT_READ | PROT_WRITE);

	sharer_run(d, c, s->number, p, fd, base);
	stage_meet(d, &c->stage[s->number], 1);
	OK(pager_disconnect(p));
}

static void
sharers_maker(struct live *d, void *argument)
{
	struct common *c = argument;
	struct pager *p = client_connect(d);
	struct book book = book_of(d, c, share_make(d, c, p));
	int fd = share_name(d, c, p, book.base, PROT_READ | PROT_WRITE);

	for (unsigned i = 1; i < c->sharers; i++)
		name_send(c->sockets[i][0], fd);
	sharer_run(d, c, 0, p, -1, book.base);
	stage_meet(d, &c->stage[0], 1);
	for (uint32_t page = 0; page < c->count; page++)
		if (page_lock(d, c, page))
			book_verify(&book, page);
	OK(pager_disconnect(p));
}

static void
sharers_start(struct live *d, struct common *c, pid_t *pids)
{
	pids[0] = client_start(d, sharers_maker, c);
	for (unsigned i = 1; i < c->sharers; i++) {
		struct sharer *s = shared_alloc(sizeof(*s));

		*s = (struct sharer){ c, i };
		pids[i] = client_start(d, sharer, s);
	}
}

static void
sharers(void)
{
	pid_t pids[SHARERS_MAX];
	struct live d = { 0 };
	struct common *c;

	daemon_start(&d);
	c = common_make(&d);
	sharers_start(&d, c, pids);
	for (unsigned i = 0; i < c->sharers; i++)
		stage_wait(&d, &c->stage[i], 1);
	live_check(&d);
	for (unsigned i = c->sharers; i-- > 0;) {
		stage_allow(&c->stage[i], 1);
		client_join(&d, pids[i], true);
	}
	WAIT_UNTIL(&d, resident(&d) == 0);
	memory_was_short(&d);
	live_stop(&d);
}

/* --- killed: sharers die in the midst of it --- */

static void
killed(void)
{
	pid_t pids[SHARERS_MAX];
	struct live d = { 0 };
	uint64_t rng = live_seed;
	struct common *c;

	daemon_start(&d);
	c = common_make(&d);
	sharers_start(&d, c, pids);
	for (unsigned i = c->sharers - 1; i > 0; i--) {
		int64_t until = live_stat(&d, "faults") + 200 + (int64_t)rng_below(&rng, 2000);

		WAIT_UNTIL(
		    &d, live_stat(&d, "faults") >= until || atomic_load(&c->stage[i].reached) >= 1);
		client_kill(pids[i]);
		if (i % 2 == 0)
			live_check(&d);
	}
	stage_wait(&d, &c->stage[0], 1);
	stage_allow(&c->stage[0], 1);
	client_join(&d, pids[0], true);
	WAIT_UNTIL(&d, resident(&d) == 0);
	memory_was_short(&d);
	live_stop(&d);
}

static const struct live_test tests[] = { { "sharers", sharers }, { "killed", killed } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
