/* SPDX-License-Identifier: MIT
 *
 * Clients that end, stop, are many, or are nobody; that close all descriptors, have none left, move
 * or unmap paged memory, or are root and make it immutable.
 *
 * usage: e_client
 * killed|stopped|stopped-agent|many|nobody|sparse|closed|descriptors|moved|unmapped|immutable
 */
#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "book.h"

static const struct mixture mixture = { 5, 10, 30 };

/* --- killed at random instants --- */

struct progress {
	_Atomic uint64_t operations;
	atomic_bool stop;
};
static struct progress *progress; /* shared */

struct victim_thread {
	struct pager *pager;
	struct live *daemon;
	struct progress *progress;
	uint64_t seed;
	uint32_t object;
	uint64_t rounds; /* 0: until it is killed or told to stop */
};

/* Writes and reads, maps and unmaps, wires and hints, for as long as it lives. */
static void *
victim_main(void *argument)
{
	struct victim_thread *v = argument;
	size_t page = v->daemon->page_bytes;
	uint64_t rng = v->seed;

	for (uint64_t n = 0; !atomic_load(&v->progress->stop) && (v->rounds == 0 || n < v->rounds);
	     n++) {
		uint32_t count = 16 + (uint32_t)rng_below(&rng, 700);
		struct book b;
		void *memory = client_allocate(v->pager, count * page);

		book_open(&b, memory, page, count, v->object + (uint32_t)n * 16);
		for (uint32_t i = 0; i < 3 * count; i++) {
			uint32_t at = (uint32_t)rng_below(&rng, count);

			if (rng_below(&rng, 3))
				book_write(&b, at, mixture_draw(&mixture, &rng));
			else
				book_verify(&b, at);
			atomic_fetch_add(&v->progress->operations, 1);
		}
		if (pager_wire(v->pager, memory, 8 * page) == 0 && n % 2)
			OK(pager_unwire(v->pager, memory, 8 * page));
		OK(pager_behavior(v->pager, memory, count * page, PAGER_BEHAVIOR_DONTNEED));
		OK(pager_behavior(v->pager, memory, count * page, PAGER_BEHAVIOR_WILLNEED));
		OK(pager_behavior(v->pager, memory, count / 2 * page, PAGER_BEHAVIOR_PAGEOUT));
		book_verify_all(&b);
		if (n % 4 != 3)
			OK(pager_deallocate(v->pager, memory, count * page));
		book_close(&b);
	}
	return NULL;
}

static void
victim(struct live *d, void *argument)
{
	struct victim_thread threads[2];
	pthread_t ids[2];
	struct pager *p = client_connect(d);

	(void)argument;
	for (unsigned i = 0; i < 2; i++) {
		threads[i] =
		    (struct victim_thread){ p, d, progress, mix64((uint64_t)getpid() + i), i, 0 };
		REQUIRE(pthread_create(&ids[i], NULL, victim_main, &threads[i]) == 0);
	}
	for (unsigned i = 0; i < 2; i++)
		pthread_join(ids[i], NULL);
}

/* Lives through it all: nothing of its memory may change. */
static void
bystander(struct live *d, void *argument)
{
	struct progress *own = argument;
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(d->memory_bytes / d->page_bytes);
	uint64_t rng = live_seed;
	struct book b;

	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 9999);
	for (uint32_t i = 0; i < count; i++)
		book_write(&b, i, mixture_draw(&mixture, &rng));
	for (uint64_t n = 0; !atomic_load(&own->stop); n++) {
		uint32_t page = (uint32_t)rng_below(&rng, count);

		book_verify(&b, page);
		if (n % 3 == 0)
			book_write(&b, page, mixture_draw(&mixture, &rng));
		atomic_fetch_add(&own->operations, 1);
	}
	book_verify_all(&b);
	OK(pager_disconnect(p));
}

