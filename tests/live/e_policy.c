/* SPDX-License-Identifier: MIT
 *
 * Policies are switched under running clients: the daemon's, one client's own, one from a shared
 * object. After each switch every invariant holds (pagerctl check) and every page reads as it was
 * written.
 *
 * usage: e_policy switch|own|load|lazy EXAMPLE.so LAZY.so | rogue ROGUE.so
 */
#include "harness.h"

#include <pthread.h>
#include <stdatomic.h>

#include "book.h"

#define THREADS      2u
#define CLIENTS      3u
#define CLIENT_PAGES 4096u

static const char *const shipped[] = { "mach2q", "fifo", "random", "lru", "clock", "clock-hand",
	"2q", "arc", "s3fifo", "sieve", "car", "generations", "clock-pro", "mach2q:inactive=60",
	"mach2q:adapt=1", "2q:in=50,out=10" };
#define SHIPPED (sizeof(shipped) / sizeof(shipped[0]))

static const struct mixture mixture = { 5, 10, 20 };
static atomic_bool *ending; /* shared: clients go on until then */
static atomic_ullong *operations;

struct worker {
	struct pager *pager;
	struct book *book;
	unsigned index;
	uint64_t rng;
};

/* Half of the touches in a tenth of the pages, so that policies have something to find. */
static uint32_t
draw_page(struct worker *w)
{
	uint32_t groups = w->book->count / THREADS;
	uint32_t most = rng_below(&w->rng, 2) ? groups / 10 : groups;

	return (uint32_t)rng_below(&w->rng, most) * THREADS + w->index;
}

/* Pages also leave the policies by being discarded, wired or cooled. */
static void
disturb(struct worker *w)
{
	struct book *b = w->book;
	uint32_t page = draw_page(w);
	unsigned char *at = b->base + page * b->page_bytes;

	switch (rng_below(&w->rng, 3)) {
	case 0:
		OK(pager_behavior(w->pager, at, b->page_bytes, PAGER_BEHAVIOR_FREE));
		book_forget(b, page);
		break;
	case 1:
		OK(pager_wire(w->pager, at, b->page_bytes));
		OK(pager_unwire(w->pager, at, b->page_bytes));
		break;
	default:
		OK(pager_behavior(w->pager, at, b->page_bytes, PAGER_BEHAVIOR_DONTNEED));
	}
}

static void *
worker_main(void *argument)
{
	struct worker *w = argument;
	struct book *b = w->book;

	for (uint32_t page = w->index; page < b->count; page += THREADS)
		book_write(b, page, mixture_draw(&mixture, &w->rng));
	while (!atomic_load(ending)) {
		uint32_t page = draw_page(w);

		switch (rng_below(&w->rng, 4)) {
		case 0:
			book_write(b, page, mixture_draw(&mixture, &w->rng));
			break;
		case 1:
			book_poke(b, page, (uint32_t)rng_next(&w->rng));
			break;
		default:
			book_verify(b, page);
		}
		if (rng_below(&w->rng, 100) == 0)
			disturb(w);
		atomic_fetch_add(operations, 1);
	}
	for (uint32_t page = w->index; page < b->count; page += THREADS)
		book_verify(b, page);
	return NULL;
}

static void
client(struct live *d, void *argument)
{
	unsigned index = *(unsigned *)argument;
	struct pager *p = client_connect(d);
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	struct book book;

	book_open(&book, client_allocate(p, CLIENT_PAGES * d->page_bytes), d->page_bytes,
	    CLIENT_PAGES, index + 1);
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] =
		    (struct worker){ p, &book, i, mix64(live_seed * 1000 + index * 16 + i) };
		REQUIRE(pthread_create(&threads[i], NULL, worker_main, &workers[i]) == 0, "thread");
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	OK(pager_disconnect(p));
}

/* => 0 or the daemon's -errno; pid 0: the daemon's own policy; text NULL: only shows. */
static int
policy_call(struct live *d, pid_t pid, const char *text, char *shown, size_t shown_size)
{
	struct pager_req_policy request = { .pid = (uint32_t)pid, .set = text != NULL };
	struct pager_rep_policy reply;
	struct chan_call call = { CHAN_CALL(POLICY, &request, &reply) };
	int error;

	snprintf(request.policy, sizeof(request.policy), "%s", text ? text : "");
	error = chan_exchange(&d->chan, &call);
	if (!error && shown)
		snprintf(shown, shown_size, "%s", reply.text);
	return error;
}

static void
switch_to(struct live *d, pid_t pid, const char *text)
{
	char shown[sizeof(((struct pager_rep_policy *)NULL)->text)] = "";
	int error = policy_call(d, pid, text, shown, sizeof(shown));

	REQUIRE(error == 0, "policy %s for %d: %s", text, (int)pid, strerror(-error));
	REQUIRE(text[0] == '\0' || strncmp(shown, text, strlen(text)) == 0,
	    "asked for %s, shown is %s", text, shown);
}

