/* SPDX-License-Identifier: MIT
 *
 * Under --keeper the worker is killed while several processes write to one object, which they map
 * by its name, give back and map again: all see all of its content, in memory, compressed and in
 * swap, and names outlive the worker as memory does.
 *
 * usage: e_takeover_share kills|points|named [page size [kills]]
 */
#include "share.h"

#include <time.h>

enum { WRITERS = 3, READER = WRITERS, ALL };

static unsigned kills_count = 8;
static uint64_t takeovers;
static struct live d;

struct turns {
	atomic_bool stop;
	_Atomic uint64_t done[ALL];
};
static struct turns *turns;
static struct common *common;

static void
begin(void)
{
	live_start(&d, options.memory, "--keeper", "--page-size", options.page, "--param",
	    "compressor_percent=5", NULL);
	common = common_make(&d);
	turns = shared_alloc(sizeof(*turns));
	takeovers = 0;
}

/* --- clients -------------------------------------------------------------------------------- */

static void
page_turn(struct book *book, bool may_write, uint64_t *rng)
{
	uint32_t page = (uint32_t)rng_below(rng, common->count);

	REQUIRE(page_lock(&d, common, page));
	book_verify(book, page);
	if (may_write && rng_below(rng, 2) == 0)
		book_write(book, page, mixture_draw(&mixture_usual, rng));
	page_unlock(common, page);
}

/* What changes no content of what others see, too. */
static void
advice_turn(struct pager *p, struct book *book, uint64_t *rng)
{
	static const int advice[] = { PAGER_BEHAVIOR_PAGEOUT, PAGER_BEHAVIOR_WILLNEED,
		PAGER_BEHAVIOR_DONTNEED };
	uint32_t from = (uint32_t)rng_below(rng, common->count),
		 count = 1 + (uint32_t)rng_below(rng, 16);

	if (count > common->count - from)
		count = common->count - from;
	OK(pager_behavior(
	    p, book->base + from * d.page_bytes, count * d.page_bytes, advice[rng_below(rng, 3)]));
}

/* Leaves in two steps, and comes back at another address. */
static void
leave_turn(struct pager *p, struct book *book, int fd, int protection)
{
	size_t half = common->count / 2 * d.page_bytes;

	OK(pager_deallocate(p, book->base + half, common->count * d.page_bytes - half));
	OK(pager_deallocate(p, book->base, half));
	book->base = share_map(&d, common, p, fd, protection);
}

static void
work(struct pager *p, struct book *book, int fd, unsigned number)
{
	int protection = number == READER ? PROT_READ : PROT_READ | PROT_WRITE;
	uint64_t rng = mix64(live_seed + number);

	while (!atomic_load(&turns->stop)) {
		uint64_t kind = rng_below(&rng, 200);

		if (kind < 5)
			advice_turn(p, book, &rng);
		else if (kind == 5)
			leave_turn(p, book, fd, protection);
		else if (kind == 6 && number != READER)
			close(share_name(&d, common, p, book->base, PROT_READ));
		else
			page_turn(book, number != READER, &rng);
		atomic_fetch_add(&turns->done[number], 1);
	}
	for (uint32_t page = 0; page < common->count; page++)
		if (page_lock(&d, common, page)) {
			book_verify(book, page);
			page_unlock(common, page);
		}
	OK(pager_disconnect(p));
}

static void
maker(struct live *ignored, void *argument)
{
	struct pager *p = client_connect(&d);
	struct book book = book_of(&d, common, share_make(&d, common, p));
	int fd = share_name(&d, common, p, book.base, PROT_READ | PROT_WRITE);

	(void)ignored, (void)argument;
	for (unsigned i = 1; i < ALL; i++)
		name_send(common->sockets[i][0], fd);
	work(p, &book, fd, 0);
}

static void
sharer(struct live *ignored, void *argument)
{
	unsigned number = *(unsigned *)argument;
	int fd = name_receive(common->sockets[number][1]);
	struct pager *p = client_connect(&d);
	int protection = number == READER ? PROT_READ : PROT_READ | PROT_WRITE;
	struct book book = book_of(&d, common, share_map(&d, common, p, fd, protection));

	(void)ignored;
	work(p, &book, fd, number);
}

static void
clients_begin(pid_t pids[ALL])
{
	static unsigned numbers[ALL];

	pids[0] = client_start(&d, maker, NULL);
	for (unsigned i = 1; i < ALL; i++) {
		numbers[i] = i;
		pids[i] = client_start(&d, sharer, &numbers[i]);
	}
}

/* All clients have gone on. */
static void
go_on(uint64_t count)
{
	for (unsigned i = 0; i < ALL; i++) {
		uint64_t until = atomic_load(&turns->done[i]) + count;

		WAIT_UNTIL(&d, atomic_load(&turns->done[i]) >= until);
	}
}

