/* SPDX-License-Identifier: MIT
 *
 * Shared reads: forked children see their parent's pages in their places until one side writes.
 *
 * usage: e_window MODE [page=SIZE] [ratio=N] [memory=SIZE] [forked]
 *   forked: it is the fork that shares reads, and no call
 *   frames      children read all: it takes the frames of one
 *   oracle      parent, children and their children read and write; memory is 1/ratio of each one's
 *   killed      likewise, and some are killed at any instant
 *   given-back  FREE, DEALLOCATE, copies over a window, wires, protections, writes of the kernel's;
 *               and what is refused
 *   handler     a signal handler writes to windows while its thread is in a call of the library,
 *               and a thread has its stack there
 *   writers     a process whose children write is not given windows until the next try
 *   trap-12-merged  blocks that are the copy's own again become one mapping
 */
#include "harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "book.h"
#include "children.h"
#include "mapping.h"

static struct {
	const char *page, *memory;
	unsigned ratio;
	bool kills, forked;
} options = { "4K", NULL, 4, false, false };

static void
start(struct live *d, const char *memory)
{
	live_start(d, options.memory ? options.memory : memory, "--page-size", options.page,
	    "--param", "swap_file_bytes=33554432", "--param",
	    options.forked ? "fork_share_bytes=4096" : "fork_share_bytes=0", NULL);
}

/* --- frames --- */

enum { READERS = 8 };
struct meeting {
	atomic_uint have_read, stop;
};

static void
reader(struct live *d, struct pager *p, struct book *b, struct meeting *m)
{
	if (!options.forked)
		OK(pager_share_reads(p, b->base, b->count * d->page_bytes));
	book_verify_all(b);
	book_verify_all(b);
	atomic_fetch_add(&m->have_read, 1);
	while (!atomic_load(&m->stop))
		usleep(1000);
	/* A page of one's own, and what is beside it. */
	for (uint32_t i = 0; i < b->count; i += 50)
		book_write(b, i, KIND_TEXT);
	book_verify_all(b);
	_exit(0);
}

static void
frames_client(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(d->memory_bytes / d->page_bytes / 4);
	struct meeting *m = shared_alloc(sizeof(*m));
	uint64_t rng = live_seed;
	pid_t children[READERS];
	int64_t before, after;
	struct book b;

	(void)argument;
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	book_write_all(&b, &mixture_usual, &rng);
	live_rest(d);
	before = live_stat(d, "free");
	for (unsigned i = 0; i < READERS; i++) {
		children[i] = fork_sure();
		if (children[i] == 0)
			reader(d, p, &b, m);
	}
	WAIT_UNTIL(d, atomic_load(&m->have_read) == READERS);
	live_rest(d);
	after = live_stat(d, "free");
	printf("%u pages: %lld frames before, %lld more for %d readers\n", count, (long long)before,
	    (long long)(before - after), READERS);
	REQUIRE(
	    before - after <= (int64_t)count / 10, "%lld frames more", (long long)(before - after));
	REQUIRE(live_stat(d, "window_reads") >= (int64_t)READERS * count / 32);
	live_check(d);
	/* The parent writes: its children see what was. */
	book_write_all(&b, &mixture_usual, &rng);
	live_check(d);
	atomic_store(&m->stop, 1);
	for (unsigned i = 0; i < READERS; i++)
		EQ(status_of(children[i]), 0);
	book_verify_all(&b);
	REQUIRE(live_stat(d, "windows_opened") > 0);
	REQUIRE(live_stat(d, "forks_sharing") >= (options.forked ? READERS : 0));
	WAIT_UNTIL(d, live_stat(d, "sessions") == 1);
	live_check(d);
	OK(pager_disconnect(p));
}

static void
test_frames(void)
{
	struct live d;

	start(&d, strcmp(options.page, "64K") == 0 ? "256M" : "64M");
	client_join(&d, client_start(&d, frames_client, NULL), false);
	live_stop(&d);
}

