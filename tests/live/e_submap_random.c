/* SPDX-License-Identifier: MIT
 *
 * Submaps with a content oracle: one process adds, removes and protects regions at random, others
 * read, write, wire, leave and come back, under locks of the pages; some are killed, the one that
 * changes included; and all end in every order.
 *
 * usage: e_submap_random random|killed|changer|ends|remote [page=SIZE] [memory=SIZE] [ratio=N]
 * [clients=N] [ops=N]
 */
#include <sys/uio.h>

#include "seer.h"

/* --- random: one changes, others read and write, under locks of the pages --- */

/* => false: the page may be anything */
static bool
lock_known(struct seer *s, uint32_t page)
{
	bool known = page_lock(s->view.live, s->truth->c, page);

	if (!known)
		atomic_store(&s->truth->unknown[page], true);
	return known;
}

static void
range_lock(struct seer *s, uint32_t page, uint32_t count)
{
	for (uint32_t i = page; i < page + count; i++)
		lock_known(s, i);
}

static void
range_unlock(struct seer *s, uint32_t page, uint32_t count)
{
	for (uint32_t i = page; i < page + count; i++)
		page_unlock(s->truth->c, i);
}

static void
random_page(struct seer *s)
{
	uint32_t page = (uint32_t)rng_below(&s->rng, s->book.count);

	lock_known(s, page);
	seer_verify(s, page);
	if (atomic_load(&s->truth->states[page]) == WRITE && rng_below(&s->rng, 2))
		seer_write(s, page);
	page_unlock(s->truth->c, page);
}

/* A range wired, if its regions allow that. */
static void
random_wire(struct seer *s, uint32_t page, uint32_t count)
{
	bool hole = false, less = false;
	int r;

	range_lock(s, page, count);
	for (uint32_t i = page; i < page + count; i++) {
		hole |= atomic_load(&s->truth->states[i]) == HOLE;
		less |= atomic_load(&s->truth->states[i]) != WRITE;
	}
	r = pager_wire(s->view.pager, view_page(&s->view, page), view_bytes(&s->view, count));
	if (hole || less)
		EQ(r, hole ? -EFAULT : -EACCES);
	else
		REQUIRE(r == 0 || r == -EAGAIN, "%d", r);
	if (r == 0)
		OK(pager_unwire(
		    s->view.pager, view_page(&s->view, page), view_bytes(&s->view, count)));
	range_unlock(s, page, count);
}

static void
random_advice(struct seer *s)
{
	static const enum pager_behavior advice[] = { PAGER_BEHAVIOR_PAGEOUT,
		PAGER_BEHAVIOR_WILLNEED, PAGER_BEHAVIOR_DONTNEED, PAGER_BEHAVIOR_FREE };
	uint32_t page = (uint32_t)rng_below(&s->rng, s->book.count),
		 count = 1 + (uint32_t)rng_below(&s->rng, 16);
	unsigned which = (unsigned)rng_below(&s->rng, 5);

	count = count > s->book.count - page ? s->book.count - page : count;
	if (which == 4)
		random_wire(s, page, count);
	else
		OK(pager_behavior(s->view.pager, view_page(&s->view, page),
		    view_bytes(&s->view, count), advice[which]));
}

/* Leaves and comes back, at another address. */
static void
random_remap(struct seer *s)
{
	uint64_t half = view_bytes(&s->view, s->book.count / 2),
		 all = view_bytes(&s->view, s->book.count);
	void *base;

	OK(pager_deallocate(s->view.pager, s->view.base + half, all - half));
	OK(pager_deallocate(s->view.pager, s->view.base, half));
	OK(pager_map_entry(s->view.pager, s->view.fd, 0, all, RW, 0, &base));
	s->view.base = s->book.base = base;
}

/* A range whose pages are all holes, or all in regions, from `page` on; locked. => its pages */
static uint32_t
lock_alike(struct seer *s, uint32_t page, uint32_t most)
{
	uint32_t count = 1;
	bool is_hole;

	lock_known(s, page);
	is_hole = atomic_load(&s->truth->states[page]) == HOLE;
	for (; count < most && page + count < s->book.count; count++) {
		lock_known(s, page + count);
		if ((atomic_load(&s->truth->states[page + count]) == HOLE) != is_hole) {
			page_unlock(s->truth->c, page + count);
			break;
		}
	}
	return count;
}

