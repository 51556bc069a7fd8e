/* SPDX-License-Identifier: MIT
 *
 * One of several who see an object holds the lock of its memfd's inode (hold.h), so threads of the
 * daemon that need the lock wait. The process that holds it must be found and killed, and none of
 * the others: they cannot help it. Nor may anybody else stop.
 *
 * usage: e_held_shared worker|server|jobs|owner|stranger|ring|hidden
 *
 * - worker: the object's pages must leave, and pageout workers wait
 * - server: an honest sharer touches pages that are away, and fault servers wait
 * - jobs: an honest sharer gives pages back, and a jobs thread waits
 * - owner: as server, and it is the object's maker that holds the lock
 * - stranger: as server, and it is a process that does not know the daemon
 * - ring: as server, and the kernel writes for an io_uring
 * - hidden: as server, and the descriptor through which it writes has been closed
 */
#include <fcntl.h>
#include <sys/wait.h>

#include "hold.h"
#include "honest.h"
#include "share.h"

static const char *mode;

static bool
is_mode(const char *name)
{
	return strcmp(mode, name) == 0;
}

struct scene {
	struct common *common;
	atomic_bool held;
	atomic_int stranger; /* its process */
};

/* Pages that the sharers give back. */
static size_t
half_bytes(const struct live *d, const struct common *c)
{
	return c->count / 2 * d->page_bytes;
}

/* Shares what it makes with two others. Half of the pages are there, and half are stored. */
static struct pager *
make(struct live *d, struct common *c, struct book *ret)
{
	struct pager *p = client_connect(d);
	int fd;

	*ret = book_of(d, c, share_make(d, c, p));
	fd = share_name(d, c, p, ret->base, PROT_READ | PROT_WRITE);
	for (unsigned i = 1; i < 3; i++)
		name_send(c->sockets[i][0], fd);
	close(fd);
	for (uint32_t i = 0; i < c->count; i++)
		book_write(ret, i, KIND_NOISE);
	OK(pager_behavior(p, ret->base, c->count * d->page_bytes, PAGER_BEHAVIOR_PAGEOUT));
	for (uint32_t i = 0; i < c->count / 2; i++)
		book_verify(ret, i);
	return p;
}

static void
maker(struct live *d, void *argument)
{
	struct scene *s = argument;
	struct common *c = s->common;
	struct book book;
	struct pager *p = make(d, c, &book);

	stage_meet(d, &c->stage[0], 1);
	if (is_mode("jobs"))
		OK(pager_deallocate(p, book.base, half_bytes(d, c)));
	stage_meet(d, &c->stage[0], 2);
	for (uint32_t i = c->count / 2; i < c->count; i++)
		book_verify(&book, i);
	OK(pager_disconnect(p));
}

static void
partner(struct live *d, void *argument)
{
	struct scene *s = argument;
	struct common *c = s->common;
	int fd = name_receive(c->sockets[1][1]);
	struct pager *p = client_connect(d);
	struct book book = book_of(d, c, share_map(d, c, p, fd, PROT_READ | PROT_WRITE));

	close(fd);
	stage_meet(d, &c->stage[1], 1);
	if (is_mode("jobs"))
		OK(pager_deallocate(p, book.base, half_bytes(d, c)));
	for (uint32_t i = c->count / 2; i < c->count && !is_mode("worker"); i++)
		book_verify(&book, i);
	stage_meet(d, &c->stage[1], 2);
	OK(pager_disconnect(p));
}

/* Until it is killed. The write never gets to its content. */
static void
hold_for_ever(struct live *d, struct scene *s, struct peer *peer)
{
	static struct held_write held;

	held.how = is_mode("ring") ? HOLD_RING : HOLD_WRITE;
	hold(&held, peer->raw.device, peer->memfd, peer->offset, d->page_bytes);
	if (is_mode("hidden"))
		close(peer->memfd);
	atomic_store(&s->held, true);
	for (;;)
		pause();
}

static void
holder(struct live *d, void *argument)
{
	struct scene *s = argument;
	struct common *c = s->common;
	struct book book;
	struct peer peer;
	pid_t pid;

	if (is_mode("owner"))
		(void)make(d, c, &book);
	peer_join(d, c, 2, PROT_READ | PROT_WRITE, &peer);
	if (is_mode("jobs")) {
		struct pager_req_deallocate request = { .address = (uintptr_t)peer.base,
			.size = peer.bytes };
		struct pager_rep_deallocate reply;
		struct chan_call call = { CHAN_CALL(DEALLOCATE, &request, &reply) };

		OK(chan_exchange(&peer.raw.chan, &call));
	}
	stage_meet(d, &c->stage[2], 1);
	if (!is_mode("stranger"))
		hold_for_ever(d, s, &peer);
	pid = fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		close(peer.raw.chan.fd);
		hold_for_ever(d, s, &peer);
	}
	atomic_store(&s->stranger, pid);
	require_killed(pid);
	stage_meet(d, &c->stage[2], 2);
	raw_close(&peer.raw);
}

/* The daemon may have ended the holder before it could say that it holds. */
static bool
is_over(pid_t pid)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == pid;
}

static void
held(void)
{
	uid_t uid = geteuid() == 0 ? READER_UID : 0;
	struct scene *s = shared_alloc(sizeof(*s));
	struct live d = { 0 };
	struct common *c;
	struct honest *h;
	pid_t pids[3];

	daemon_start(&d);
	h = honest_start(&d);
	s->common = c = common_make_pages(&d, (uint32_t)(d.memory_bytes / d.page_bytes / 4));
	pids[0] = is_mode("owner") ? 0 : client_start(&d, maker, s);
	pids[1] = client_start(&d, partner, s);
	pids[2] = client_start_as(&d, uid, holder, s);
	for (unsigned i = 0; i < 3; i++)
		if (pids[i])
			stage_wait(&d, &c->stage[i], 1);
	if (!is_mode("stranger"))
		client_forget(pids[2]);
	stage_allow(&c->stage[2], 1);
	WAIT_UNTIL(&d,
	    atomic_load(&s->held) || atomic_load(&c->stage[2].reached) >= 2 || is_over(pids[2]));
	for (unsigned i = 0; i < 2; i++)
		stage_allow(&c->stage[i], 1);
	if (!is_mode("stranger"))
		require_killed(pids[2]);
	else
		stage_wait(&d, &c->stage[2], 2);
	honest_wait(&d, h, 200);
	/* It is killed before it is counted. A search for hidden ones finds those of other daemons'
	 * tests, too. */
	WAIT_UNTIL(&d, live_stat(&d, "holders_ended") >= 1);
	if (!is_mode("hidden"))
		EQ(live_stat(&d, "holders_ended"), 1);
	for (unsigned i = 0; i < 2; i++)
		if (pids[i])
			stage_wait(&d, &c->stage[i], 2);
	live_check(&d);
	for (unsigned i = 0; i < 3; i++) {
		stage_allow(&c->stage[i], 2);
		if (pids[i] && (i < 2 || is_mode("stranger")))
			client_join(&d, pids[i], false);
	}
	honest_stop(&d, h);
	WAIT_UNTIL(&d, resident(&d) == 0);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	live_init(argc, argv);
	if (argc < 2)
		FAIL("which attack?");
	mode = argv[1];
	if (is_mode("hidden") && geteuid() != 0) {
		printf("skipped: only root sees what a process does in the kernel\n");
		return 77;
	}
	held();
	return 0;
}
