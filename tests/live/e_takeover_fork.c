/* SPDX-License-Identifier: MIT
 *
 * Under --keeper the worker is killed while clients fork: each child has what its parent had, as it
 * was at one moment, whether it becomes a client or its worker dies before that; and what both
 * write afterwards is each one's own. So it is with copies.
 *
 * usage: e_takeover_fork kills|points|room [page size [kills]]
 */
#include "harness.h"

#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>

#include "rounds.h"

static const char *page_size = "4K";
static unsigned kills_count = 8;

static const char *
memory(void)
{
	return strcmp(page_size, "4K") == 0 ? "4M" : strcmp(page_size, "16K") == 0 ? "8M" : "32M";
}

enum { STEP = 17 }; /* of pages that a child writes to */

static struct children {
	atomic_uint clients, others; /* whose worker died before they were clients */
} * children;

/* --- a client ------------------------------------------------------------------------------- */

/* A thread writes numbers to a page, to plain memory and to another page, in that order, while this
 * process forks. */
static struct order {
	_Atomic uint64_t *first, *last;
	_Atomic uint64_t plain;
	atomic_bool stop;
} order;

static void *
order_write(void *ignored)
{
	(void)ignored;
	while (!atomic_load(&order.stop)) {
		uint64_t n = atomic_load(&order.plain) + 1;

		atomic_store(order.first, n);
		atomic_store(&order.plain, n);
		atomic_store(order.last, n);
	}
	return NULL;
}

static void
order_make(struct pager *p, size_t page_bytes)
{
	unsigned char *base = client_allocate(p, 2 * page_bytes);

	order.first = (void *)base;
	order.last = (void *)(base + page_bytes);
}

/* In the child, where that thread is not. */
static void
order_verify(void)
{
	uint64_t first = atomic_load(order.first), plain = atomic_load(&order.plain),
		 last = atomic_load(order.last);

	REQUIRE(first >= plain && plain >= last && first - last <= 1, "%llu, %llu, %llu",
	    (unsigned long long)first, (unsigned long long)plain, (unsigned long long)last);
}

/* A child has so many pages of the book, so that all of them find room. */
static uint32_t
inherited(const struct book *b)
{
	return b->count / 4;
}

static void
child_lives(struct pager *p, struct book *b, uint64_t *rng)
{
	uint32_t first = (uint32_t)rng_below(rng, STEP);
	struct pager_region_info info;

	order_verify();
	for (uint32_t i = 0; i < inherited(b); i++)
		book_verify(b, i);
	for (uint32_t i = first; i < inherited(b); i += STEP)
		book_write(b, i, mixture_draw(&mixture_usual, rng));
	for (uint32_t i = first; i < inherited(b); i += STEP)
		book_verify(b, i);
	order_verify();
	/* Which of the two it is nobody can know. */
	if (pager_region(p, b->base, &info) == 0)
		atomic_fetch_add(&children->clients, 1);
	else
		atomic_fetch_add(&children->others, 1);
}

static void
fork_turn(struct pager *p, struct book *b, uint64_t *rng)
{
	uint64_t before = atomic_load(&order.plain);
	pthread_t thread;
	pid_t child;
	int status;

	atomic_store(&order.stop, false);
	REQUIRE(pthread_create(&thread, NULL, order_write, NULL) == 0);
	while (atomic_load(&order.plain) == before)
		sched_yield();
	child = fork();
	REQUIRE(child >= 0, "%s", strerror(errno));
	if (child == 0) {
		child_lives(p, b, rng);
		_exit(0);
	}
	atomic_store(&order.stop, true);
	REQUIRE(pthread_join(thread, NULL) == 0);
	for (unsigned i = 0; i < 20; i++)
		book_write(
		    b, (uint32_t)rng_below(rng, b->count), mixture_draw(&mixture_usual, rng));
	EQ(waitpid(child, &status, 0), child);
	REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child ended with %#x", status);
}

/* A copy has what its source has, and no more of it afterwards. */
static void
copy_turn(struct pager *p, struct book *b, uint64_t *rng)
{
	enum { PAGES = 16 };
	uint32_t from = (uint32_t)rng_below(rng, b->count - PAGES);
	unsigned char *copy = client_allocate(p, PAGES * b->page_bytes);
	struct page_note notes[PAGES];

	OK(pager_copy(p, b->base + from * b->page_bytes, PAGES * b->page_bytes, copy));
	memcpy(notes, b->notes + from, sizeof(notes));
	for (uint32_t i = 0; i < PAGES; i++)
		book_write(b, from + i, mixture_draw(&mixture_usual, rng));
	for (uint32_t i = 0; i < PAGES; i++) {
		struct page_note now = b->notes[from + i];

		b->notes[from + i] = notes[i];
		book_verify_copy(b, from + i, copy + i * b->page_bytes, "a copy");
		b->notes[from + i] = now;
	}
	OK(pager_deallocate(p, copy, PAGES * b->page_bytes));
}

