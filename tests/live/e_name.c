/* SPDX-License-Identifier: MIT
 *
 * Names in the hands of those who mean no good: a holder can close its copy, and nothing else.
 *
 * usage: e_name held|kept [page=SIZE] [memory=SIZE]
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "share.h"

/* What may be tried with a descriptor that names memory, by a process that may only read. */
static void
try_to_end(int fd)
{
	char path[64], byte = 0;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	(void)shutdown(fd, SHUT_RD);
	(void)shutdown(fd, SHUT_WR);
	(void)shutdown(fd, SHUT_RDWR);
	/* Into its own queue, and data with it. */
	(void)raw_send(fd, &byte, 1, &fd, 1);
	(void)!write(fd, &byte, 1);
	(void)!read(fd, &byte, 1);
	(void)fcntl(fd, F_SETPIPE_SZ, 1 << 16);
	(void)fcntl(fd, F_SETOWN, getpid());
	/* The daemon's own user could do these. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (geteuid() == READER_UID) {
		REQUIRE(fchmod(fd, 0666) < 0);
		REQUIRE(futimens(fd, NULL) < 0);
		REQUIRE(open(path, O_WRONLY | O_NONBLOCK) < 0);
		REQUIRE(open(path, O_RDWR) < 0);
	}
	EQ(poll(&p, 1, 0), 0);
}

/* --- held: a reader cannot end the name for others, nor the memory that only the name keeps --- */

static void
held_maker(struct live *d, void *argument)
{
	struct common *c = argument;
	struct pager *p = client_connect(d);
	uint64_t rng = live_seed;
	struct book book = book_of(d, c, share_make(d, c, p));
	int fd = share_name(d, c, p, book.base, PROT_READ);

	book_write_all(&book, &mixture_usual, &rng);
	for (unsigned i = 0; i < 2; i++)
		name_send(c->sockets[i][0], fd);
	close(fd);
	OK(pager_disconnect(p));
}

static void
held_holder(struct live *d, void *argument)
{
	struct common *c = argument;
	int fd = name_receive(c->sockets[0][1]);

	(void)d;
	try_to_end(fd);
	close(fd);
}

static void
held_heir(struct live *d, void *argument)
{
	struct common *c = argument;
	int fd = name_receive(c->sockets[1][1]);
	struct pager *p = client_connect(d);
	struct book book;

	try_to_end(fd);
	book = book_of(d, c, share_map(d, c, p, fd, PROT_READ));
	book_verify_all(&book);
	close(fd);
	OK(pager_disconnect(p));
}

static void
held(void)
{
	uid_t uid = geteuid() == 0 ? READER_UID : 0;
	struct live d = { 0 };
	struct common *c;
	int64_t pages;

	daemon_start(&d);
	c = common_make_pages(&d, (uint32_t)(2 * d.memory_bytes / d.page_bytes));
	client_join(&d, client_start(&d, held_maker, c), false);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	pages = resident(&d);
	REQUIRE(pages > 0);
	client_join(&d, client_start_as(&d, uid, held_holder, c), false);
	EQ(resident(&d), pages);
	live_check(&d);
	client_join(&d, client_start_as(&d, uid, held_heir, c), false);
	WAIT_UNTIL(&d, resident(&d) == 0);
	live_stop(&d);
}

/* --- kept: nothing that a holder does keeps a name when the last copy is closed --- */

static void
kept_holder(struct live *d, void *argument)
{
	struct common *c = argument;
	struct pager *p = client_connect(d);
	uint64_t rng = live_seed;
	struct book book = book_of(d, c, share_make(d, c, p));
	struct raw r;
	char byte = 0;
	int fd = share_name(d, c, p, book.base, PROT_READ | PROT_WRITE), pair[2];

	book_write_all(&book, &mixture_usual, &rng);
	/* Sent to where nobody reads: to itself, to the daemon where it is not asked for, to the
	 * daemon's end of an agent's socket, and in a circle of sockets. */
	(void)raw_send(fd, &byte, 1, &fd, 1);
	raw_connect(d, &r);
	(void)raw_send(r.agent, &byte, 1, &fd, 1);
	REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	REQUIRE(raw_send(pair[0], &byte, 1, (int[]){ fd, pair[0], pair[1] }, 3));
	REQUIRE(raw_send(pair[1], &byte, 1, (int[]){ fd, pair[0], pair[1] }, 3));
	(void)raw_send(r.chan.fd, &byte, 1, &fd, 1);
	raw_wait_hangup(r.chan.fd);
	OK(pager_disconnect(p));
}

static void
kept(void)
{
	struct live d = { 0 };
	struct common *c;

	daemon_start(&d);
	c = common_make_pages(&d, (uint32_t)(d.memory_bytes / d.page_bytes / 4));
	for (unsigned i = 0; i < 4; i++) {
		client_join(&d, client_start(&d, kept_holder, c), false);
		memset(c->notes, 0, c->count * sizeof(*c->notes));
	}
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	WAIT_UNTIL(&d, resident(&d) == 0);
	live_stop(&d);
}

static const struct live_test tests[] = { { "held", held }, { "kept", kept } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
