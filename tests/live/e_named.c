/* SPDX-License-Identifier: MIT
 *
 * Named entries: what one process writes the others read; who may only read can do no more;
 * nobody's end takes away what others keep, a name included, and the last one's end takes all.
 *
 * usage: e_named named|ends|example [page=SIZE] [memory=SIZE] [ratio=N]
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "guard.h"
#include "raw.h"
#include "share.h"

/* --- named: a maker, a partner of the same user, a reader of another --- */

/* What a process that may only read tries with a name, and with what it maps. */
static void
try_to_write(struct live *d, struct common *c, struct pager *p, int fd, unsigned char *base)
{
	int64_t violations = live_stat(d, "violations");
	void *other;
	int name2;

	guard_begin();
	EQ(pager_map_entry(p, fd, 0, d->page_bytes, PROT_READ | PROT_WRITE, 0, &other), -EACCES);
	EQ(pager_make_entry(p, base, d->page_bytes, PROT_READ | PROT_WRITE, 0, &name2), -EACCES);
	EQ(pager_make_entry(p, base, d->page_bytes, PROT_READ, 0, &name2), -ENOTSUP);
	name2 = share_name(d, c, p, base, PROT_READ);
	EQ(pager_map_entry(p, name2, 0, d->page_bytes, PROT_READ | PROT_WRITE, 0, &other), -EACCES);
	close(name2);
	EQ(pager_wire(p, base, d->page_bytes), -EACCES);
	/* The kernel itself. */
	EQ(guard_store(base, 0x5a), SIGSEGV);
	EQ(live_stat(d, "violations"), violations);
	/* Its own page tables are its own affair: the daemon does not let the write through. */
	REQUIRE(mprotect(base, 2 * d->page_bytes, PROT_READ | PROT_WRITE) == 0);
	EQ(guard_store(base + 1, 0x5a), SIGSEGV);
	EQ(guard_store(base + d->page_bytes, 0x5a), SIGSEGV);
	/* A thread that something else wakes at that moment asks twice. */
	WAIT_UNTIL(d, live_stat(d, "violations") >= violations + 2);
	REQUIRE(mprotect(base, 2 * d->page_bytes, PROT_READ) == 0);
}

/* The same with the memfd, which libpager does not leave to its caller. */
static void
try_the_memfd(struct live *d, struct common *c, int fd)
{
	struct pager_req_map_entry request = { .size = c->count * d->page_bytes,
		.protection = PROT_READ };
	struct pager_rep_map_entry reply;
	int memfd = -1, again;
	struct chan_call call = { CHAN_CALL(MAP_ENTRY, &request, &reply), .ret_fd = &memfd,
		.fds_out = &fd, .fds_out_count = 1 };
	const size_t page = d->page_bytes;
	char path[64], byte = 1;
	void *plain;
	struct raw r;

	raw_connect(d, &r);
	request.address = (uintptr_t)raw_reserve(request.size);
	OK(chan_exchange(&r.chan, &call));
	REQUIRE(write(memfd, &byte, 1) < 0 && errno == EBADF);
	REQUIRE(pwrite(memfd, &byte, 1, 0) < 0 && errno == EBADF);
	REQUIRE(fallocate(memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)page) < 0 &&
		errno == EBADF);
	REQUIRE(fallocate(memfd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0, (off_t)page) < 0);
	REQUIRE(ftruncate(memfd, 0) < 0 && errno == EINVAL);
	REQUIRE(fcntl(memfd, F_ADD_SEALS, F_SEAL_WRITE) < 0 && errno == EPERM);
	REQUIRE(mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0) == MAP_FAILED &&
		errno == EACCES);
	plain = mmap(NULL, page, PROT_READ, MAP_SHARED, memfd, 0);
	REQUIRE(plain != MAP_FAILED);
	REQUIRE(mprotect(plain, page, PROT_READ | PROT_WRITE) < 0 && errno == EACCES);
	REQUIRE(madvise(plain, page, MADV_REMOVE) < 0 && errno == EACCES);
	REQUIRE(munmap(plain, page) == 0);
	/* Root may open anything. */
	if (geteuid() == READER_UID) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", memfd);
		again = open(path, O_RDWR);
		REQUIRE(again < 0 && errno == EACCES);
		again = open(path, O_WRONLY | O_TRUNC);
		REQUIRE(again < 0 && errno == EACCES);
		REQUIRE(fchmod(memfd, 0666) < 0);
	}
	close(memfd);
	raw_close(&r);
}

static void
named_maker(struct live *d, void *argument)
{
	struct common *c = argument;
	struct pager *p = client_connect(d);
	uint64_t rng = live_seed;
	struct book book = book_of(d, c, share_make(d, c, p));
	int fd;

	book_write_all(&book, &mixture_usual, &rng);
	fd = share_name(d, c, p, book.base, PROT_READ | PROT_WRITE);
	name_send(c->sockets[1][0], fd);
	close(fd);
	fd = share_name(d, c, p, book.base, PROT_READ);
	name_send(c->sockets[2][0], fd);
	close(fd);
	stage_meet(d, &c->stage[0], 1);
	/* The partner has written. */
	book_verify_all(&book);
	stage_meet(d, &c->stage[0], 2);
	OK(pager_disconnect(p));
}