static void
random_change(struct seer *s)
{
	uint32_t page = (uint32_t)rng_below(&s->rng, s->book.count),
		 most = 1 + (uint32_t)rng_below(&s->rng, s->book.count / 8),
		 count = lock_alike(s, page, most);
	enum state to = NONE + (enum state)rng_below(&s->rng, 3);

	if (atomic_load(&s->truth->states[page]) == HOLE) {
		EQ(view_remove(&s->view, page, count), -EINVAL);
		EQ(view_protect(&s->view, page, count, PROT_READ), -EINVAL);
		seer_add(s, page, count, to);
		if (to == WRITE && rng_below(&s->rng, 2))
			seer_write_some(s, page, count, 4);
	} else if (rng_below(&s->rng, 3) == 0) {
		seer_remove(s, page, count);
	} else {
		seer_protect(s, page, count,
		    to == READ              ? READ
		    : rng_below(&s->rng, 3) ? WRITE
					    : to);
	}
	range_unlock(s, page, count);
	atomic_fetch_add(&s->truth->rounds, 1);
}

struct mapper {
	struct truth *truth;
	unsigned number;
};

static void
random_mapper(struct live *d, void *argument)
{
	struct mapper *m = argument;
	struct truth *t = m->truth;
	struct seer s = seer_join(d, t, m->number);

	for (uint64_t i = 0; i < live_scaled(t->c->ops); i++) {
		if (rng_below(&s.rng, 40) == 0)
			random_advice(&s);
		if (rng_below(&s.rng, 1000) == 0)
			random_remap(&s);
		random_page(&s);
	}
	stage_meet(d, &t->c->stage[m->number], 1);
	view_end(&s.view);
}

static void
random_changer(struct live *d, void *argument)
{
	struct truth *t = argument;
	struct seer s = seer_make(d, t);

	while (!atomic_load(&t->loops_end)) {
		random_change(&s);
		for (unsigned i = 0; i < 20; i++)
			random_page(&s);
	}
	for (uint32_t page = 0; page < s.book.count; page++) {
		lock_known(&s, page);
		seer_verify(&s, page);
		page_unlock(t->c, page);
	}
	stage_meet(d, &t->c->stage[0], 1);
	view_end(&s.view);
}

static void
random_start(struct live *d, struct truth *t, pid_t *pids)
{
	pids[0] = client_start(d, random_changer, t);
	for (unsigned i = 1; i < t->c->sharers; i++) {
		struct mapper *m = shared_alloc(sizeof(*m));

		*m = (struct mapper){ t, i };
		pids[i] = client_start(d, random_mapper, m);
	}
}

static void
random_end(struct live *d, struct truth *t, pid_t *pids)
{
	atomic_store(&t->loops_end, true);
	stage_wait(d, &t->c->stage[0], 1);
	live_check(d);
	REQUIRE(atomic_load(&t->rounds) > 10 && live_stat(d, "violations") > 0);
	stage_allow(&t->c->stage[0], 1);
	client_join(d, pids[0], true);
	WAIT_UNTIL(d, live_stat(d, "sessions") == 0);
	WAIT_UNTIL(d, resident(d) == 0);
	live_stop(d);
}

static void
random_all(void)
{
	pid_t pids[SHARERS_MAX];
	struct live d = { 0 };
	struct truth *t;

	daemon_start(&d);
	t = truth_make(&d);
	random_start(&d, t, pids);
	for (unsigned i = 1; i < t->c->sharers; i++) {
		stage_wait(&d, &t->c->stage[i], 1);
		/* While the changer is at it, and perhaps others. */
		live_check(&d);
		stage_allow(&t->c->stage[i], 1);
		client_join(&d, pids[i], true);
	}
	random_end(&d, t, pids);
}

/* --- killed: the same, and those that read and write die in the midst of it --- */

static void
killed(void)
{
	pid_t pids[SHARERS_MAX];
	struct live d = { 0 };
	uint64_t rng = live_seed;
	struct truth *t;

	daemon_start(&d);
	t = truth_make(&d);
	random_start(&d, t, pids);
	for (unsigned i = 1; i < t->c->sharers; i++) {
		int64_t until = live_stat(&d, "faults") + 200 + (int64_t)rng_below(&rng, 2000);

		WAIT_UNTIL(&d,
		    live_stat(&d, "faults") >= until || atomic_load(&t->c->stage[i].reached) >= 1);
		client_kill(pids[i]);
		live_check(&d);
	}
	random_end(&d, t, pids);
}