static void
turn(struct pager *p, struct book *b, uint32_t object, uint64_t *rng)
{
	uint32_t page = (uint32_t)rng_below(rng, b->count);

	(void)object;
	if (!order.first) {
		order_make(p, b->page_bytes);
		OK(pager_inherit(p, b->base + inherited(b) * b->page_bytes,
		    (b->count - inherited(b)) * b->page_bytes, PAGER_INHERIT_NONE));
	}
	if (rng_below(rng, 100) == 0) {
		fork_turn(p, b, rng);
	} else if (rng_below(rng, 20) == 0) {
		copy_turn(p, b, rng);
	} else {
		book_verify(b, page);
		book_write(b, page, mixture_draw(&mixture_usual, rng));
	}
}

static void
client(struct live *d, void *argument)
{
	rounds_run(d, argument, turn);
}

/* --- tests ---------------------------------------------------------------------------------- */

struct scene {
	struct live d;
	struct rounds rounds;
	uint64_t takeovers;
};

static void
scene_begin(struct scene *s)
{
	live_start(&s->d, memory(), "--keeper", "--page-size", page_size, "--param",
	    "compressor_percent=5", NULL);
	s->takeovers = 0;
	children = shared_alloc(sizeof(*children));
	rounds_start(&s->rounds, &s->d, client);
}

static void
scene_taken_over(struct scene *s)
{
	live_taken_over(&s->d);
	EQ(live_stat(&s->d, "takeovers"), ++s->takeovers);
	EQ(live_stat(&s->d, "pages_lost"), 0);
}

static void
scene_end(struct scene *s)
{
	rounds_end(&s->rounds, &s->d);
	printf("%u children became clients, and %u did not\n", atomic_load(&children->clients),
	    atomic_load(&children->others));
	REQUIRE(live_log_count(&s->d, "is not there") == 0);
	REQUIRE(live_log_count(&s->d, "does not agree") == 0);
	REQUIRE(live_log_count(&s->d, "the child has none of its memory") == 0);
	live_stop(&s->d);
}

static void
kills(void)
{
	uint64_t rng = mix64(live_seed);
	struct scene s;

	scene_begin(&s);
	WAIT_UNTIL(&s.d, live_stat(&s.d, "forks") > 0);
	for (unsigned i = 0; i < kills_count; i++) {
		rounds_go_on(&s.rounds, &s.d, rng_below(&rng, 100));
		kill(s.d.pid, SIGKILL);
		scene_taken_over(&s);
		live_check(&s.d);
	}
	WAIT_UNTIL(&s.d, live_stat(&s.d, "forks") > 0);
	scene_end(&s);
}

/* Around an answer, which is one of a fork's as often as not. */
static void
points(void)
{
	static const char *const names[] = { "DIE_ANSWER", "DIE_ANSWERED" };
	uint64_t rng = mix64(live_seed);
	struct scene s;

	if (!FAIL_POINTS)
		exit(77);
	scene_begin(&s);
	WAIT_UNTIL(&s.d, live_stat(&s.d, "forks") > 0);
	for (size_t i = 0; i < 10; i++) {
		char spec[80];

		/* The answer to this request passes one of them. */
		snprintf(
		    spec, sizeof(spec), "%s:%u", names[i % 2], 1 + (unsigned)rng_below(&rng, 5));
		live_debug_fail(&s.d, spec);
		scene_taken_over(&s);
		rounds_go_on(&s.rounds, &s.d, 20);
		live_check(&s.d);
	}
	scene_end(&s);
}

static void
forks_without_room(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, 64 * d->page_bytes);
	int status;
	pid_t child;

	(void)argument;
	memset(base, 1, 64 * d->page_bytes);
	child = fork();
	REQUIRE(child >= 0);
	if (child == 0) {
		signal(SIGBUS, SIG_DFL);
		signal(SIGSEGV, SIG_DFL);
		_exit(*(volatile unsigned char *)base);
	}
	EQ(waitpid(child, &status, 0), child);
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "%#x", status);
	EQ(base[0], 1);
	OK(pager_disconnect(p));
}

/* The machine has no room for the content: the log says so. */
static void
room(void)
{
	char directory[128], path[160];
	struct live d;
	FILE *f;

	live_directory_make(directory, sizeof(directory));
	snprintf(path, sizeof(path), "%s/meminfo", directory);
	f = fopen(path, "we");
	REQUIRE(
	    f && fputs("MemTotal: 1000000 kB\nMemAvailable: 16 kB\n", f) >= 0 && fclose(f) == 0);
	live_start(&d, memory(), "--keeper", "--no-swap", "--page-size", page_size, "--host-files",
	    directory, NULL);
	client_join(&d, client_start(&d, forks_without_room, NULL), false);
	EQ(live_log_count(&d, "the child has none of its memory"), 1);
	live_kill(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = { { "kills", kills }, { "points", points },
		{ "room", room } };

	live_init(argc, argv);
	if (argc > 2)
		page_size = argv[2];
	if (argc > 3)
		kills_count = (unsigned)atoi(argv[3]);
	return LIVE_RUN(argc, argv, tests);
}
