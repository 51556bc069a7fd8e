/* SPDX-License-Identifier: MIT
 *
 * Forks that do not go as usual, and what inheritance says.
 *
 * usage: e_fork_odd inheritance|wired|closed|refused|limit|holes|dropped
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "book.h"
#include "children.h"

enum { PAGES = 64 };

/* What ends a child that touches an address. */
static int
touch_raises(volatile char *at)
{
	pid_t pid = fork_sure();
	int status;

	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		(void)*at;
		_exit(0);
	}
	status = status_of(pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void
run(client_body *body, const char *memory)
{
	struct live d;

	live_start(&d, memory, NULL);
	client_join(&d, client_start(&d, body, &d), false);
	live_stop(&d);
}

/* --- share, copy, none; files --- */

static void
inheritance_client(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	size_t page = d->page_bytes, bytes = PAGES * page;
	char *copied = client_allocate(p, bytes), *shared, *file, path[160];
	struct pager_region_info info;
	void *v = NULL;
	pid_t pid;
	int fd;

	(void)argument;
	OK(pager_allocate(p, bytes, PAGER_ALLOC_SHAREABLE, &v));
	shared = v;
	snprintf(path, sizeof(path), "%s/inherited", d->directory);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
	OK(pager_map_file(p, fd, 0, bytes, PROT_READ | PROT_WRITE, PAGER_MAP_SHARED, &v));
	file = v;
	OK(pager_inherit(p, shared, bytes / 2, PAGER_INHERIT_SHARE));
	OK(pager_inherit(p, copied + bytes / 2, bytes / 2, PAGER_INHERIT_NONE));
	OK(pager_protect(p, copied, page, PROT_READ));
	OK(pager_tag(p, copied + page, page, 77));
	EQ(pager_inherit(p, copied, page, PAGER_INHERIT_SHARE), -ENOTSUP);
	OK(pager_region(p, file, &info));
	EQ(info.inheritance, PAGER_INHERIT_SHARE);
	copied[page] = shared[0] = shared[bytes / 2] = file[page] = 1;
	pid = fork_sure();
	if (pid == 0) {
		REQUIRE(copied[page] == 1 && shared[0] == 1 && shared[bytes / 2] == 1 &&
			file[page] == 1);
		copied[page] = shared[0] = shared[bytes / 2] = file[page] = 2;
		/* Its own calls, which begin with its first. */
		OK(pager_region(p, copied + page, &info));
		EQ(info.tag, 77);
		EQ(info.protection, PROT_READ | PROT_WRITE);
		OK(pager_region(p, copied, &info));
		EQ(info.protection, PROT_READ);
		OK(pager_region(p, shared, &info));
		EQ(info.inheritance, PAGER_INHERIT_SHARE);
		EQ(pager_deallocate(p, copied + bytes / 2, page), -EINVAL);
		OK(pager_deallocate(p, copied, bytes / 2));
		OK(pager_msync(p, file, bytes, PAGER_MSYNC_SYNC));
		OK(pager_disconnect(p));
		_exit(0);
	}
	EQ(status_of(pid), 0);
	EQ(copied[page], 1);
	EQ(shared[0], 2);
	EQ(shared[bytes / 2], 1);
	EQ(file[page], 2);
	EQ(touch_raises(copied + bytes / 2), SIGSEGV);
	EQ(touch_raises(copied), 0);
	WAIT_UNTIL(d, live_stat(d, "sessions") == 1);
	live_check(d);
	close(fd);
	OK(pager_disconnect(p));
}

static void
test_inheritance(void)
{
	run(inheritance_client, "16M");
}

/* --- wired memory, and what a page list has --- */

static void
wired_client(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	size_t page = d->page_bytes;
	struct pager_statistics stat;
	struct pager_upl *list;
	struct book b;
	uint64_t rng = live_seed;
	char *base = client_allocate(p, 3 * PAGES * page);
	pid_t pid;

	(void)argument;
	book_open(&b, base, page, 2 * PAGES, 1);
	book_write_all(&b, &mixture_usual, &rng);
	OK(pager_wire(p, base + PAGES / 2 * page, PAGES * page));
	OK(pager_upl_create(p, base + 2 * PAGES * page, page, 0, &list));
	pid = fork_sure();
	if (pid == 0) {
		book_verify_all(&b);
		book_write_all(&b, &mixture_usual, &rng);
		book_verify_all(&b);
		OK(pager_statistics(p, &stat));
		EQ(stat.wired_mem, 0);
		EQ(pager_unwire(p, base + PAGES / 2 * page, PAGES * page), -EINVAL);
		EQ(pager_upl_destroy(list), -ENOTCONN);
		_exit(0);
	}
	for (uint32_t i = 0; i < b.count; i++)
		book_write(&b, i, mixture_draw(&mixture_usual, &rng));
	EQ(status_of(pid), 0);
	book_verify_all(&b);
	EQ(touch_raises(base + 2 * PAGES * page), SIGSEGV);
	EQ(touch_raises(base + 2 * PAGES * page + page), 0);
	OK(pager_upl_destroy(list));
	OK(pager_unwire(p, base + PAGES / 2 * page, PAGES * page));
	WAIT_UNTIL(d, live_stat(d, "sessions") == 1);
	live_check(d);
	OK(pager_disconnect(p));
}

static void
test_wired(void)
{
	run(wired_client, "16M");
}

/* --- a child that closes everything, and goes on to another program --- */

static void
closed_client(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	size_t page = d->page_bytes;
	uint32_t count = (uint32_t)(d->memory_bytes / page);
	uint64_t rng = live_seed;
	struct book b;
	pid_t pid;
	int pipes[2];
	char byte;

	(void)argument;
	REQUIRE(pipe(pipes) == 0);
	book_open(&b, client_allocate(p, count * page), page, count, 1);
	book_write_all(&b, &mixture_usual, &rng);
	pid = fork_sure();
	if (pid == 0) {
		REQUIRE(dup2(pipes[0], 0) == 0);
		closefrom(1);
		book_verify_all(&b);
		book_write_all(&b, &mixture_usual, &rng);
		book_verify_all(&b);
		if (read(0, &byte, 1) != 1)
			_exit(1);
		execl("/bin/cat", "cat", NULL);
		_exit(1);
	}
	EQ(write(pipes[1], "x", 1), 1);
	/* The other program waits for input, and is no client. */
	WAIT_UNTIL(d, live_stat(d, "sessions") == 1);
	close(pipes[0]);
	close(pipes[1]);
	EQ(WIFEXITED(status_of(pid)), 1);
	book_verify_all(&b);
	live_check(d);
	OK(pager_disconnect(p));
}

static void
test_closed(void)
{
	run(closed_client, "16M");
}

/* --- no room for another client --- */

static void
refused_client(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	char *base = client_allocate(p, PAGES * d->page_bytes);
	int pipes[2];
	char byte;
	pid_t pid;

	(void)argument;
	base[0] = 1;
	REQUIRE(pipe(pipes) == 0);
	pid = fork_sure();
	if (pid == 0) {
		close(pipes[1]);
		REQUIRE(read(pipes[0], &byte, 1) == 0 && base[0] == 1);
		_exit(0);
	}
	/* That child has the last place. */
	EQ(touch_raises(base), SIGBUS);
	EQ(touch_raises(base), SIGBUS);
	EQ(base[0], 1);
	close(pipes[1]);
	EQ(status_of(pid), 0);
	EQ(live_stat(d, "forks_bare"), 2);
	/* The place is free some time after the client has been counted for the last time. */
	WAIT_UNTIL(d, touch_raises(base) == 0);
	EQ(live_stat(d, "forks"), 2);
	OK(pager_disconnect(p));
}

static void
test_refused(void)
{
	struct live d;

	/* The test's own, the client's, and one more. */
	live_start(&d, "16M", "--param", "max_sessions=3", NULL);
	client_join(&d, client_start(&d, refused_client, NULL), false);
	REQUIRE(live_log_count(&d, "the child has none of its memory") > 0);
	live_stop(&d);
}

/* --- its own limit --- */

struct limited {
	atomic_bool set;
};

static void
limit_client(struct live *d, void *argument)
{
	struct limited *l = argument;
	struct pager *p = client_connect(d);
	size_t page = d->page_bytes;
	uint32_t count = (uint32_t)(d->memory_bytes / page / 4);
	struct pager_statistics stat;
	uint64_t rng = live_seed;
	struct book b;
	pid_t pid;

	book_open(&b, client_allocate(p, count * page), page, count, 1);
	book_write_all(&b, &mixture_usual, &rng);
	WAIT_UNTIL(d, atomic_load(&l->set));
	pid = fork_sure();
	if (pid == 0) {
		book_verify_all(&b);
		book_write_all(&b, &mixture_usual, &rng);
		book_verify_all(&b);
		OK(pager_statistics(p, &stat));
		EQ(stat.limit, d->memory_bytes / 16);
		_exit(0);
	}
	EQ(status_of(pid), 0);
	book_verify_all(&b);
	OK(pager_disconnect(p));
}

static void
test_limit(void)
{
	struct limited *l = shared_alloc(sizeof(*l));
	struct live d;
	pid_t pid;

	live_start(&d, "16M", NULL);
	pid = client_start(&d, limit_client, l);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 1);
	live_limit(&d, pid, d.memory_bytes / 16);
	atomic_store(&l->set, true);
	client_join(&d, pid, false);
	live_stop(&d);
}