/* --- changer: the one that changes is killed, and what it has begun is done --- */

static void
changer_body(struct live *d, void *argument)
{
	struct truth *t = argument;
	struct view v = view_join(d, name_receive(t->c->sockets[0][1]), 0, t->c->count, RW);

	stage_meet(d, &t->c->stage[0], 1);
	for (;;) {
		OK(view_remove(&v, 0, t->c->count));
		view_add(&v, 0, t->c->count, RW);
		for (uint32_t i = 0; i < t->c->count; i++)
			*(volatile unsigned char *)view_page(&v, i) = 1;
	}
}

/* Sees what the one that changes has left, and goes on from there. */
static void
changer_heir(struct live *d, void *argument)
{
	enum { ROUNDS = 8 };
	struct truth *t = argument;
	struct view v = view_make(d, t->c->count);
	uint64_t rng = live_seed;

	view_add(&v, 0, t->c->count, RW);
	for (unsigned round = 1; round <= ROUNDS; round++) {
		int64_t until;
		int r;

		view_write(&v, 0, t->c->count, 0);
		name_send(t->c->sockets[0][0], v.fd);
		until = live_stat(d, "discards") + 1 + (int64_t)rng_below(&rng, 2 * t->c->count);
		stage_meet(d, &t->c->stage[1], 2 * round - 1);
		WAIT_UNTIL(d, live_stat(d, "discards") >= until);
		stage_meet(d, &t->c->stage[1], 2 * round);
		/* All is removed, or nothing: what has begun has been carried out. */
		r = view_remove(&v, 0, t->c->count);
		REQUIRE(r == 0 || r == -EINVAL, "%d", r);
		view_expect_touch(&v, t->c->count - 1, 1, SIGSEGV, SIGSEGV);
		view_add(&v, 0, t->c->count, RW);
		view_expect(&v, 0, t->c->count, -1);
	}
	stage_meet(d, &t->c->stage[1], 2 * ROUNDS + 1);
	view_end(&v);
}

static void
changer(void)
{
	struct live d = { 0 };
	struct truth *t;
	pid_t heir, pid;

	daemon_start(&d);
	t = truth_make(&d);
	heir = client_start(&d, changer_heir, t);
	for (unsigned round = 1; round <= 8; round++) {
		stage_wait(&d, &t->c->stage[1], 2 * round - 1);
		stage_reset(&t->c->stage[0]);
		pid = client_start(&d, changer_body, t);
		stage_wait(&d, &t->c->stage[0], 1);
		stage_allow(&t->c->stage[0], 1);
		stage_allow(&t->c->stage[1], 2 * round - 1);
		stage_wait(&d, &t->c->stage[1], 2 * round);
		client_kill(pid);
		WAIT_UNTIL(&d, live_stat(&d, "sessions") == 1);
		live_check(&d);
		stage_allow(&t->c->stage[1], 2 * round);
	}
	stage_wait(&d, &t->c->stage[1], 17);
	stage_allow(&t->c->stage[1], 17);
	client_join(&d, heir, false);
	WAIT_UNTIL(&d, resident(&d) == 0);
	live_stop(&d);
}

/* --- ends: in each order, with names, regions of all kinds, wires and a reader of another user ---
 */

static void
ends_client(struct live *d, struct truth *t, unsigned number)
{
	struct seer s = seer_join(d, t, number);
	int name;

	OK(pager_submap_name(s.view.pager, s.view.fd, RW, &name));
	stage_meet(d, &t->c->stage[number], 1);
	seer_verify_all(&s);
	OK(pager_wire(s.view.pager, view_page(&s.view, 0), view_bytes(&s.view, 4)));
	stage_meet(d, &t->c->stage[number], 2);
	seer_verify_all(&s);
	/* Its process ends with the names open, connected. */
}

static void
ends_second(struct live *d, void *argument)
{
	ends_client(d, argument, 1);
}