/* --- the oracle --- */

enum { DEPTH = 4, PROCESSES = 12, THREADS = 2 };
struct forest {
	atomic_uint processes, killed, windowed;
};
static struct forest *forest;

struct half {
	struct book book;
	uint64_t rng, ops;
};

/* A thread reads and writes its half. */
static void *
half_main(void *argument)
{
	struct half *h = argument;

	for (uint64_t n = 0; n < h->ops; n++) {
		uint32_t page = (uint32_t)rng_below(&h->rng, h->book.count);
		uint32_t run = (uint32_t)rng_below(&h->rng, 3) ? 1 : 40;
		bool writes = rng_below(&h->rng, 8) == 0;

		for (; run > 0 && page < h->book.count; run--, page++) {
			if (writes)
				book_write(&h->book, page, mixture_draw(&mixture_usual, &h->rng));
			else
				book_verify(&h->book, page);
		}
	}
	return NULL;
}

static void
grow(struct live *d, struct pager *p, struct half *halves, unsigned depth, uint64_t seed)
{
	uint64_t rng = mix64(seed), rounds = 4;
	pid_t children[PROCESSES];
	pthread_t threads[THREADS];
	unsigned count = 0;

	for (unsigned i = 0; i < THREADS; i++)
		halves[i].rng = mix64(seed + i + 1);
	if (depth > 0 && !options.forked && rng_below(&rng, 4) != 0) {
		int r = pager_share_reads(
		    p, halves[0].book.base, 2 * (size_t)halves[0].book.count * d->page_bytes);

		REQUIRE(r == 0 || r == -EOPNOTSUPP, "share reads: %d", r);
		atomic_fetch_add(&forest->windowed, r == 0);
	}
	for (uint64_t n = 0; n < rounds; n++) {
		for (unsigned i = 0; i < THREADS; i++) {
			halves[i].ops = live_scaled(20);
			REQUIRE(pthread_create(&threads[i], NULL, half_main, &halves[i]) == 0);
		}
		/* The root, when it has children. */
		if (options.kills &&
		    (depth > 0 ? rng_below(&rng, rounds * 3) == 0 : n == rounds - 1)) {
			atomic_fetch_add(&forest->killed, 1);
			kill(getpid(), SIGKILL);
		}
		for (unsigned i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		if (depth < DEPTH && rng_below(&rng, 2) == 0 &&
		    atomic_fetch_add(&forest->processes, 1) < PROCESSES) {
			pid_t pid = fork_sure();

			if (pid == 0) {
				grow(d, p, halves, depth + 1, mix64(seed) + n);
				_exit(0);
			}
			children[count++] = pid;
		}
	}
	for (unsigned i = 0; i < THREADS; i++)
		book_verify_all(&halves[i].book);
	for (unsigned i = 0; i < count; i++) {
		int status = status_of(children[i]);

		REQUIRE(status == 0 || status == SIGKILL, "a child's status is %#x", status);
	}
}

static void
root(struct live *d)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(d->memory_bytes / d->page_bytes * options.ratio / 4 / THREADS);
	char *base = client_allocate(p, THREADS * count * d->page_bytes);
	static struct half halves[THREADS];
	uint64_t rng = live_seed;

	for (unsigned i = 0; i < THREADS; i++) {
		book_open(
		    &halves[i].book, base + i * count * d->page_bytes, d->page_bytes, count, i + 1);
		book_write_all(&halves[i].book, &mixture_usual, &rng);
	}
	grow(d, p, halves, 0, live_seed);
	OK(pager_disconnect(p));
}

/* Where some are killed, so is the one whose pages are shown. */
static void
oracle_client(struct live *d, void *argument)
{
	int status;
	pid_t pid;

	(void)argument;
	if (!options.kills) {
		root(d);
		return;
	}
	pid = fork_sure();
	if (pid == 0) {
		root(d);
		_exit(0);
	}
	status = status_of(pid);
	REQUIRE(status == 0 || status == SIGKILL, "the root's status is %#x", status);
}

