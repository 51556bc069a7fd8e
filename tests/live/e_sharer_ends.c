/* SPDX-License-Identifier: MIT
 *
 * Sharers that end, wait for one page, pay for memory and are limited. Traps have their numbers
 * from the design notes on shared objects.
 *
 * usage: e_sharer_ends trap-8-ended|trap-9-waiting|billed|limited [page=SIZE] [memory=SIZE]
 */
#include <pthread.h>

#include "share.h"

/* --- ended (trap 8): whichever way a sharer ends, the others keep their memory --- */

enum way {
	WAY_DEALLOCATES,
	WAY_DISCONNECTS,
	WAY_EXITS,
	WAY_HANGS_UP,
	WAY_KILLED,
	WAY_STOPPED,
	WAYS
};

struct ended {
	struct common *common;
	enum way way;
};

static void
ended_sharer(struct live *d, void *argument)
{
	struct ended *e = argument;
	struct common *c = e->common;
	struct stage *stage = &c->stage[2];
	struct pager *p;
	struct book book;
	struct peer peer;
	int fd;

	if (e->way == WAY_HANGS_UP) {
		peer_join(d, c, 2, PROT_READ | PROT_WRITE, &peer);
		raw_map(&peer.raw, peer.base, peer.bytes, peer.memfd, peer.offset);
		book = book_of(d, c, peer.base);
		book_verify_all(&book);
		raw_close(&peer.raw);
		stage_meet(d, stage, 1);
		return;
	}
	p = client_connect(d);
	fd = name_receive(c->sockets[2][1]);
	book = book_of(d, c, share_map(d, c, p, fd, PROT_READ | PROT_WRITE));
	close(fd);
	for (uint32_t i = 0; i < c->count; i++)
		if (i % 3 == 0)
			book_write(&book, i, KIND_TEXT);
		else
			book_verify(&book, i);
	if (e->way == WAY_DEALLOCATES)
		OK(pager_deallocate(p, book.base, c->count * d->page_bytes));
	if (e->way == WAY_DISCONNECTS)
		OK(pager_disconnect(p));
	stage_meet(d, stage, 1);
}

static void
ended_maker(struct live *d, void *argument)
{
	struct common *c = argument;
	struct pager *p = client_connect(d);
	uint64_t rng = live_seed;
	struct book book = book_of(d, c, share_make(d, c, p));
	int fd = share_name(d, c, p, book.base, PROT_READ | PROT_WRITE);

	book_write_all(&book, &mixture_usual, &rng);
	name_send(c->sockets[1][0], fd);
	for (unsigned i = 0; i < WAYS; i++)
		name_send(c->sockets[2][0], fd);
	close(fd);
	for (unsigned i = 1; i <= WAYS; i++) {
		stage_meet(d, &c->stage[0], i);
		book_verify_all(&book);
	}
	stage_meet(d, &c->stage[0], WAYS + 1);
	OK(pager_disconnect(p));
}

static void
ended_partner(struct live *d, void *argument)
{
	struct common *c = argument;
	int fd = name_receive(c->sockets[1][1]);
	struct pager *p = client_connect(d);
	struct book book = book_of(d, c, share_map(d, c, p, fd, PROT_READ));

	close(fd);
	for (unsigned i = 1; i <= WAYS; i++) {
		stage_meet(d, &c->stage[1], i);
		book_verify_all(&book);
	}
	stage_meet(d, &c->stage[1], WAYS + 1);
	/* Here the maker has ended. */
	book_verify_all(&book);
	/* Who may only read throws nothing away, though nobody else keeps it. */
	OK(pager_behavior(p, book.base, c->count * d->page_bytes, PAGER_BEHAVIOR_FREE));
	book_verify_all(&book);
	OK(pager_disconnect(p));
}

