/* SPDX-License-Identifier: MIT
 *
 * A sharer that may only read has a private mapping, where the kernel would give it pages of its
 * own if one came unprotected, or were put there (traps 3, 5 and 6 of the design notes on shared
 * objects). However a page comes to it, it cannot be written, and what others write there later is
 * seen.
 *
 * usage: e_reader absent|dirty|aged|stored|punched|lied [page=SIZE] [memory=SIZE]
 *
 * - absent: the reader's touch is the first one
 * - dirty: the writer has the page and may write
 * - aged: the same, and it comes along with its neighbour, since it is inactive
 * - stored: the reader's touch brings it back, and its copy is given up
 * - punched: another sharer has punched it away
 * - lied: another sharer has mapped something else where it says that it sees the object, and
 *   touches it first: what others read is there all the same
 */
#include <fcntl.h>
#include <pthread.h>

#include "guard.h"
#include "share.h"

static const char *mode;

static bool
is_mode(const char *name)
{
	return strcmp(mode, name) == 0;
}

static void
writer(struct live *d, void *argument)
{
	struct common *c = argument;
	struct pager *p = client_connect(d);
	struct book book = book_of(d, c, share_make(d, c, p));
	int fd = share_name(d, c, p, book.base, PROT_READ);

	name_send(c->sockets[1][0], fd);
	close(fd);
	fd = share_name(d, c, p, book.base, PROT_READ | PROT_WRITE);
	name_send(c->sockets[2][0], fd);
	close(fd);
	for (uint32_t i = 0; i < c->count && !is_mode("absent"); i++)
		book_write(&book, i, KIND_NOISE);
	if (is_mode("aged"))
		OK(pager_behavior(p, book.base, c->count * d->page_bytes, PAGER_BEHAVIOR_DONTNEED));
	if (is_mode("stored") || is_mode("lied"))
		OK(pager_behavior(p, book.base, c->count * d->page_bytes, PAGER_BEHAVIOR_PAGEOUT));
	stage_meet(d, &c->stage[0], 1);
	book_verify_all(&book);
	for (uint32_t i = 0; i < c->count; i++)
		book_write(&book, i, KIND_TEXT);
	stage_meet(d, &c->stage[0], 2);
	OK(pager_disconnect(p));
}

/* Upwards, so that neighbours come along, or in another order. */
static void
read_all(const struct common *c, const struct book *book, bool in_order)
{
	for (uint32_t i = 0; i < c->count; i++)
		book_verify(book, in_order ? i : i * 7 % c->count);
}

/* It has made the memory writable for itself: nothing comes of it. */
static void
write_in_vain(const struct common *c, const struct book *book)
{
	size_t bytes = c->count * book->page_bytes;

	guard_begin();
	REQUIRE(mprotect(book->base, bytes, PROT_READ | PROT_WRITE) == 0);
	for (uint32_t i = 0; i < c->count; i++)
		EQ(guard_store(book->base + i * book->page_bytes, 0x5a), SIGSEGV);
	REQUIRE(mprotect(book->base, bytes, PROT_READ) == 0);
}

static void
reader(struct live *d, void *argument)
{
	struct common *c = argument;
	int fd = name_receive(c->sockets[1][1]);
	struct pager *p = client_connect(d);
	struct book book = book_of(d, c, share_map(d, c, p, fd, PROT_READ));

	close(fd);
	stage_meet(d, &c->stage[1], 1);
	read_all(c, &book, !is_mode("dirty"));
	write_in_vain(c, &book);
	read_all(c, &book, true);
	stage_meet(d, &c->stage[1], 2);
	/* What the writer has written. */
	read_all(c, &book, true);
	write_in_vain(c, &book);
	stage_meet(d, &c->stage[1], 3);
	OK(pager_disconnect(p));
}

/* Threads that never get an answer. */
enum { LIARS = 4 };

static void *
touch(void *at)
{
	(void)*(volatile unsigned char *)at;
	return NULL;
}

/* Has nothing of the object at its addresses, and touches them. */
static void
lie(struct live *d, struct common *c, struct peer *peer)
{
	int other = memfd_create("other", MFD_CLOEXEC);
	pthread_t thread;

	REQUIRE(other >= 0 && ftruncate(other, (off_t)peer->bytes) == 0);
	raw_map(&peer->raw, peer->base, peer->bytes, other, 0);
	for (unsigned i = 0; i < LIARS; i++)
		REQUIRE(pthread_create(&thread, NULL, touch,
			    peer->base + i * (c->count / LIARS) * d->page_bytes) == 0);
}

/* Until it is killed. */
static void
hostile(struct live *d, void *argument)
{
	struct common *c = argument;
	struct peer peer;

	peer_join(d, c, 2, PROT_READ | PROT_WRITE, &peer);
	stage_meet(d, &c->stage[2], 1);
	if (is_mode("punched"))
		REQUIRE(fallocate(peer.memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			    (off_t)peer.offset, (off_t)peer.bytes) == 0);
	if (is_mode("lied"))
		lie(d, c, &peer);
	stage_meet(d, &c->stage[2], 2);
}

static void
run(void)
{
	struct live d = { 0 };
	struct common *c;
	pid_t pids[3];
	int64_t faults;

	daemon_start(&d);
	if (is_mode("stored"))
		live_param(&d, "retain_copies", "0");
	c = common_make_pages(&d, 128);
	pids[0] = client_start(&d, writer, c);
	pids[1] = client_start_as(&d, geteuid() == 0 ? READER_UID : 0, reader, c);
	pids[2] = client_start(&d, hostile, c);
	for (unsigned i = 0; i < 3; i++)
		stage_wait(&d, &c->stage[i], 1);
	stage_allow(&c->stage[2], 1);
	stage_wait(&d, &c->stage[2], 2);
	if (is_mode("punched"))
		for (uint32_t i = 0; i < c->count; i++)
			book_forget(&(struct book){ .count = c->count, .notes = c->notes }, i);
	if (is_mode("lied")) {
		faults = live_stat(&d, "soft_faults");
		WAIT_UNTIL(&d, live_stat(&d, "soft_faults") >= faults + 4 * LIARS);
	}
	stage_allow(&c->stage[1], 1);
	stage_wait(&d, &c->stage[1], 2);
	stage_allow(&c->stage[0], 1);
	stage_wait(&d, &c->stage[0], 2);
	stage_allow(&c->stage[1], 2);
	stage_wait(&d, &c->stage[1], 3);
	client_kill(pids[2]);
	live_check(&d);
	stage_allow(&c->stage[1], 3);
	stage_allow(&c->stage[0], 2);
	client_join(&d, pids[0], false);
	client_join(&d, pids[1], false);
	WAIT_UNTIL(&d, !is_mode("aged") || live_stat(&d, "around") > 0);
	WAIT_UNTIL(&d, live_stat(&d, "violations") >= 2 * (int64_t)c->count);
	WAIT_UNTIL(&d, resident(&d) == 0);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	if (argc < 2)
		FAIL("how does a page come?");
	mode = argv[1];
	run();
	return 0;
}