/* Waits until the clients have worked for a while under the new policy. */
static void
let_work(struct live *d, unsigned long long more)
{
	unsigned long long until = atomic_load(operations) + more;

	WAIT_UNTIL(d, atomic_load(operations) >= until);
}

static void
clients_start(struct live *d, pid_t *pids, unsigned *index, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		index[i] = i;
		pids[i] = client_start(d, client, &index[i]);
	}
	WAIT_UNTIL(d, live_stat(d, "sessions") == count && live_stat(d, "pageouts") > 0);
}

static void
clients_end(struct live *d, const pid_t *pids, unsigned count)
{
	atomic_store(ending, true);
	for (unsigned i = 0; i < count; i++)
		client_join(d, pids[i], true);
	printf("operations %llu pageouts %lld reactivations %lld rescues %lld violations %lld "
	       "fallbacks %lld\n",
	    (unsigned long long)atomic_load(operations), (long long)live_stat(d, "pageouts"),
	    (long long)live_stat(d, "reactivations"), (long long)live_stat(d, "rescues"),
	    (long long)live_stat(d, "policy_violations"),
	    (long long)live_stat(d, "policy_fallbacks"));
	EQ(live_stat(d, "pages_lost"), 0);
	EQ(live_stat(d, "refused_zero_fills"), 0);
	live_stop(d);
}

static void
test_switch(struct live *d)
{
	unsigned index[CLIENTS];
	pid_t pids[CLIENTS];
	uint64_t times = live_scaled(60);
	char first[4096], text[4096];

	live_start(d, "16M", "--param", "compressor_percent=50", NULL);
	REQUIRE(live_pagerctl(d, first, sizeof(first), "policy", NULL) == 0, "%s", first);
	*strchrnul(first, ' ') = '\0';
	REQUIRE(strncmp(first, "mach2q:", 7) == 0 && strstr(first, "adapt=1"),
	    "by default it runs %s", first);
	clients_start(d, pids, index, CLIENTS);
	for (uint64_t i = 0; i < times; i++) {
		switch_to(d, 0, shipped[i % SHIPPED]);
		let_work(d, 100);
		live_check(d);
		live_sample(d, false);
	}
	/* A refused change has no effect. */
	EQ(policy_call(d, 0, "min", NULL, 0), -ENOENT);
	EQ(policy_call(d, 0, "nosuch", NULL, 0), -ENOENT);
	EQ(policy_call(d, 0, "mach2q:inactive=1000", NULL, 0), -EINVAL);
	live_check(d);
	REQUIRE(live_pagerctl(d, text, sizeof(text), "policy", "default", NULL) == 0, "%s", text);
	REQUIRE(strncmp(text, first, strlen(first)) == 0, "default is not %s but %s", first, text);
	/* A policy without a fixed cost parameter is soon told the cost of faults. */
	switch_to(d, 0, "mach2q:adapt=1");
	do {
		let_work(d, 100);
		REQUIRE(live_pagerctl(d, text, sizeof(text), "policy", NULL) == 0, "%s", text);
	} while (!strstr(text, "measured: cost="));
	live_check(d);
	printf("switched %llu times\n", (unsigned long long)times);
	clients_end(d, pids, CLIENTS);
}

static void
test_own(struct live *d)
{
	unsigned index[CLIENTS + 1];
	pid_t pids[CLIENTS + 1];
	uint64_t rng = live_seed, times = live_scaled(60);

	live_start(d, "16M", "--param", "compressor_percent=50", NULL);
	clients_start(d, pids, index, CLIENTS + 1);
	for (uint64_t i = 0; i < times; i++) {
		pid_t pid = pids[rng_below(&rng, CLIENTS + 1)];
		uint64_t draw = rng_below(&rng, 8);

		if (draw == 0)
			switch_to(d, 0, shipped[rng_below(&rng, SHIPPED)]);
		else if (draw < 3)
			EQ(policy_call(d, pid, "", NULL, 0), 0);
		else
			switch_to(d, pid, shipped[rng_below(&rng, SHIPPED)]);
		let_work(d, 100);
		live_check(d);
		live_sample(d, false);
	}
	/* It dies with a policy of its own. */
	switch_to(d, pids[CLIENTS], "arc");
	let_work(d, 100);
	client_kill(pids[CLIENTS]);
	WAIT_UNTIL(d, live_stat(d, "sessions") == CLIENTS);
	live_check(d);
	EQ(policy_call(d, pids[CLIENTS], "fifo", NULL, 0), -ESRCH);
	clients_end(d, pids, CLIENTS);
}

