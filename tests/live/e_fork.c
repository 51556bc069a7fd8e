/* SPDX-License-Identifier: MIT
 *
 * Forked children: each has its parent's memory as it was, and its own from then on.
 *
 * usage: e_fork plain|generations|tree|instant|beside|many [page=SIZE] [ratio=N]
 */
#include "harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "book.h"
#include "children.h"

static struct {
	const char *page;
	uint32_t ratio; /* tree: of all processes' memory to the daemon's */
} options = { "4K", 16 };

static void
start(struct live *d, const char *memory)
{
	/* There must be 512 pages. */
	memory = strcmp(options.page, "64K") == 0 ? "64M" : memory;
	live_start(
	    d, memory, "--page-size", options.page, "--param", "compressor_percent=40", NULL);
}

/* The daemon has only that many clients, and the check holds. */
static void
only_clients(struct live *d, int64_t count)
{
	WAIT_UNTIL(d, live_stat(d, "sessions") == count);
	live_check(d);
}

/* Descriptors that the daemon has for clients. */
static unsigned
of_clients(const struct live *d)
{
	return live_descriptors_count(d->pid, "pidfd") +
	       live_descriptors_count(d->pid, "[userfaultfd]") +
	       live_descriptors_count(d->pid, "pagerd-object") +
	       live_descriptors_count(d->pid, "socket:") +
	       live_descriptors_count(d->pid, "pagemap");
}

/* Whether a mapping counts. A sanitizer maps memory of its own whenever it likes, so of a process
 * that has one only those count that have a file: the library's memfds. */
static bool
mapping_counts(const char *line)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return strstr(line, "/memfd:page") != NULL;
#else
	return line[0] != '\0';
#endif
}

/* Of this process. */
static unsigned
mappings_count(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	unsigned count = 0;
	char line[512];

	REQUIRE(file != NULL);
	while (fgets(line, sizeof(line), file))
		count += mapping_counts(line);
	fclose(file);
	return count;
}

/* --- a child, and a child's child --- */

static void
generation(struct live *d, struct book *b, unsigned depth, uint64_t *rng)
{
	pid_t pid = fork_sure();

	if (pid == 0) {
		book_verify_all(b);
		book_write_all(b, &mixture_usual, rng);
		if (depth > 1)
			generation(d, b, depth - 1, rng);
		book_verify_all(b);
		_exit(0);
	}
	/* While the child reads what was. */
	for (uint32_t i = 0; i < b->count; i++)
		book_write(
		    b, (uint32_t)rng_below(rng, b->count), mixture_draw(&mixture_usual, rng));
	book_verify_all(b);
	EQ(status_of(pid), 0);
	book_verify_all(b);
}

static void
plain_client(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(d->memory_bytes / d->page_bytes / 2);
	uint64_t rng = live_seed;
	struct book b;

	(void)argument;
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	book_write_all(&b, &mixture_usual, &rng);
	generation(d, &b, 3, &rng);
	only_clients(d, 1);
	OK(pager_disconnect(p));
}

static void
test_plain(void)
{
	struct live d;

	start(&d, "16M");
	client_join(&d, client_start(&d, plain_client, NULL), true);
	REQUIRE(live_stat(&d, "forks") >= 3);
	EQ(live_stat(&d, "forks_bare"), 0);
	live_stop(&d);
}

/* --- eight generations, each with four times the memory --- */

static void
generations_client(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(d->memory_bytes / d->page_bytes * 4);
	uint64_t rng = live_seed;
	struct book b;

	(void)argument;
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	book_write_all(&b, &mixture_usual, &rng);
	generation(d, &b, 8, &rng);
	only_clients(d, 1);
	OK(pager_disconnect(p));
}

static void
test_generations(void)
{
	struct live d;

	start(&d, "2M");
	client_join(&d, client_start(&d, generations_client, NULL), true);
	REQUIRE(live_stat(&d, "forks") >= 8);
	EQ(live_stat(&d, "forks_bare"), 0);
	live_stop(&d);
}

/* --- a random tree, of which some are killed --- */

enum { DEPTH = 8, PROCESSES = 64 };
struct forest {
	atomic_uint processes, killed, generations;
};
static struct forest *forest;