static void
ended(void)
{
	struct live d = { 0 };
	struct common *c;
	pid_t pids[2];

	daemon_start(&d);
	c = common_make_pages(&d, (uint32_t)(2 * d.memory_bytes / d.page_bytes));
	sharers_begin(&d, c, (client_body *[]){ ended_maker, ended_partner }, 2, 0, pids);
	for (unsigned i = 0; i < WAYS; i++) {
		struct ended *e = shared_alloc(sizeof(*e));
		pid_t pid;

		for (unsigned k = 0; k < 2; k++)
			stage_wait(&d, &c->stage[k], i + 1);
		stage_reset(&c->stage[2]);
		*e = (struct ended){ c, (enum way)i };
		pid = client_start(&d, ended_sharer, e);
		stage_wait(&d, &c->stage[2], 1);
		if (i == WAY_STOPPED)
			REQUIRE(kill(pid, SIGSTOP) == 0);
		if (i == WAY_KILLED || i == WAY_STOPPED) {
			client_kill(pid);
		} else {
			stage_allow(&c->stage[2], 1);
			client_join(&d, pid, false);
		}
		WAIT_UNTIL(&d, live_stat(&d, "sessions") == 2);
		live_check(&d);
		for (unsigned k = 0; k < 2; k++)
			stage_allow(&c->stage[k], i + 1);
	}
	for (unsigned k = 0; k < 2; k++) {
		stage_wait(&d, &c->stage[k], WAYS + 1);
		stage_allow(&c->stage[k], WAYS + 1);
		client_join(&d, pids[k], false);
		if (k == 0)
			live_check(&d);
	}
	WAIT_UNTIL(&d, resident(&d) == 0);
	live_stop(&d);
}

/* --- waiting (trap 9): all who meet a page on its way are woken, in every process --- */

enum { WAITING_THREADS = 3 };

struct waiting {
	struct live *d;
	struct common *common;
	struct book book;
};

static void *
waiting_main(void *argument)
{
	struct waiting *w = argument;

	/* All threads of all processes go through the same pages. */
	for (uint64_t round = 0; round < live_scaled(6); round++)
		for (uint32_t i = 0; i < w->common->count; i++)
			book_verify(&w->book, i);
	return NULL;
}

static void
waiting_run(struct live *d, struct common *c, unsigned number, struct book book)
{
	struct waiting w = { d, c, book };
	pthread_t ids[WAITING_THREADS];

	stage_meet(d, &c->stage[number], 1);
	for (unsigned i = 0; i < WAITING_THREADS; i++)
		REQUIRE(pthread_create(&ids[i], NULL, waiting_main, &w) == 0);
	for (unsigned i = 0; i < WAITING_THREADS; i++)
		pthread_join(ids[i], NULL);
}

static void
waiting_maker(struct live *d, void *argument)
{
	struct common *c = argument;
	struct pager *p = client_connect(d);
	uint64_t rng = live_seed;
	struct book book = book_of(d, c, share_make(d, c, p));
	int fd = share_name(d, c, p, book.base, PROT_READ | PROT_WRITE);

	book_write_all(&book, &mixture_usual, &rng);
	name_send(c->sockets[1][0], fd);
	close(fd);
	waiting_run(d, c, 0, book);
	OK(pager_disconnect(p));
}

static void
waiting_partner(struct live *d, void *argument)
{
	struct common *c = argument;
	int fd = name_receive(c->sockets[1][1]);
	struct pager *p = client_connect(d);
	struct book book = book_of(d, c, share_map(d, c, p, fd, PROT_READ));

	close(fd);
	waiting_run(d, c, 1, book);
	OK(pager_disconnect(p));
}

static void
waiting(void)
{
	struct live d = { 0 };
	struct common *c;
	pid_t pids[2];

	daemon_start(&d);
	/* Pages go to the disk, so that they are on their way for long. */
	live_param(&d, "compressor_percent", "20");
	c = common_make_pages(&d, (uint32_t)(2 * d.memory_bytes / d.page_bytes));
	sharers_begin(&d, c, (client_body *[]){ waiting_maker, waiting_partner }, 2, 0, pids);
	for (unsigned i = 0; i < 2; i++)
		stage_allow(&c->stage[i], 1);
	for (unsigned i = 0; i < 2; i++)
		client_join(&d, pids[i], false);
	REQUIRE(live_stat(&d, "busy_waits") > 0);
	WAIT_UNTIL(&d, resident(&d) == 0);
	live_stop(&d);
}

/* --- billed: who maps it pays, when the maker has ended --- */

struct bill {
	_Atomic int64_t internal[2], footprint[2]; /* bytes */
};

static struct bill *bill;

static void
bill_note(struct pager *p, unsigned number)
{
	struct pager_statistics statistics;

	OK(pager_statistics(p, &statistics));
	atomic_store(&bill->internal[number], (int64_t)statistics.internal);
	atomic_store(&bill->footprint[number], (int64_t)statistics.phys_footprint);
}