static void
test_oracle(void)
{
	struct live d;

	forest = shared_alloc(sizeof(*forest));
	start(&d, strcmp(options.page, "64K") == 0 ? "32M" : "4M");
	client_join(&d, client_start(&d, oracle_client, NULL), true);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	live_check(&d);
	printf("%u forks wanted, %u with windows, %u killed, %lld pages shown, %lld opened\n",
	    atomic_load(&forest->processes), atomic_load(&forest->windowed),
	    atomic_load(&forest->killed), (long long)live_stat(&d, "window_reads"),
	    (long long)live_stat(&d, "windows_opened"));
	EQ(live_stat(&d, "forks_bare"), 0);
	REQUIRE(!options.forked || live_stat(&d, "forks_sharing") > 0);
	live_stop(&d);
}

static void
test_killed(void)
{
	options.kills = true;
	test_oracle();
}

/* --- what ends a window otherwise --- */

static void
given_back_child(struct live *d, struct pager *p, struct book *b, struct book *other)
{
	uint32_t part = b->count / 8;
	unsigned char *at = b->base;
	size_t bytes = part * d->page_bytes;
	void *again;

	OK(pager_share_reads(p, b->base, b->count * d->page_bytes));
	EQ(pager_share_reads(p, b->base, b->count * d->page_bytes), -EOPNOTSUPP);
	book_verify_all(b);
	REQUIRE(live_stat(d, "window_reads") > 0);
	/* FREE: it reads as zeroes. */
	book_discard(p, b, 0, part);
	book_verify_all(b);
	/* A copy over it, which is shown then, or not. */
	OK(pager_copy(p, other->base, bytes, at + bytes));
	for (uint32_t i = 0; i < part; i++)
		REQUIRE(memcmp(at + bytes + i * d->page_bytes, other->base + i * d->page_bytes,
			    d->page_bytes) == 0,
		    "page %u", i);
	/* Wired: it is the copy's own memory. */
	OK(pager_wire(p, at + 2 * bytes, bytes));
	for (uint32_t i = 2 * part; i < 3 * part; i++)
		book_write(b, i, KIND_NOISE);
	OK(pager_unwire(p, at + 2 * bytes, bytes));
	/* Protections stay when it is opened. */
	OK(pager_protect(p, at + 3 * bytes, bytes, PROT_READ));
	for (uint32_t i = 3 * part; i < 4 * part; i++)
		book_verify(b, i);
	OK(pager_protect(p, at + 3 * bytes, bytes, PROT_READ | PROT_WRITE));
	for (uint32_t i = 3 * part; i < 4 * part; i += 3)
		book_write(b, i, KIND_TEXT);
	for (uint32_t i = 3 * part; i < 4 * part; i++)
		book_verify(b, i);
	/* The kernel writes there. */
	for (uint32_t i = 4 * part; i < 5 * part; i += 2) {
		int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

		REQUIRE(
		    read(fd, b->base + i * d->page_bytes, d->page_bytes) == (ssize_t)d->page_bytes);
		close(fd);
		book_forget(b, i);
	}
	for (uint32_t i = 4 * part; i < 5 * part; i++)
		book_verify(b, i);
	/* New memory, most likely at the same place. */
	OK(pager_deallocate(p, at + 5 * bytes, bytes));
	OK(pager_allocate(p, bytes, 0, &again));
	for (size_t i = 0; i < bytes; i += d->page_bytes)
		EQ(((unsigned char *)again)[i], 0);
	for (uint32_t i = 6 * part; i < b->count; i++)
		book_verify(b, i);
	live_check(d);
	_exit(0);
}