/* What this process does with its memory, and its children with theirs. */
static void
grow(struct live *d, struct book *b, unsigned depth, uint64_t seed)
{
	uint64_t rng = mix64(seed), ops = live_scaled(600);
	pid_t children[PROCESSES];
	unsigned count = 0;

	for (uint64_t n = 0; n < ops; n++) {
		uint32_t page = (uint32_t)rng_below(&rng, b->count);

		if (rng_below(&rng, 2))
			book_write(b, page, mixture_draw(&mixture_usual, &rng));
		else
			book_verify(b, page);
		if (depth < DEPTH && rng_below(&rng, ops) < 4 &&
		    atomic_fetch_add(&forest->processes, 1) < PROCESSES) {
			pid_t pid = fork_sure();

			if (pid == 0) {
				atomic_fetch_add(&forest->generations, depth == DEPTH - 1);
				grow(d, b, depth + 1, mix64(seed) + n);
			}
			children[count++] = pid;
		}
		/* Wherever it is just then. */
		if (count > 0 && rng_below(&rng, ops * 3) == 0) {
			atomic_fetch_add(&forest->killed, 1);
			kill(children[rng_below(&rng, count)], SIGKILL);
		}
	}
	book_verify_all(b);
	for (unsigned i = 0; i < count; i++) {
		int status = status_of(children[i]);

		REQUIRE(status == 0 || status == SIGKILL, "a child's status is %#x", status);
	}
	if (depth > 0)
		_exit(0);
}

static void
tree_client(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(d->memory_bytes / d->page_bytes * options.ratio / PROCESSES);
	uint64_t rng = live_seed;
	struct book b;
	unsigned mappings, descriptors;
	pid_t child;

	(void)argument;
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	book_write_all(&b, &mixture_usual, &rng);
	/* What is opened once is open after the first. */
	child = fork();
	REQUIRE(child >= 0);
	if (child == 0)
		_exit(0);
	EQ(status_of(child), 0);
	mappings = mappings_count();
	REQUIRE(mappings > 0);
	descriptors = live_descriptors_count(getpid(), "");
	grow(d, &b, 0, live_seed);
	EQ(mappings_count(), mappings);
	EQ(live_descriptors_count(getpid(), ""), descriptors);
	OK(pager_disconnect(p));
}

/* What clients have of the daemon's. */
struct taken {
	int64_t frames, stored, away;
	unsigned descriptors;
};

static struct taken
taken_by_clients(struct live *d)
{
	return (struct taken){ live_stat(d, "internal"), live_stat(d, "stored_pages"),
		live_stat(d, "stored_away"), of_clients(d) };
}

static bool
taken_is(struct live *d, struct taken before)
{
	struct taken now = taken_by_clients(d);

	return now.frames == before.frames && now.stored == before.stored &&
	       now.away == before.away && now.descriptors == before.descriptors;
}

static void
test_tree(void)
{
	struct taken before;
	struct live d;

	forest = shared_alloc(sizeof(*forest));
	start(&d, "16M");
	before = taken_by_clients(&d);
	client_join(&d, client_start(&d, tree_client, NULL), true);
	/* Children of killed ones go on without them. */
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	WAIT_UNTIL(&d, taken_is(&d, before));
	EQ(live_stat(&d, "forks_bare"), 0);
	printf("%u forks wanted, %u processes killed\n", atomic_load(&forest->processes),
	    atomic_load(&forest->killed));
	live_stop(&d);
}

/* --- one instant --- */

enum { WRITERS = 3, SPREAD = 16 };
struct writer {
	volatile uint64_t *managed[SPREAD]; /* words in several pages */
	volatile uint64_t plain[SPREAD];
	atomic_bool stop;
};

/* Each number is written to managed memory first. */
static void *
writer_main(void *argument)
{
	struct writer *w = argument;

	for (uint64_t n = 1; !atomic_load(&w->stop); n++) {
		*w->managed[n % SPREAD] = n;
		w->plain[n % SPREAD] = n;
	}
	return NULL;
}

/* In a child: no number is in plain memory that managed memory has not, nor one more. */
static void
instant_verify(struct writer *writers)
{
	for (unsigned i = 0; i < WRITERS; i++)
		for (unsigned k = 0; k < SPREAD; k++) {
			uint64_t managed = *writers[i].managed[k], plain = writers[i].plain[k];

			REQUIRE(managed == plain || managed == plain + SPREAD ||
				    (plain == 0 && managed == k),
			    "writer %u, word %u: %llu in managed memory, %llu in plain", i, k,
			    (unsigned long long)managed, (unsigned long long)plain);
		}
}