static void
billed_maker(struct live *d, void *argument)
{
	struct common *c = argument;
	struct pager *p = client_connect(d);
	uint64_t rng = live_seed;
	struct book book = book_of(d, c, share_make(d, c, p));
	int fd = share_name(d, c, p, book.base, PROT_READ | PROT_WRITE);

	name_send(c->sockets[1][0], fd);
	close(fd);
	book_write_all(&book, &mixture_usual, &rng);
	stage_meet(d, &c->stage[0], 1);
	bill_note(p, 0);
	stage_meet(d, &c->stage[0], 2);
	/* Half of it is not its memory any more, and it still pays for all. */
	OK(pager_deallocate(p, book.base, c->count / 2 * d->page_bytes));
	bill_note(p, 0);
	stage_meet(d, &c->stage[0], 3);
	OK(pager_disconnect(p));
}

static void
billed_partner(struct live *d, void *argument)
{
	struct common *c = argument;
	int fd = name_receive(c->sockets[1][1]);
	struct pager *p = client_connect(d);
	struct book book = book_of(d, c, share_map(d, c, p, fd, PROT_READ | PROT_WRITE));

	close(fd);
	for (unsigned i = 1; i <= 3; i++) {
		stage_meet(d, &c->stage[1], i);
		bill_note(p, 1);
	}
	stage_meet(d, &c->stage[1], 4);
	book_verify_all(&book);
	OK(pager_disconnect(p));
}

/* The daemon's gauges are what this client, and no other, is billed for. */
static void
bill_is(struct live *d, unsigned number)
{
	live_rest(d);
	REQUIRE(atomic_load(&bill->internal[number]) > 0);
	EQ(atomic_load(&bill->internal[number]), live_stat(d, "internal") * (int64_t)d->page_bytes);
	EQ(atomic_load(&bill->internal[!number]), 0);
	EQ(atomic_load(&bill->footprint[!number]), 0);
	REQUIRE(atomic_load(&bill->footprint[number]) >= atomic_load(&bill->internal[number]));
	live_check(d);
}

static void
billed(void)
{
	char text[4096], name[32];
	struct live d = { 0 };
	struct common *c;
	pid_t pids[2];

	daemon_start(&d);
	bill = shared_alloc(sizeof(*bill));
	c = common_make_pages(&d, (uint32_t)(d.memory_bytes / d.page_bytes / 2));
	sharers_begin(&d, c, (client_body *[]){ billed_maker, billed_partner }, 2, 0, pids);
	for (unsigned i = 1; i <= 2; i++) {
		for (unsigned k = 0; k < 2; k++) {
			stage_wait(&d, &c->stage[k], i);
			stage_allow(&c->stage[k], i);
		}
		for (unsigned k = 0; k < 2; k++)
			stage_wait(&d, &c->stage[k], i + 1);
		bill_is(&d, 0);
	}
	stage_allow(&c->stage[0], 3);
	client_join(&d, pids[0], false);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 1);
	live_rest(&d);
	atomic_store(&bill->internal[0], 0);
	atomic_store(&bill->footprint[0], 0);
	stage_allow(&c->stage[1], 3);
	stage_wait(&d, &c->stage[1], 4);
	bill_is(&d, 1);
	snprintf(name, sizeof(name), "%d", (int)pids[1]);
	EQ(live_pagerctl(&d, text, sizeof(text), "footprint", name, NULL), 0);
	snprintf(name, sizeof(name), " %lldM ", (long long)(c->count * d.page_bytes / (1u << 20)));
	REQUIRE(strstr(text, name), "%s in: %s", name, text);
	stage_allow(&c->stage[1], 4);
	client_join(&d, pids[1], false);
	WAIT_UNTIL(&d, resident(&d) == 0);
	live_stop(&d);
}

/* --- limited: a limit is for what a client pays for --- */

static void
limited_maker(struct live *d, void *argument)
{
	struct common *c = argument;
	struct pager *p = client_connect(d);
	uint64_t rng = live_seed;
	struct book book = book_of(d, c, share_make(d, c, p));
	int fd = share_name(d, c, p, book.base, PROT_READ | PROT_WRITE);

	name_send(c->sockets[1][0], fd);
	close(fd);
	book_write_all(&book, &mixture_usual, &rng);
	stage_meet(d, &c->stage[0], 1);
	/* The partner has been over its limit all the while. */
	bill_note(p, 0);
	EQ(atomic_load(&bill->internal[0]), (int64_t)(c->count * d->page_bytes));
	book_verify_all(&book);
	stage_meet(d, &c->stage[0], 2);
	/* Its own limit is far below what it shares. */
	book_verify_all(&book);
	bill_note(p, 0);
	stage_meet(d, &c->stage[0], 3);
	OK(pager_disconnect(p));
}