static void
named_partner(struct live *d, void *argument)
{
	struct common *c = argument;
	int fd = name_receive(c->sockets[1][1]);
	struct pager *p = client_connect(d);
	uint64_t rng = live_seed + 1;
	struct book book;
	void *base;

	EQ(pager_map_entry(p, fd, d->page_bytes, c->count * d->page_bytes, PROT_READ, 0, &base),
	    -EINVAL);
	EQ(pager_map_entry(p, fd, 0, (c->count + 1) * d->page_bytes, PROT_READ, 0, &base), -EINVAL);
	EQ(pager_map_entry(p, c->sockets[1][1], 0, d->page_bytes, PROT_READ, 0, &base), -EBADF);
	EQ(pager_map_entry(p, 999, 0, d->page_bytes, PROT_READ, 0, &base), -EBADF);
	book = book_of(d, c, share_map(d, c, p, fd, PROT_READ | PROT_WRITE));
	close(fd);
	book_verify_all(&book);
	stage_meet(d, &c->stage[1], 1);
	book_write_all(&book, &mixture_usual, &rng);
	stage_meet(d, &c->stage[1], 2);
	OK(pager_disconnect(p));
}

static void
named_reader(struct live *d, void *argument)
{
	struct common *c = argument;
	int fd = name_receive(c->sockets[2][1]);
	struct pager *p = client_connect(d);
	struct book book = book_of(d, c, share_map(d, c, p, fd, PROT_READ));

	book_verify_all(&book);
	try_to_write(d, c, p, fd, book.base);
	try_the_memfd(d, c, fd);
	stage_meet(d, &c->stage[2], 1);
	/* What the partner has written. */
	book_verify_all(&book);
	close(fd);
	stage_meet(d, &c->stage[2], 2);
	OK(pager_disconnect(p));
}

static client_body *const named_bodies[] = { named_maker, named_partner, named_reader };

/* Those that clients and their memory have; swap files are kept for later. */
/* Ends them in each order. */
static void
named(void)
{
	struct live d = { 0 };
	unsigned descriptors;

	daemon_start(&d);
	descriptors = clients_descriptors(&d);
	for (unsigned i = 0; i < ORDERS; i++) {
		struct common *c = common_make(&d);
		pid_t pids[3];

		sharers_begin(&d, c, named_bodies, 3, geteuid() == 0 ? READER_UID : 0, pids);
		live_check(&d);
		stage_allow(&c->stage[1], 1);
		stage_wait(&d, &c->stage[1], 2);
		stage_allow(&c->stage[0], 1);
		stage_allow(&c->stage[2], 1);
		for (unsigned k = 0; k < 3; k++)
			stage_wait(&d, &c->stage[k], 2);
		sharers_end(&d, c, pids, ending_orders[i], descriptors);
	}
	live_stop(&d);
}

/* --- ends: a name keeps memory that nobody maps --- */

static void
ends_maker(struct live *d, void *argument)
{
	struct common *c = argument;
	struct pager *p = client_connect(d);
	uint64_t rng = live_seed;
	struct book book = book_of(d, c, share_make(d, c, p));
	int fd;

	book_write_all(&book, &mixture_usual, &rng);
	fd = share_name(d, c, p, book.base, PROT_READ | PROT_WRITE);
	name_send(c->sockets[0][0], fd);
	/* In pieces, the middle first: what the name covers stays. */
	OK(pager_deallocate(
	    p, book.base + c->count / 3 * d->page_bytes, c->count / 3 * d->page_bytes));
	OK(pager_deallocate(p, book.base, c->count / 3 * d->page_bytes));
	OK(pager_disconnect(p));
}

static void
ends_heir(struct live *d, void *argument)
{
	struct common *c = argument;
	int fd = name_receive(c->sockets[0][1]);
	struct pager *p = client_connect(d);
	struct book book = book_of(d, c, share_map(d, c, p, fd, PROT_READ | PROT_WRITE));

	close(fd);
	book_verify_all(&book);
	stage_meet(d, &c->stage[0], 1);
	OK(pager_disconnect(p));
}

static void
ends(void)
{
	struct live d = { 0 };
	struct common *c;
	int64_t pages;
	pid_t pid;
	int fd;

	daemon_start(&d);
	c = common_make(&d);
	client_join(&d, client_start(&d, ends_maker, c), true);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	/* The name is on its way, in nobody's hands. */
	pages = resident(&d);
	REQUIRE(pages > 0);
	live_check(&d);
	pid = client_start(&d, ends_heir, c);
	stage_wait(&d, &c->stage[0], 1);
	EQ(resident(&d), pages);
	stage_allow(&c->stage[0], 1);
	client_join(&d, pid, false);
	WAIT_UNTIL(&d, resident(&d) == 0);
	/* And a name that nobody ever takes. */
	client_join(&d, client_start(&d, ends_maker, c), false);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	REQUIRE(resident(&d) > 0);
	fd = name_receive(c->sockets[0][1]);
	close(fd);
	WAIT_UNTIL(&d, resident(&d) == 0);
	live_stop(&d);
}

/* --- example: a program of libclient/examples, with a part of the memory it needs --- */

static void
example_body(struct live *d, void *argument)
{
	const char *program = getenv("SHARE_EXAMPLE");
	char mib[16];

	(void)argument;
	REQUIRE(program != NULL);
	REQUIRE(setenv("PAGERD_SOCKET", d->socket, 1) == 0);
	snprintf(
	    mib, sizeof(mib), "%llu", (unsigned long long)(options.ratio * d->memory_bytes >> 20));
	execl(program, "share", mib, NULL);
	FAIL("%s: %s", program, strerror(errno));
}

static void
example(void)
{
	struct live d = { 0 };

	daemon_start(&d);
	client_join(&d, client_start(&d, example_body, NULL), false);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	WAIT_UNTIL(&d, resident(&d) == 0);
	live_stop(&d);
}

static const struct live_test tests[] = { { "named", named }, { "ends", ends },
	{ "example", example } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