static void
test_killed(void)
{
	struct progress *other = shared_alloc(sizeof(*other));
	uint64_t rng = mix64(live_seed), kills = live_scaled(40);
	struct live d;
	pid_t by, pids[2];

	progress = shared_alloc(sizeof(*progress));
	live_start(&d, "8M", "--param", "compressor_percent=30", "--param",
	    "swap_file_bytes=33554432", NULL);
	by = client_start(&d, bystander, other);
	pids[0] = client_start(&d, victim, NULL);
	pids[1] = client_start(&d, victim, NULL);
	for (uint64_t n = 0; n < kills; n++) {
		uint64_t until = atomic_load(&progress->operations) + rng_below(&rng, 6000);

		/* Sometimes while it is still connecting. */
		if (n % 8 != 7)
			WAIT_UNTIL(&d,
			    (live_sample(&d, false), atomic_load(&progress->operations) >= until));
		client_kill(pids[n % 2]);
		pids[n % 2] = client_start(&d, victim, NULL);
	}
	client_kill(pids[0]);
	client_kill(pids[1]);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 1);
	live_check(&d);
	atomic_store(&other->stop, true);
	client_join(&d, by, false);
	printf("%llu killed, %llu operations by them, %llu by the one that stayed\n",
	    (unsigned long long)kills, (unsigned long long)atomic_load(&progress->operations),
	    (unsigned long long)atomic_load(&other->operations));
	live_stop(&d);
}

/* --- stopped while others take its memory --- */

struct stopped {
	atomic_bool filled, go_on;
	atomic_uint verified;
};

static void
sleeper(struct live *d, void *argument)
{
	struct stopped *s = argument;
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(d->memory_bytes / d->page_bytes / 2);
	uint64_t rng = live_seed;
	struct book b;

	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	for (uint32_t i = 0; i < count; i++)
		book_write(&b, i, mixture_draw(&mixture, &rng));
	atomic_store(&s->filled, true);
	WAIT_UNTIL(d, atomic_load(&s->go_on));
	book_verify_all(&b);
	OK(pager_disconnect(p));
}

static void
presser(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(d->memory_bytes / d->page_bytes * 2);
	uint64_t rng = live_seed + 1;
	struct book b;

	(void)argument;
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 2);
	for (unsigned round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < count; i++)
			book_write(&b, i, mixture_draw(&mixture, &rng));
		book_verify_all(&b);
	}
	OK(pager_disconnect(p));
}

static int64_t
resident_of(struct live *d, pid_t pid)
{
	struct pager_req_footprint request = { .pid = (uint32_t)pid };
	struct pager_rep_footprint reply;
	struct chan_call call = { CHAN_CALL(FOOTPRINT, &request, &reply) };

	OK(chan_exchange(&d->chan, &call));
	return (int64_t)reply.client.ledger[PAGER_LEDGER_INTERNAL];
}

static void
test_stopped(const char *zap)
{
	struct stopped *s = shared_alloc(sizeof(*s));
	int64_t before, after;
	struct live d;
	pid_t pid;

	live_start(&d, "8M", "--param", zap, NULL);
	pid = client_start(&d, sleeper, s);
	WAIT_UNTIL(&d, atomic_load(&s->filled));
	kill(pid, SIGSTOP);
	waitpid(pid, NULL, WUNTRACED);
	before = resident_of(&d, pid);
	REQUIRE(before > 0);
	client_join(&d, client_start(&d, presser, NULL), true);
	after = resident_of(&d, pid);
	printf("%s: the stopped client held %lld KiB, and %lld under pressure\n", zap,
	    (long long)before >> 10, (long long)after >> 10);
	REQUIRE(after < before / 2,
	    "a stopped client's memory is not taken: %lld of %lld bytes stay", (long long)after,
	    (long long)before);
	kill(pid, SIGCONT);
	atomic_store(&s->go_on, true);
	client_join(&d, pid, false);
	live_stop(&d);
}

/* --- many at once --- */

struct crowd {
	_Atomic uint32_t ready;
	atomic_bool go;
};