static void
limited_partner(struct live *d, void *argument)
{
	struct common *c = argument;
	int fd = name_receive(c->sockets[1][1]);
	struct pager *p = client_connect(d);
	struct book book = book_of(d, c, share_map(d, c, p, fd, PROT_READ | PROT_WRITE)), own;

	close(fd);
	book_open(&own, client_allocate(p, c->count * d->page_bytes), d->page_bytes, c->count, 3);
	stage_meet(d, &c->stage[1], 1);
	for (uint32_t i = 0; i < c->count; i++) {
		book_write(&own, i, KIND_TEXT);
		book_verify(&book, i);
	}
	book_verify_all(&own);
	stage_meet(d, &c->stage[1], 2);
	bill_note(p, 1);
	stage_meet(d, &c->stage[1], 3);
	/* The owner is over its limit with every page that comes here. */
	for (unsigned round = 0; round < 2; round++)
		book_verify_all(&book);
	for (uint32_t i = 0; i < c->count; i++)
		book_write(&book, i, KIND_TEXT);
	book_verify_all(&book);
	stage_meet(d, &c->stage[1], 4);
	/* Without a fault, too. */
	OK(pager_behavior(p, book.base, c->count * d->page_bytes, PAGER_BEHAVIOR_PAGEOUT));
	OK(pager_behavior(p, book.base, c->count * d->page_bytes, PAGER_BEHAVIOR_WILLNEED));
	stage_meet(d, &c->stage[1], 5);
	OK(pager_disconnect(p));
}

static void
limited(void)
{
	struct live d = { 0 };
	int64_t limit, faults, loaded;
	struct common *c;
	pid_t pids[2];

	daemon_start(&d);
	bill = shared_alloc(sizeof(*bill));
	c = common_make_pages(&d, (uint32_t)(d.memory_bytes / d.page_bytes / 3));
	limit = (int64_t)(c->count / 4 * d.page_bytes);
	sharers_begin(&d, c, (client_body *[]){ limited_maker, limited_partner }, 2, 0, pids);
	live_limit(&d, pids[1], (uint64_t)limit);
	stage_allow(&c->stage[1], 1);
	stage_wait(&d, &c->stage[1], 2);
	live_rest(&d);
	stage_allow(&c->stage[1], 2);
	stage_wait(&d, &c->stage[1], 3);
	REQUIRE(atomic_load(&bill->internal[1]) <= limit);
	faults = live_stat(&d, "decompressions");
	stage_allow(&c->stage[0], 1);
	stage_wait(&d, &c->stage[0], 2);
	/* None of the owner's pages has left for it. */
	EQ(live_stat(&d, "decompressions"), faults);
	live_check(&d);
	live_limit(&d, pids[0], (uint64_t)limit);
	WAIT_UNTIL(&d, live_stat(&d, "internal") * (int64_t)d.page_bytes <= 2 * limit);
	stage_allow(&c->stage[1], 3);
	stage_wait(&d, &c->stage[1], 4);
	WAIT_UNTIL(&d, live_stat(&d, "internal") * (int64_t)d.page_bytes <= 2 * limit);
	stage_allow(&c->stage[0], 2);
	stage_wait(&d, &c->stage[0], 3);
	WAIT_UNTIL(&d, live_stat(&d, "internal") * (int64_t)d.page_bytes <= 2 * limit);
	loaded = live_stat(&d, "prefetches");
	stage_allow(&c->stage[1], 4);
	stage_wait(&d, &c->stage[1], 5);
	REQUIRE(live_stat(&d, "prefetches") >= loaded + (int64_t)c->count / 2);
	WAIT_UNTIL(&d, live_stat(&d, "internal") * (int64_t)d.page_bytes <= 2 * limit);
	live_check(&d);
	for (unsigned k = 0; k < 2; k++) {
		stage_allow(&c->stage[k], 5);
		client_join(&d, pids[k], false);
	}
	WAIT_UNTIL(&d, resident(&d) == 0);
	live_stop(&d);
}

static const struct live_test tests[] = { { "trap-8-ended", ended }, { "trap-9-waiting", waiting },
	{ "billed", billed }, { "limited", limited } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