static void
ends_reader(struct live *d, void *argument)
{
	struct truth *t = argument;
	int fd = name_receive(t->c->sockets[2][1]);
	struct view v = view_join(d, fd, 0, t->c->count / 2, PROT_READ);

	stage_meet(d, &t->c->stage[2], 1);
	EQ(view_protect(&v, 0, 1, PROT_READ), -EACCES);
	for (uint32_t i = 0; i < t->c->count / 2; i++) {
		unsigned char byte;
		int got = guard_load(view_page(&v, i), &byte);

		EQ(got, atomic_load(&t->states[i]) >= READ ? 0 : SIGSEGV);
	}
	stage_meet(d, &t->c->stage[2], 2);
	view_end(&v);
}

static void
ends_maker(struct live *d, void *argument)
{
	struct truth *t = argument;
	struct seer s = seer_make(d, t);
	uint32_t part = t->c->count / 4;
	int name;

	OK(pager_submap_name(s.view.pager, s.view.fd, PROT_READ, &name));
	name_send(t->c->sockets[2][0], name);
	close(name);
	seer_add(&s, 0, part, WRITE);
	seer_add(&s, part, part / 2, READ);
	seer_add(&s, 2 * part, part, WRITE);
	seer_write_some(&s, 0, part, 1);
	seer_write_some(&s, 2 * part, part, 1);
	seer_protect(&s, 2 * part, part / 2, NONE);
	stage_meet(d, &t->c->stage[0], 1);
	stage_meet(d, &t->c->stage[0], 2);
	view_end(&s.view);
}

static void
ends(void)
{
	static client_body *const bodies[] = { ends_maker, ends_second, ends_reader };
	struct live d = { 0 };
	unsigned descriptors;

	daemon_start(&d);
	descriptors = clients_descriptors(&d);
	for (unsigned i = 0; i < ORDERS; i++) {
		struct truth *t = truth_make(&d);
		pid_t pids[3];

		t->c->sharers = 2;
		for (unsigned k = 0; k < 3; k++)
			pids[k] = client_start_as(
			    &d, k == 2 && geteuid() == 0 ? READER_UID : 0, bodies[k], t);
		for (unsigned at = 1; at <= 2; at++) {
			for (unsigned k = 0; k < 3; k++)
				stage_wait(&d, &t->c->stage[k], at);
			for (unsigned k = 0; k < 3 && at == 1; k++)
				stage_allow(&t->c->stage[k], at);
		}
		live_check(&d);
		sharers_end(&d, t->c, pids, ending_orders[i], descriptors);
	}
	live_stop(&d);
}

/* --- remote: a process that reads another's memory in a hole does that one no harm --- */

static void
remote_owner(struct live *d, void *argument)
{
	struct truth *t = argument;
	struct view v = view_make(d, t->c->count);

	view_add(&v, 0, 1, RW);
	view_write(&v, 0, 1, 7);
	atomic_store(&t->base, (uintptr_t)v.base);
	stage_meet(d, &t->c->stage[0], 1);
	/* A signal for what it has not touched would have failed the test. */
	view_expect(&v, 0, 1, 7);
	view_expect_touch(&v, 1, 1, SIGSEGV, SIGSEGV);
	view_end(&v);
}

static void
remote_reader(struct live *d, void *argument)
{
	struct truth *t = argument;
	char byte = 0;
	struct iovec here = { &byte, 1 },
		     there = { (void *)(atomic_load(&t->base) + d->page_bytes), 1 };

	process_vm_readv((pid_t)atomic_load(&t->rounds), &here, 1, &there, 1, 0);
	FAIL("it has been answered");
}

static void
remote(void)
{
	struct live d = { 0 };
	struct truth *t;
	pid_t owner, reader;

	daemon_start(&d);
	t = truth_make(&d);
	owner = client_start(&d, remote_owner, t);
	stage_wait(&d, &t->c->stage[0], 1);
	atomic_store(&t->rounds, (unsigned)owner);
	reader = client_start(&d, remote_reader, t);
	WAIT_UNTIL(&d, live_stat(&d, "violations") >= 1);
	live_rest(&d);
	client_kill(reader);
	stage_allow(&t->c->stage[0], 1);
	client_join(&d, owner, false);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	live_stop(&d);
}

static const struct live_test tests[] = { { "random", random_all }, { "killed", killed },
	{ "changer", changer }, { "ends", ends }, { "remote", remote } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