static void
one_of_many(struct live *d, void *argument)
{
	struct crowd *c = argument;
	struct pager *p = client_connect(d);
	uint64_t rng = mix64((uint64_t)getpid());
	struct book b;

	book_open(
	    &b, client_allocate(p, 200 * d->page_bytes), d->page_bytes, 200, (uint32_t)getpid());
	atomic_fetch_add(&c->ready, 1);
	WAIT_UNTIL(d, atomic_load(&c->go));
	for (uint32_t i = 0; i < b.count; i++)
		book_write(&b, i, mixture_draw(&mixture, &rng));
	for (uint32_t i = 0; i < 2 * b.count; i++) {
		book_verify(&b, (uint32_t)rng_below(&rng, b.count));
		book_write(&b, (uint32_t)rng_below(&rng, b.count), mixture_draw(&mixture, &rng));
	}
	book_verify_all(&b);
	if (getpid() % 2)
		OK(pager_disconnect(p));
}

static void
test_many(void)
{
	enum { MANY = 200 };
	struct crowd *c = shared_alloc(sizeof(*c));
	static char text[200000];
	unsigned listed = 0;
	pid_t pids[MANY];
	struct live d;

	live_start(&d, "32M", "--param", "compressor_percent=40", NULL);
	for (int i = 0; i < MANY; i++)
		pids[i] = client_start(&d, one_of_many, c);
	WAIT_UNTIL(&d, atomic_load(&c->ready) == MANY);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == MANY);
	REQUIRE(live_pagerctl(&d, text, sizeof(text), "clients", "--json", NULL) == 0, "%s", text);
	for (int i = 0; i < MANY; i++) {
		char pid[32];

		snprintf(pid, sizeof(pid), "%d", (int)pids[i]);
		listed += strstr(text, pid) != NULL;
	}
	EQ(listed, MANY);
	atomic_store(&c->go, true);
	for (int i = 0; i < MANY; i++) {
		client_join(&d, pids[i], false);
		live_sample(&d, i % 8 == 0);
	}
	live_stop(&d);
}

/* --- uid nobody, four times the memory --- */

static void
nobody(struct live *d, void *argument)
{
	struct pager *p;
	uint32_t count = (uint32_t)(4 * d->memory_bytes / d->page_bytes);
	uint64_t rng = live_seed;
	struct book b;

	(void)argument;
	EQ(geteuid(), 65534);
	REQUIRE(open("/dev/userfaultfd", O_RDWR | O_CLOEXEC) < 0 || getenv("LIVE_OPEN_UFFD"),
	    "/dev/userfaultfd is open to everybody here");
	p = client_connect(d);
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	for (uint32_t i = 0; i < count; i++)
		book_write(&b, i, mixture_draw(&mixture, &rng));
	book_verify_all(&b);
	for (uint32_t i = 0; i < count; i++)
		book_write(&b, (uint32_t)rng_below(&rng, count), mixture_draw(&mixture, &rng));
	book_verify_all(&b);
	/* What is not its business is refused, and the session goes on. */
	{
		char text[1000];

		REQUIRE(live_pagerctl(
			    d, text, sizeof(text), "debug", "fail", "FRAME_TAKE:0:0", NULL) != 0,
		    "nobody may arm fail points");
		REQUIRE(live_pagerctl(d, text, sizeof(text), "param", "fault_cluster=1", NULL) != 0,
		    "nobody may set parameters");
		REQUIRE(live_pagerctl(d, text, sizeof(text), "limit", "1", "1M", NULL) != 0,
		    "nobody may set limits");
	}
	OK(pager_disconnect(p));
}

static void
test_nobody(void)
{
	struct live d;

	if (geteuid() != 0) {
		fprintf(stderr, "skipped: only root can become nobody\n");
		exit(77);
	}
	live_start(&d, "16M", NULL);
	client_join(&d, client_start_as(&d, 65534, nobody, NULL), true);
	EQ(live_stat(&d, "pages_lost"), 0);
	live_stop(&d);
}