static void
instant_client(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	size_t page = d->page_bytes, pages = d->memory_bytes / page / 4;
	char *base = client_allocate(p, pages * page);
	static struct writer writers[WRITERS];
	pthread_t threads[WRITERS];

	(void)argument;
	for (size_t i = 0; i < pages; i++)
		base[i * page + 8] = 1;
	for (unsigned i = 0; i < WRITERS; i++) {
		for (unsigned k = 0; k < SPREAD; k++)
			writers[i].managed[k] =
			    (uint64_t *)(void *)(base + (k * WRITERS + i) *
							    (pages / (SPREAD * WRITERS)) * page);
		REQUIRE(pthread_create(&threads[i], NULL, writer_main, &writers[i]) == 0);
	}
	/* Until a write has met a fork: for that a writer must run while this thread forks. */
	for (uint64_t n = 0; n < live_scaled(40) || live_stat(d, "fork_held") == 0; n++) {
		pid_t pid = fork_sure();

		if (pid == 0) {
			instant_verify(writers);
			_exit(0);
		}
		EQ(status_of(pid), 0);
	}
	for (unsigned i = 0; i < WRITERS; i++) {
		atomic_store(&writers[i].stop, true);
		pthread_join(threads[i], NULL);
	}
	OK(pager_disconnect(p));
}

static void
test_instant(void)
{
	struct live d;

	start(&d, "64M");
	client_join(&d, client_start(&d, instant_client, NULL), false);
	REQUIRE(live_stat(&d, "fork_held") > 0);
	live_stop(&d);
}

/* --- beside other threads' calls --- */

static atomic_bool changers_stop;
static atomic_uint changes;

/* Allocates, protects and gives back again, until it is told to end. */
static void *
changer_main(void *argument)
{
	struct pager *p = argument;
	uint64_t rng = (uintptr_t)&rng;

	while (!atomic_load(&changers_stop)) {
		size_t bytes = (1 + rng_below(&rng, 64)) * 4096 * 16;
		volatile char *base = client_allocate(p, bytes);

		for (size_t at = 0; at < bytes; at += 4096)
			base[at] = 1;
		OK(pager_protect(p, (void *)(uintptr_t)base, bytes / 2, PROT_READ));
		for (size_t at = 0; at < bytes; at += 4096)
			EQ(base[at], 1);
		OK(pager_inherit(p, (void *)(uintptr_t)base, bytes / 2,
		    rng_below(&rng, 2) ? PAGER_INHERIT_NONE : PAGER_INHERIT_COPY));
		OK(pager_deallocate(p, (void *)(uintptr_t)base, bytes));
		atomic_fetch_add(&changes, 1);
	}
	return NULL;
}

/* A child has what was there, whatever other threads were about to change, and can change it. */
static void
beside_child(struct live *d, struct pager *p, struct book *b, uint64_t seed)
{
	uint64_t rng = mix64(seed);
	char *own;

	book_verify_all(b);
	book_write_all(b, &mixture_usual, &rng);
	own = client_allocate(p, 64 * d->page_bytes);
	for (unsigned i = 0; i < 64; i++) {
		EQ(own[i * d->page_bytes], 0);
		own[i * d->page_bytes] = 1;
	}
	book_verify_all(b);
	OK(pager_deallocate(p, own, 64 * d->page_bytes));
	OK(pager_disconnect(p));
	_exit(0);
}

static void
beside_client(struct live *d, void *argument)
{
	enum { CHANGERS = 3, BOOK_PAGES = 128 };
	struct pager *p = client_connect(d);
	pthread_t threads[CHANGERS];
	uint64_t rng = live_seed;
	struct book b;

	(void)argument;
	book_open(&b, client_allocate(p, BOOK_PAGES * d->page_bytes), d->page_bytes, BOOK_PAGES, 1);
	book_write_all(&b, &mixture_usual, &rng);
	for (unsigned i = 0; i < CHANGERS; i++)
		REQUIRE(pthread_create(&threads[i], NULL, changer_main, p) == 0);
	for (uint64_t n = 0; n < live_scaled(60); n++) {
		unsigned before = atomic_load(&changes);
		pid_t pid = fork_sure();

		if (pid == 0)
			beside_child(d, p, &b, live_seed + n);
		EQ(status_of(pid), 0);
		WAIT_UNTIL(d, atomic_load(&changes) > before);
	}
	atomic_store(&changers_stop, true);
	for (unsigned i = 0; i < CHANGERS; i++)
		pthread_join(threads[i], NULL);
	book_verify_all(&b);
	only_clients(d, 1);
	OK(pager_disconnect(p));
}