static void
given_back_client(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(d->memory_bytes / d->page_bytes / 8);
	uint64_t rng = live_seed;
	struct book b, other;
	pid_t pid;

	(void)argument;
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	book_open(&other, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 2);
	book_write_all(&b, &mixture_usual, &rng);
	book_write_all(&other, &mixture_usual, &rng);
	pid = fork_sure();
	if (pid == 0)
		given_back_child(d, p, &b, &other);
	EQ(status_of(pid), 0);
	book_verify_all(&b);
	/* It is no copy; and what is allocated is not all of it. */
	EQ(pager_share_reads(p, b.base, count * d->page_bytes), -EOPNOTSUPP);
	EQ(pager_share_reads(p, b.base + 1, d->page_bytes), -EINVAL);
	EQ(pager_share_reads(p, b.base, 0), -EINVAL);
	EQ(pager_share_reads(NULL, b.base, d->page_bytes), -EINVAL);
	OK(pager_disconnect(p));
}

static void
test_given_back(void)
{
	struct live d;

	start(&d, strcmp(options.page, "64K") == 0 ? "256M" : "32M");
	client_join(&d, client_start(&d, given_back_client, NULL), false);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	live_check(&d);
	live_stop(&d);
}

/* --- a signal handler, and a stack --- */

#define STACK_BYTES (256u << 10)
static struct {
	volatile unsigned char *at, *end; /* what the handler has not written yet */
	size_t page_bytes;
} handled;
static atomic_uint stack_calls;

static void
handler_write(int number)
{
	(void)number;
	if (handled.at < handled.end) {
		*handled.at = 1;
		handled.at += handled.page_bytes;
	}
}

/* Until all is written: memory is allocated and given back, and the daemon is asked. */
static void
calls_make(struct live *d, struct pager *p)
{
	void *memory;

	OK(pager_allocate(p, d->page_bytes, 0, &memory));
	OK(pager_protect(p, memory, d->page_bytes, PROT_READ));
	OK(pager_deallocate(p, memory, d->page_bytes));
}

struct stack_user {
	struct live *d;
	struct pager *p;
};

/* At more and more depth of its stack. */
static __attribute__((noinline)) unsigned char
stack_descend(const struct stack_user *u, unsigned depth)
{
	volatile unsigned char room[3072];

	room[0] = (unsigned char)depth;
	calls_make(u->d, u->p);
	atomic_fetch_add(&stack_calls, 1);
	return depth == 0 ? room[0] : (unsigned char)(stack_descend(u, depth - 1) + room[0]);
}

static void *
stack_main(void *argument)
{
	stack_descend(argument, 30);
	return NULL;
}

static void
handler_child(struct live *d, struct pager *p, struct book *b)
{
	struct itimerval every = { { 0, 200 }, { 0, 200 } }, never = { { 0, 0 }, { 0, 0 } };
	struct stack_user user = { d, p };
	pthread_attr_t attributes;
	sigset_t alarms;
	pthread_t thread;

	/* The upper half is a stack. */
	REQUIRE(pthread_attr_init(&attributes) == 0);
	REQUIRE(pthread_attr_setstack(&attributes, b->base + b->count * d->page_bytes - STACK_BYTES,
		    STACK_BYTES) == 0);
	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	REQUIRE(pthread_sigmask(SIG_BLOCK, &alarms, NULL) == 0);
	REQUIRE(pthread_create(&thread, &attributes, stack_main, &user) == 0);
	REQUIRE(pthread_sigmask(SIG_UNBLOCK, &alarms, NULL) == 0);
	handled.page_bytes = 65536;
	handled.at = b->base;
	handled.end = b->base + b->count * d->page_bytes / 2;
	REQUIRE(signal(SIGALRM, handler_write) != SIG_ERR);
	REQUIRE(setitimer(ITIMER_REAL, &every, NULL) == 0);
	while (handled.at < handled.end)
		calls_make(d, p);
	REQUIRE(setitimer(ITIMER_REAL, &never, NULL) == 0);
	REQUIRE(pthread_join(thread, NULL) == 0);
	EQ(atomic_load(&stack_calls), 31);
	_exit(0);
}