/* --- 64 GiB, mostly never touched --- */

static void
sparse(struct live *d, void *argument)
{
	const uint64_t size = 64ull << 30, pages = size / d->page_bytes;
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, size);
	enum { TOUCHED = 8000 };
	uint64_t seed = mix64(live_seed), rng = seed, sum = 0;
	struct pager_region_info info;
	struct pager_statistics statistics;

	(void)argument;
	for (int i = 0; i < TOUCHED; i++) {
		uint64_t page = rng_below(&rng, pages);

		*(volatile uint64_t *)(void *)(base + page * d->page_bytes + 8) = mix64(page);
	}
	OK(pager_statistics(p, &statistics));
	EQ(statistics.virtual_size, size);
	REQUIRE(statistics.phys_footprint <= (uint64_t)TOUCHED * d->page_bytes, "%llu bytes billed",
	    (unsigned long long)statistics.phys_footprint);
	OK(pager_region(p, base, &info));
	EQ(info.size_bytes, size);
	rng = seed;
	for (int i = 0; i < TOUCHED; i++) {
		uint64_t page = rng_below(&rng, pages),
			 word = *(volatile uint64_t *)(void *)(base + page * d->page_bytes + 8);

		REQUIRE(word == mix64(page), "page %llu has another word: %llx",
		    (unsigned long long)page, (unsigned long long)word);
		REQUIRE(*(volatile uint64_t *)(void *)(base + page * d->page_bytes) == 0,
		    "page %llu", (unsigned long long)page);
	}
	for (uint64_t i = 0; i < 200; i++)
		sum += base[size - 1 - i * (size / 256)];
	EQ(sum, 0);
	OK(pager_behavior(p, base, size, PAGER_BEHAVIOR_FREE));
	OK(pager_statistics(p, &statistics));
	EQ(statistics.phys_footprint, 0);
	EQ(base[0], 0);
	OK(pager_deallocate(p, base, size));
	OK(pager_statistics(p, &statistics));
	EQ(statistics.virtual_size, 0);
	OK(pager_disconnect(p));
}

static void
test_sparse(void)
{
	struct live d;

	live_start(&d, "16M", NULL);
	client_join(&d, client_start(&d, sparse, NULL), true);
	live_stop(&d);
}

/* --- all descriptors closed by the program --- */

/* Fills twice what the daemon holds. */
static void
write_much(struct live *d, struct pager *p, struct book *b, uint32_t object)
{
	uint32_t count = (uint32_t)(2 * d->memory_bytes / d->page_bytes);
	uint64_t rng = live_seed + object;

	book_open(b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, object);
	for (uint32_t i = 0; i < count; i++)
		book_write(b, i, mixture_draw(&mixture, &rng));
}

/* VmFlags of the mapping: whether a userfaultfd watches it for missing pages. */
static bool
is_watched(const void *address)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	unsigned long low, high;
	bool here = false, watched = false;
	char line[512];

	REQUIRE(smaps);
	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &low, &high) == 2)
			here = (uintptr_t)address >= low && (uintptr_t)address < high;
		else if (here && strncmp(line, "VmFlags:", 8) == 0)
			watched = strstr(line, " um") != NULL;
	}
	fclose(smaps);
	return watched;
}

struct closer {
	atomic_bool verified, daemon_gone, watched, told;
};

static void
closer_event(void *context, enum pager_event event, uint64_t value)
{
	struct closer *c = context;

	(void)value;
	if (event == PAGER_EVENT_DAEMON_DIED)
		atomic_store(&c->told, true);
}

