/* SPDX-License-Identifier: MIT
 *
 * Programs that interfere with the memory and the descriptors of their own connection: one closes
 * all descriptors, has none left, moves or unmaps paged memory, or is root and makes it immutable.
 *
 * usage: e_program closed|descriptors|moved|unmapped|unmapped-agent|immutable
 */
#include "harness.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "book.h"
#include "hold.h"
#include "mapping.h"

/* --- all descriptors closed by the program --- */

/* Fills twice the daemon's memory. */
static void
write_much(struct live *d, struct pager *p, struct book *b, uint32_t object)
{
	uint32_t count = (uint32_t)(2 * d->memory_bytes / d->page_bytes);
	uint64_t rng = live_seed + object;

	book_open(b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, object);
	book_write_all(b, &mixture_usual, &rng);
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
	/* The descriptor numbers belong to other files now. */
	for (int i = 0; i < 20; i++)
		REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
	/* It may open no descriptor either, as in a sandbox. */
	REQUIRE(getrlimit(RLIMIT_NOFILE, &all) == 0);
	none = (struct rlimit){ 0, all.rlim_max };
	REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
	EQ(pager_allocate(p, d->page_bytes, 0, &v), -EBADF);
	EQ(pager_statistics(p, &statistics), -EBADF);
	book_verify_all(&b);
	for (uint32_t i = 0; i < 2 * b.count; i++) {
		book_write(
		    &b, (uint32_t)rng_below(&rng, b.count), mixture_draw(&mixture_usual, &rng));
		book_verify(&b, (uint32_t)rng_below(&rng, b.count));
	}
	book_verify_all(&b);
	atomic_store(&c->verified, true);
	while (!atomic_load(&c->daemon_gone) || !atomic_load(&c->told))
		usleep(1000);
	/* The daemon's descriptor of the userfaultfd has been closed by its death. Without
	 * another one absent pages would read as zeroes. */
	REQUIRE(setrlimit(RLIMIT_NOFILE, &all) == 0);
	atomic_store(&c->watched, mapping_is_watched(b.base) &&
				      mapping_is_watched(b.base + (b.count - 1) * d->page_bytes));
	EQ(pager_statistics(p, &statistics), -ENOTCONN);
	OK(pager_disconnect(p));
	for (int fd = 3; fd < 43; fd++)
		REQUIRE(fcntl(fd, F_GETFD) >= 0,
		    "libpager closed descriptor %d, which is not its own", fd);
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
	    "no descriptor of the userfaultfd is left: absent memory reads as zeroes");
}

/* --- no descriptors left --- */

static void
few_descriptors(struct live *d, void *argument)
{
	unsigned before = live_descriptors_count(getpid(), ""), refused = 0;
	struct rlimit limit;
	struct book b;
	int r = -1;

	(void)argument;
	REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	for (unsigned count = 0; r != 0; count++) {
		struct rlimit less = { 0, limit.rlim_max };
		struct pager *p = NULL;
		int lowest[2];

		/* `count` free numbers, from the lowest one. */
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

			/* No number is left for the memfd. */
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
		EQ(live_descriptors_count(getpid(), ""), before);
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

/* Wrong content ends the test. => false: SIGBUS */
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
	/* By mremap: the daemon does not know the new address. */
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
	/* A quarter is unmapped, and half of that quarter replaced by private memory. */
	hole = b.count / 4 * d->page_bytes;
	size = hole / 2;
	REQUIRE(munmap(b.base + hole, hole) == 0);
	REQUIRE(mmap(b.base + hole, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == b.base + hole);
	book_open(&own, b.base + hole, d->page_bytes, (uint32_t)(size / d->page_bytes), 3);
	book_write_all(&own, &mixture_usual, &rng);
	/* The daemon reclaims pages meanwhile, including those that it wrongly takes for mapped. */
	write_much(d, p, &other, 2);
	OK(pager_behavior(p, b.base, b.count * d->page_bytes, PAGER_BEHAVIOR_DONTNEED));
	OK(pager_behavior(p, b.base, b.count * d->page_bytes, PAGER_BEHAVIOR_WILLNEED));
	OK(pager_behavior(p, b.base, b.count * d->page_bytes, PAGER_BEHAVIOR_PAGEOUT));
	book_verify_all(&other);
	book_verify_all(&own);
	OK(pager_deallocate(p, b.base, b.count * d->page_bytes));
	book_verify_all(&own);
	OK(pager_deallocate(p, other.base, other.count * d->page_bytes));
	live_rest(d);
	OK(pager_statistics(p, &statistics));
	EQ(statistics.virtual_size, 0);
	EQ(statistics.phys_footprint, 0);
	/* The addresses are given out again, except for the private mapping. */
	write_much(d, p, &other, 4);
	book_verify_all(&other);
	book_verify_all(&own);
	OK(pager_disconnect(p));
	book_verify_all(&own);
}

static void
unmapped_by(const char *zap)
{
	struct live d;

	live_start(&d, "8M", "--param", zap, NULL);
	client_join(&d, client_start(&d, unmapper, NULL), false);
	live_stop(&d);
}

static void
test_unmapped(void)
{
	unmapped_by("zap=1");
}

static void
test_unmapped_agent(void)
{
	unmapped_by("zap=2");
}

/* --- root makes its memory immutable --- */

static void
immutable(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint64_t rng = live_seed;
	struct book b;
	int fd, flags;

	(void)argument;
	write_much(d, p, &b, 1);
	fd = hold_open(b.base);
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
			book_write(&b, (uint32_t)rng_below(&rng, b.count),
			    mixture_draw(&mixture_usual, &rng));
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
	client_forget(pid);
	REQUIRE(waitpid(pid, &status, 0) == pid);
	live_stop(&d);
	REQUIRE(WIFEXITED(status), "the client ended by signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		exit(WEXITSTATUS(status));
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = {
		{ "closed", test_closed },
		{ "descriptors", test_descriptors },
		{ "moved", test_moved },
		{ "unmapped", test_unmapped },
		{ "unmapped-agent", test_unmapped_agent },
		{ "immutable", test_immutable },
	};

	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