/* `pagerctl check` asks the daemon's policy and those of clients. */
static void
check_finds_broken(struct live *d, pid_t pid, const char *object)
{
	char broken[256], text[4096], owner[64];

	snprintf(broken, sizeof(broken), "%s:broken", object);
	snprintf(owner, sizeof(owner), "of process %d ", (int)pid);
	switch_to(d, pid, broken);
	REQUIRE(live_pagerctl(d, text, sizeof(text), "check", NULL) != 0, "%s", text);
	REQUIRE(strstr(text, "broken as was asked") && strstr(text, owner), "check says %s", text);
}

/* The policy proposes nothing, so the core chooses; after a switch to a real policy all is as
 * before. */
static void
test_lazy(struct live *d, const char *object)
{
	unsigned index[CLIENTS];
	pid_t pids[CLIENTS];

	REQUIRE(object, "which shared object?");
	live_start(d, "16M", "--param", "compressor_percent=50", NULL);
	clients_start(d, pids, index, CLIENTS);
	switch_to(d, 0, object);
	let_work(d, live_scaled(3000));
	live_check(d);
	/* The core must choose the victims. */
	WAIT_UNTIL(d, live_stat(d, "policy_fallbacks") > 0);
	switch_to(d, 0, "mach2q");
	let_work(d, 1000);
	switch_to(d, pids[1], object);
	let_work(d, live_scaled(3000));
	live_check(d);
	live_param(d, "resident_frames", "1500");
	WAIT_UNTIL(d, live_stat(d, "internal") <= 1500);
	let_work(d, live_scaled(3000));
	live_check(d);
	live_param(d, "resident_frames", "0");
	check_finds_broken(d, pids[2], object);
	EQ(policy_call(d, pids[2], "", NULL, 0), 0);
	live_check(d);
	check_finds_broken(d, 0, object);
	switch_to(d, 0, "mach2q");
	live_check(d);
	clients_end(d, pids, CLIENTS);
}

static void
test_load(struct live *d, const char *object)
{
	unsigned index[CLIENTS];
	pid_t pids[CLIENTS];
	char text[4096];

	REQUIRE(object, "which shared object?");
	/* Its hand sweeps over all page numbers that there can be, with the queues locked. */
	live_start(d, "16M", "--param", "compressor_percent=50", "--param",
	    "max_virtual_bytes=4294967296", NULL);
	clients_start(d, pids, index, CLIENTS);
	for (uint64_t i = 0; i < live_scaled(10); i++) {
		REQUIRE(
		    live_pagerctl(d, text, sizeof(text), "policy", object, NULL) == 0, "%s", text);
		REQUIRE(strstr(text, object), "shown is %s", text);
		let_work(d, live_scaled(2000));
		live_check(d);
		switch_to(d, 0, i % 2 ? "mach2q" : "2q");
		let_work(d, 200);
		live_check(d);
	}
	REQUIRE(live_pagerctl(d, text, sizeof(text), "policy", "/no/such/object.so", NULL) != 0,
	    "%s", text);
	REQUIRE(
	    live_pagerctl(d, text, sizeof(text), "policy", "/etc/passwd", NULL) != 0, "%s", text);
	live_check(d);
	clients_end(d, pids, CLIENTS);
}

/* A policy that names pages that cannot be: each is refused and counted, and the core chooses. */
static void
test_rogue(struct live *d, const char *object)
{
	unsigned index[CLIENTS];
	pid_t pids[CLIENTS];

	REQUIRE(object, "which shared object?");
	live_start(d, "16M", "--param", "compressor_percent=50", NULL);
	clients_start(d, pids, index, CLIENTS);
	switch_to(d, 0, object);
	let_work(d, live_scaled(3000));
	live_check(d);
	WAIT_UNTIL(d, live_stat(d, "policy_violations") > 0);
	WAIT_UNTIL(d, live_stat(d, "policy_fallbacks") > 0);
	switch_to(d, 0, "mach2q");
	switch_to(d, pids[1], object);
	let_work(d, live_scaled(3000));
	live_check(d);
	live_param(d, "resident_frames", "1500");
	WAIT_UNTIL(d, live_stat(d, "internal") <= 1500);
	let_work(d, live_scaled(3000));
	live_param(d, "resident_frames", "0");
	live_check(d);
	clients_end(d, pids, CLIENTS);
}

int
main(int argc, char **argv)
{
	struct live d;

	live_init(argc, argv);
	REQUIRE(argc > 1, "which test?");
	ending = shared_alloc(sizeof(*ending));
	operations = shared_alloc(sizeof(*operations));
	if (strcmp(argv[1], "switch") == 0)
		test_switch(&d);
	else if (strcmp(argv[1], "own") == 0)
		test_own(&d);
	else if (strcmp(argv[1], "load") == 0)
		test_load(&d, argc > 2 ? argv[2] : NULL);
	else if (strcmp(argv[1], "lazy") == 0)
		test_lazy(&d, argc > 3 ? argv[3] : NULL);
	else if (strcmp(argv[1], "rogue") == 0)
		test_rogue(&d, argc > 2 ? argv[2] : NULL);
	else
		FAIL("no test %s", argv[1]);
	return 0;
}