static void
closer(struct live *d, void *argument)
{
	struct closer *c = argument;
	struct pager_options options = {
		.size = sizeof(options), .event = closer_event, .event_context = c
	};
	struct rlimit all, none;
	struct pager_statistics statistics;
	struct pager *p;
	uint64_t rng = live_seed;
	struct book b;
	int fds[2];
	void *v;

	OK(pager_connect(d->socket, &options, &p));
	write_much(d, p, &b, 1);
	REQUIRE(syscall(SYS_close_range, 3u, ~0u, 0u) == 0);
	/* The numbers are other files' now. */
	for (int i = 0; i < 20; i++)
		REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
	/* Nor may it have any more, as in a sandbox. */
	REQUIRE(getrlimit(RLIMIT_NOFILE, &all) == 0);
	none = (struct rlimit){ 0, all.rlim_max };
	REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
	EQ(pager_allocate(p, d->page_bytes, 0, &v), -EBADF);
	EQ(pager_statistics(p, &statistics), -EBADF);
	book_verify_all(&b);
	for (uint32_t i = 0; i < 2 * b.count; i++) {
		book_write(&b, (uint32_t)rng_below(&rng, b.count), mixture_draw(&mixture, &rng));
		book_verify(&b, (uint32_t)rng_below(&rng, b.count));
	}
	book_verify_all(&b);
	atomic_store(&c->verified, true);
	while (!atomic_load(&c->daemon_gone) || !atomic_load(&c->told))
		usleep(1000);
	/* The daemon's descriptor of the userfaultfd has gone with it. Were there no other, what is
	 * away would read as zeroes. */
	REQUIRE(setrlimit(RLIMIT_NOFILE, &all) == 0);
	atomic_store(
	    &c->watched, is_watched(b.base) && is_watched(b.base + (b.count - 1) * d->page_bytes));
	EQ(pager_statistics(p, &statistics), -ENOTCONN);
	OK(pager_disconnect(p));
	for (int fd = 3; fd < 43; fd++)
		REQUIRE(fcntl(fd, F_GETFD) >= 0, "descriptor %d was closed by somebody else", fd);
}

static void
test_closed(void)
{
	struct closer *c = shared_alloc(sizeof(*c));
	struct live d;
	pid_t pid;

	live_start(&d, "8M", "--param", "compressor_percent=30", NULL);
	pid = client_start(&d, closer, c);
	WAIT_UNTIL(&d, atomic_load(&c->verified));
	EQ(live_stat(&d, "sessions"), 1);
	live_check(&d);
	live_kill(&d);
	atomic_store(&c->daemon_gone, true);
	client_join(&d, pid, false);
	REQUIRE(atomic_load(&c->watched),
	    "nobody holds the userfaultfd: memory that is away reads as zeroes");
}

/* --- no descriptors left --- */