static void
taken_over(void)
{
	live_taken_over(&d);
	EQ(live_stat(&d, "takeovers"), ++takeovers);
	EQ(live_stat(&d, "pages_lost"), 0);
}

static void
clients_end(const pid_t pids[ALL])
{
	atomic_store(&turns->stop, true);
	/* The maker, who pays first, leaves first. */
	for (unsigned i = 0; i < ALL; i++) {
		client_join(&d, pids[i], false);
		live_check(&d);
	}
	WAIT_UNTIL(&d, resident(&d) == 0);
	REQUIRE(live_log_count(&d, "is not there") == 0);
	REQUIRE(live_log_count(&d, "does not agree") == 0);
	live_stop(&d);
}

/* --- tests ---------------------------------------------------------------------------------- */

static void
kills(void)
{
	uint64_t rng = mix64(live_seed);
	pid_t pids[ALL];

	begin();
	clients_begin(pids);
	WAIT_UNTIL(&d, live_stat(&d, "swapouts") > 0);
	for (unsigned i = 0; i < kills_count; i++) {
		go_on(rng_below(&rng, 200));
		kill(d.pid, SIGKILL);
		taken_over();
		live_check(&d);
	}
	clients_end(pids);
}

/* Between two steps. */
static void
points(void)
{
	static const char *const names[] = { "DIE_NAME_MADE", "DIE_NAME_MAPPED", "DIE_ENTRY_GONE",
		"DIE_ANSWER", "DIE_ANSWERED", "DIE_FILL_BEGUN", "DIE_FILL_PLACED",
		"DIE_WRITE_BOOKED", "DIE_STORED", "DIE_COPY_NAMED", "DIE_PUNCHED", "DIE_PUBLISHED",
		"DIE_SWAP_BEGUN" };
	uint64_t rng = mix64(live_seed);
	pid_t pids[ALL];

	if (!FAIL_POINTS)
		exit(77);
	begin();
	clients_begin(pids);
	go_on(200);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char spec[80];

		/* The answer to this request passes one of them. */
		snprintf(spec, sizeof(spec), "%s:%u", names[i], 1 + (unsigned)rng_below(&rng, 3));
		live_debug_fail(&d, spec);
		taken_over();
		go_on(20);
		live_check(&d);
	}
	clients_end(pids);
}

static void
keeps_a_name(struct live *ignored, void *argument)
{
	struct pager *p = client_connect(&d);
	int fd = name_receive(common->sockets[1][1]);
	struct book book = book_of(&d, common, NULL);

	(void)ignored, (void)argument;
	stage_meet(&d, &common->stage[1], 1);
	book.base = share_map(&d, common, p, fd, PROT_READ | PROT_WRITE);
	book_verify_all(&book);
	OK(pager_deallocate(p, book.base, common->count * d.page_bytes));
	close(fd);
	stage_meet(&d, &common->stage[1], 2);
	OK(pager_disconnect(p));
}

static void
makes_and_leaves(struct live *ignored, void *argument)
{
	struct pager *p = client_connect(&d);
	struct book book = book_of(&d, common, share_make(&d, common, p));
	uint64_t rng = mix64(live_seed);

	(void)ignored, (void)argument;
	book_write_all(&book, &mixture_usual, &rng);
	name_send(
	    common->sockets[1][0], share_name(&d, common, p, book.base, PROT_READ | PROT_WRITE));
	OK(pager_disconnect(p));
}

/* Nobody maps the object, who has made it is gone, and a name keeps it; with the name it goes. */
static void
named(void)
{
	pid_t pid;

	begin();
	pid = client_start(&d, keeps_a_name, NULL);
	client_join(&d, client_start(&d, makes_and_leaves, NULL), true);
	stage_wait(&d, &common->stage[1], 1);
	for (unsigned i = 0; i < 3; i++) {
		kill(d.pid, SIGKILL);
		taken_over();
		live_check(&d);
	}
	stage_allow(&common->stage[1], 1);
	stage_wait(&d, &common->stage[1], 2);
	WAIT_UNTIL(&d, resident(&d) == 0);
	live_check(&d);
	kill(d.pid, SIGKILL);
	taken_over();
	live_check(&d);
	stage_allow(&common->stage[1], 2);
	client_join(&d, pid, false);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = { { "kills", kills }, { "points", points },
		{ "named", named } };

	live_init(argc, argv);
	options.ratio = 2;
	if (argc > 2)
		options.page = argv[2];
	options.memory = strcmp(options.page, "4K") == 0    ? "4M"
			 : strcmp(options.page, "16K") == 0 ? "8M"
							    : "32M";
	if (argc > 3)
		kills_count = (unsigned)atoi(argv[3]);
	return LIVE_RUN(argc, argv, tests);
}