static void
handler_client(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(d->memory_bytes / d->page_bytes / 4);
	uint64_t rng = live_seed;
	struct book b;
	pid_t pid;

	(void)argument;
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	book_write_all(&b, &mixture_usual, &rng);
	pid = fork_sure();
	if (pid == 0)
		handler_child(d, p, &b);
	EQ(status_of(pid), 0);
	book_verify_all(&b);
	REQUIRE(live_stat(d, "windows_opened") > 0);
	OK(pager_disconnect(p));
}

static void
test_handler(void)
{
	struct live d;

	options.forked = true;
	start(&d, "64M");
	client_join(&d, client_start(&d, handler_client, NULL), false);
	live_stop(&d);
}

/* --- children that write --- */

static void
writers_client(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(d->memory_bytes / d->page_bytes / 8);
	uint64_t rng = live_seed;
	struct book b;

	(void)argument;
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	book_write_all(&b, &mixture_usual, &rng);
	for (unsigned i = 0; i < 20; i++) {
		pid_t pid = fork_sure();

		if (pid == 0) {
			if (i == 0)
				book_write_all(&b, &mixture_usual, &rng);
			else
				book_verify(&b, i);
			_exit(0);
		}
		EQ(status_of(pid), 0);
		if (i < 8)
			EQ(live_stat(d, "forks_sharing"), 1);
	}
	REQUIRE(live_stat(d, "forks_sharing") > 1);
	OK(pager_disconnect(p));
}

static void
test_writers(void)
{
	struct live d;

	options.forked = true;
	start(&d, "16M");
	client_join(&d, client_start(&d, writers_client, NULL), false);
	live_stop(&d);
}

/* --- merged (trap 12): opened blocks are mappings of a template that nothing watches --- */

static void
merged_client(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(d->memory_bytes / d->page_bytes / 4);
	size_t bytes = count * d->page_bytes;
	uint64_t rng = live_seed;
	struct book b;
	pid_t pid;

	(void)argument;
	book_open(&b, client_allocate(p, bytes), d->page_bytes, count, 1);
	book_write_all(&b, &mixture_usual, &rng);
	pid = fork_sure();
	if (pid == 0) {
		/* Each page, far from the one before: each block is opened by itself. */
		OK(pager_share_reads(p, b.base, bytes));
		for (uint32_t n = 0, page = 0; n < count; n++, page = (page + 769) % count)
			book_write(&b, page, KIND_TEXT);
		printf("%lld blocks opened, %u mappings\n",
		    (long long)live_stat(d, "windows_opened"), mappings_count(b.base, bytes));
		REQUIRE(live_stat(d, "windows_opened") > 4);
		EQ(mappings_count(b.base, bytes), 1);
		book_verify_all(&b);
		_exit(0);
	}
	EQ(status_of(pid), 0);
	OK(pager_disconnect(p));
}

static void
test_merged(void)
{
	struct live d;

	start(&d, "64M");
	client_join(&d, client_start(&d, merged_client, NULL), false);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = {
		{ "trap-12-merged", test_merged },
		{ "frames", test_frames },
		{ "oracle", test_oracle },
		{ "killed", test_killed },
		{ "given-back", test_given_back },
		{ "handler", test_handler },
		{ "writers", test_writers },
	};

	live_init(argc, argv);
	for (int i = 2; i < argc; i++) {
		if (strncmp(argv[i], "page=", 5) == 0)
			options.page = argv[i] + 5;
		if (strcmp(argv[i], "forked") == 0)
			options.forked = true;
		if (strncmp(argv[i], "memory=", 7) == 0)
			options.memory = argv[i] + 7;
		if (strncmp(argv[i], "ratio=", 6) == 0)
			options.ratio = (unsigned)atoi(argv[i] + 6);
	}
	return LIVE_RUN(argc, argv, tests);
}