static unsigned
descriptors_open(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned count = 0;

	REQUIRE(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static void
few_descriptors(struct live *d, void *argument)
{
	unsigned before = descriptors_open(), refused = 0;
	struct rlimit limit;
	struct book b;
	int r = -1;

	(void)argument;
	REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	for (unsigned count = 0; r != 0; count++) {
		struct rlimit less = { 0, limit.rlim_max };
		struct pager *p = NULL;
		int lowest[2];

		/* As many numbers as may be free, from the lowest on. */
		REQUIRE(pipe2(lowest, O_CLOEXEC) == 0);
		close(lowest[0]);
		close(lowest[1]);
		less.rlim_cur = (rlim_t)(lowest[0] < lowest[1] ? lowest[0] : lowest[1]) + count;
		REQUIRE(setrlimit(RLIMIT_NOFILE, &less) == 0);
		r = pager_connect(d->socket, NULL, &p);
		REQUIRE(r == 0 || r == -EMFILE, "with %u descriptors pager_connect says %s", count,
		    strerror(-r));
		if (r == 0) {
			void *v = NULL;

			/* Nothing is left for the memfd, or just enough. */
			less.rlim_cur = 0;
			REQUIRE(setrlimit(RLIMIT_NOFILE, &less) == 0);
			for (int i = 0; i < 5; i++)
				EQ(pager_allocate(
				       p, (1u + (unsigned)i * 10000u) * d->page_bytes, 0, &v),
				    -EMFILE);
			REQUIRE(!v);
			REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
			{
				struct pager_statistics statistics;
				struct pager_region_info info;

				OK(pager_statistics(p, &statistics));
				EQ(statistics.virtual_size, 0);
				EQ(pager_region(p, NULL, &info), -ENOENT);
			}
			write_much(d, p, &b, 1);
			book_verify_all(&b);
			OK(pager_disconnect(p));
		}
		refused += r < 0;
		REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
		EQ(descriptors_open(), before);
	}
	REQUIRE(refused > 2);
}

static void
test_descriptors(void)
{
	struct live d;

	live_start(&d, "8M", NULL);
	client_join(&d, client_start(&d, few_descriptors, NULL), false);
	live_stop(&d);
}

/* --- paged memory moved, unmapped, and something else in its place --- */

static sigjmp_buf no_page;

static void
on_no_page(int number)
{
	(void)number;
	siglongjmp(no_page, 1);
}

/* Content that is not the truth ends the test. => false: SIGBUS */
static bool
verify_or_bus(const struct book *b, uint32_t page, const unsigned char *at, unsigned char *copy)
{
	if (sigsetjmp(no_page, 1))
		return false;
	memcpy(copy, at, b->page_bytes);
	book_verify_copy(b, page, copy, "where it was moved to");
	return true;
}

static void
mover(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	unsigned char *copy = malloc(d->page_bytes), *to;
	unsigned there = 0, bus = 0;
	struct book b, other;

	(void)argument;
	signal(SIGBUS, on_no_page);
	write_much(d, p, &b, 1);
	/* By the kernel's own means: the daemon cannot know it there. */
	to = mmap(NULL, b.count * d->page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(to != MAP_FAILED);
	to = mremap(b.base, b.count * d->page_bytes, b.count * d->page_bytes,
	    MREMAP_MAYMOVE | MREMAP_FIXED, to);
	REQUIRE(to != MAP_FAILED, "%s", strerror(errno));
	for (uint32_t i = 0; i < b.count; i++)
		if (verify_or_bus(&b, i, to + i * d->page_bytes, copy))
			there++;
		else
			bus++;
	printf("moved: %u pages had their content, %u were SIGBUS\n", there, bus);
	REQUIRE(bus >= b.count / 2, "more pages than the daemon holds can be read");
	/* The rest of the connection is as good as before. */
	write_much(d, p, &other, 2);
	book_verify_all(&other);
	OK(pager_deallocate(p, b.base, b.count * d->page_bytes));
	book_verify_all(&other);
	OK(pager_disconnect(p));
	free(copy);
}

static void
test_moved(void)
{
	struct live d;

	live_start(&d, "8M", NULL);
	client_join(&d, client_start(&d, mover, NULL), true);
	live_stop(&d);
}

static void
unmapper(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	struct pager_statistics statistics;
	struct book b, other, own;
	size_t hole, size;
	uint64_t rng = live_seed;

	(void)argument;
	write_much(d, p, &b, 1);
	/* A quarter of it, and private memory in the place of half of that. */
	hole = b.count / 4 * d->page_bytes;
	size = hole / 2;
	REQUIRE(munmap(b.base + hole, hole) == 0);
	REQUIRE(mmap(b.base + hole, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == b.base + hole);
	book_open(&own, b.base + hole, d->page_bytes, (uint32_t)(size / d->page_bytes), 3);
	for (uint32_t i = 0; i < own.count; i++)
		book_write(&own, i, mixture_draw(&mixture, &rng));
	/* The daemon takes its pages away meanwhile: what it believes to be there, too. */
	write_much(d, p, &other, 2);
	OK(pager_behavior(p, b.base, b.count * d->page_bytes, PAGER_BEHAVIOR_DONTNEED));
	OK(pager_behavior(p, b.base, b.count * d->page_bytes, PAGER_BEHAVIOR_WILLNEED));
	OK(pager_behavior(p, b.base, b.count * d->page_bytes, PAGER_BEHAVIOR_PAGEOUT));
	book_verify_all(&other);
	book_verify_all(&own);
	OK(pager_deallocate(p, b.base, b.count * d->page_bytes));
	book_verify_all(&own);
	OK(pager_deallocate(p, other.base, other.count * d->page_bytes));
	OK(pager_statistics(p, &statistics));
	EQ(statistics.virtual_size, 0);
	EQ(statistics.phys_footprint, 0);
	/* Given out again, but for what is taken. */
	write_much(d, p, &other, 4);
	book_verify_all(&other);
	book_verify_all(&own);
	OK(pager_disconnect(p));
	book_verify_all(&own);
}

static void
test_unmapped(const char *zap)
{
	struct live d;

	live_start(&d, "8M", "--param", zap, NULL);
	client_join(&d, client_start(&d, unmapper, NULL), false);
	live_stop(&d);
}

/* --- root makes its memory immutable --- */

static int
object_of(const void *address)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long low, high;
	char line[512], path[128];
	int fd = -1;

	REQUIRE(maps);
	while (fd < 0 && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx ", &low, &high) == 2 && (uintptr_t)address >= low &&
		    (uintptr_t)address < high) {
			snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", low, high);
			fd = open(path, O_RDWR | O_CLOEXEC);
		}
	fclose(maps);
	return fd;
}

static void
immutable(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint64_t rng = live_seed;
	struct book b;
	int fd, flags;

	(void)argument;
	write_much(d, p, &b, 1);
	fd = object_of(b.base);
	if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0) {
		fprintf(stderr, "skipped: this kernel's memfds have no attributes, or map_files "
				"cannot be opened\n");
		exit(77);
	}
	for (uint32_t round = 0; round < 8; round++) {
		flags |= FS_IMMUTABLE_FL;
		REQUIRE(ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0, "%s", strerror(errno));
		for (uint32_t i = 0; i < b.count / 2; i++) {
			book_verify(&b, (uint32_t)rng_below(&rng, b.count));
			book_write(
			    &b, (uint32_t)rng_below(&rng, b.count), mixture_draw(&mixture, &rng));
		}
		book_verify_all(&b);
	}
	OK(pager_behavior(p, b.base, b.count / 2 * d->page_bytes, PAGER_BEHAVIOR_FREE));
	EQ(b.base[0], 0);
	OK(pager_disconnect(p));
}

static void
test_immutable(void)
{
	struct live d;
	pid_t pid;
	int status;

	if (geteuid() != 0) {
		fprintf(stderr, "skipped: only root can make a file immutable\n");
		exit(77);
	}
	live_start(&d, "8M", NULL);
	pid = client_start(&d, immutable, NULL);
	REQUIRE(waitpid(pid, &status, 0) == pid);
	live_stop(&d);
	REQUIRE(WIFEXITED(status), "the client ended by signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		exit(WEXITSTATUS(status));
}

int
main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	live_init(argc, argv);
	if (strcmp(name, "killed") == 0)
		test_killed();
	else if (strcmp(name, "stopped") == 0)
		test_stopped("zap=1");
	else if (strcmp(name, "stopped-agent") == 0)
		test_stopped("zap=2");
	else if (strcmp(name, "many") == 0)
		test_many();
	else if (strcmp(name, "nobody") == 0)
		test_nobody();
	else if (strcmp(name, "sparse") == 0)
		test_sparse();
	else if (strcmp(name, "closed") == 0)
		test_closed();
	else if (strcmp(name, "descriptors") == 0)
		test_descriptors();
	else if (strcmp(name, "moved") == 0)
		test_moved();
	else if (strcmp(name, "unmapped") == 0)
		test_unmapped("zap=1");
	else if (strcmp(name, "unmapped-agent") == 0)
		test_unmapped("zap=2");
	else if (strcmp(name, "immutable") == 0)
		test_immutable();
	else
		FAIL("no such test: \"%s\"", name);
	return 0;
}