/* --- the places of memory in the child --- */

#define HOLE_LOG2 22u

/* Nothing is free above the address: what the process maps next lies below it. */
static void
fill_above(const char *address)
{
	for (size_t bytes = 1ull << 30; bytes >= 4096; bytes /= 2)
		for (;;) {
			char *at = mmap(NULL, bytes, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

			if (at == MAP_FAILED || at > address) {
				REQUIRE(at != MAP_FAILED || errno == ENOMEM);
				if (at != MAP_FAILED)
					continue;
			} else {
				munmap(at, bytes);
			}
			break;
		}
}

/* The child of two connections has holes where their memory was; nothing of the library's, nor of
 * the other connection's, comes to lie there. What the program has mapped there itself stays. */
static void
holes_client(struct live *d, void *argument)
{
	const size_t bytes = 1u << HOLE_LOG2, page = d->page_bytes;
	const uint32_t own = 700;
	uint64_t rng = live_seed;
	struct pager *p[2];
	struct book b[2];
	char *foreign;
	pid_t pid;

	(void)argument;
	for (unsigned i = 0; i < 2; i++) {
		void *base;

		p[i] = client_connect(d);
		OK(pager_allocate(p[i], bytes, PAGER_ALLOC_ALIGNED(HOLE_LOG2), &base));
		book_open(&b[i], base, page, (uint32_t)(bytes / page), i + 1);
		book_write_all(&b[i], &mixture_usual, &rng);
	}
	fill_above((char *)(b[0].base > b[1].base ? b[0].base : b[1].base));
	foreign = (char *)b[0].base + own * page;
	REQUIRE(mmap(foreign, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		    -1, 0) == foreign);
	memset(foreign, 'x', page);
	pid = fork_sure();
	if (pid == 0) {
		for (unsigned i = 0; i < 2; i++)
			for (uint32_t k = 0; k < b[i].count; k++)
				if (i != 0 || k != own)
					book_verify(&b[i], k);
		REQUIRE(foreign[0] == 'x' && foreign[page - 1] == 'x');
		_exit(0);
	}
	EQ(status_of(pid), 0);
	for (unsigned i = 0; i < 2; i++)
		OK(pager_disconnect(p[i]));
}

static void
test_holes(void)
{
	run(holes_client, "8M");
}

/* --- a child that has given up rights sees none of its parent's memory any more --- */

/* => what pager_share_reads says in a child, which has another user before that */
static int
shares_as(struct pager *p, const struct book *b, uid_t uid)
{
	pid_t pid = fork_sure();
	int r;

	if (pid == 0) {
		if (uid)
			REQUIRE(setresgid(uid, uid, uid) == 0 && setresuid(uid, uid, uid) == 0);
		r = pager_share_reads(p, b->base, b->count * b->page_bytes);
		for (uint32_t i = 0; i < b->count; i++)
			book_verify(b, i);
		_exit(-r);
	}
	r = status_of(pid);
	REQUIRE(WIFEXITED(r), "%x", r);
	return -WEXITSTATUS(r);
}

static void
dropped_client(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint64_t rng = live_seed;
	struct book b;

	(void)argument;
	book_open(&b, client_allocate(p, PAGES * d->page_bytes), d->page_bytes, PAGES, 1);
	book_write_all(&b, &mixture_usual, &rng);
	EQ(shares_as(p, &b, 0), 0);
	EQ(shares_as(p, &b, 65534), -EOPNOTSUPP);
	WAIT_UNTIL(d, live_stat(d, "sessions") == 1);
	live_check(d);
	book_close(&b);
	OK(pager_disconnect(p));
}

static void
test_dropped(void)
{
	if (geteuid() != 0) {
		fprintf(stderr, "skipped: only root can become another user\n");
		exit(77);
	}
	run(dropped_client, "16M");
}

static const struct live_test tests[] = {
	{ "inheritance", test_inheritance },
	{ "wired", test_wired },
	{ "closed", test_closed },
	{ "refused", test_refused },
	{ "limit", test_limit },
	{ "holes", test_holes },
	{ "dropped", test_dropped },
};

int
main(int argc, char **argv)
{
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