static void
test_beside(void)
{
	struct live d;

	start(&d, "16M");
	client_join(&d, client_start(&d, beside_client, NULL), false);
	EQ(live_stat(&d, "forks_bare"), 0);
	live_stop(&d);
}

/* --- nothing is left --- */

static double
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int
double_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Children that end, at once or after a touch, or go on to another program, with all descriptors or
 * without. */
static void
child_end(unsigned n, char *base)
{
	switch (n % 4) {
	case 0:
		_exit(0);
	case 1:
		base[0]++;
		_exit(base[0] != 2);
	case 2:
		closefrom(3);
		/* fall through */
	default:
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
}

/* Forks, one child after the other, and waits until the daemon has forgotten all. */
static void
many_fork(struct live *d, unsigned forks, char *base, double *us)
{
	for (unsigned n = 0; n < forks; n++) {
		double before = now_us();
		pid_t pid = fork_sure();

		if (pid == 0)
			child_end(n, base);
		us[n] = now_us() - before;
		EQ(status_of(pid), 0);
	}
	WAIT_UNTIL(d, live_stat(d, "sessions") == 1);
	live_rest(d);
}

static void
many_client(struct live *d, void *argument)
{
	enum { FORKS_MAX = 1000 };
	static double us[FORKS_MAX];
	struct pager *p = client_connect(d);
	size_t page = d->page_bytes, pages = d->memory_bytes / page / 2;
	unsigned forks = (unsigned)live_scaled(*(const unsigned *)argument), fds, daemons, mappings;
	char *base = client_allocate(p, pages * page);
	int64_t frames;

	forks = forks > FORKS_MAX ? FORKS_MAX : forks;
	for (size_t i = 0; i < pages; i++)
		base[i * page] = 1;
	/* What is opened once is open after the first. */
	many_fork(d, 8, base, us);
	fds = live_descriptors_count(getpid(), "");
	mappings = mappings_count();
	daemons = of_clients(d);
	live_rest(d);
	frames = live_stat(d, "internal") + live_stat(d, "internal_compressed");
	many_fork(d, forks, base, us);
	EQ(live_descriptors_count(getpid(), ""), fds);
	EQ(mappings_count(), mappings);
	/* When the daemon was counted it may still have been closing what the first few had. */
	WAIT_UNTIL(d, of_clients(d) <= daemons);
	live_rest(d);
	EQ(live_stat(d, "internal") + live_stat(d, "internal_compressed"), frames);
	EQ(waitpid(-1, NULL, WNOHANG), -1);
	EQ(live_stat(d, "forks"), forks + 8);
	qsort(us, forks, sizeof(us[0]), double_compare);
	printf("%u forks of %zu MiB: median %.0f us, 90 %% %.0f us\n", forks, pages * page >> 20,
	    us[forks / 2], us[forks * 9 / 10]);
	OK(pager_disconnect(p));
}

static void
test_many(void)
{
	static unsigned forks = 1000;
	struct live d;

	start(&d, "32M");
	client_join(&d, client_start(&d, many_client, &forks), false);
	EQ(live_stat(&d, "forks_bare"), 0);
	live_stop(&d);
}

static const struct live_test tests[] = {
	{ "plain", test_plain },
	{ "generations", test_generations },
	{ "tree", test_tree },
	{ "instant", test_instant },
	{ "beside", test_beside },
	{ "many", test_many },
};

int
main(int argc, char **argv)
{
	live_init(argc, argv);
	for (int i = 2; i < argc; i++)
		if (strncmp(argv[i], "page=", 5) == 0)
			options.page = argv[i] + 5;
		else if (strncmp(argv[i], "ratio=", 6) == 0)
			options.ratio = (uint32_t)strtoul(argv[i] + 6, NULL, 10);
	return LIVE_RUN(argc, argv, tests);
}
