/* SPDX-License-Identifier: MIT
 *
 * Sharers that do not behave: what they do to an object that they were given stays in it. Traps
 * have their numbers from the design notes on shared objects.
 *
 * usage: e_sharer_bad hostile|trap-20-planted|trap-6-punched|trap-7-poisoned [page=SIZE]
 *        [memory=SIZE]
 */
#include <fcntl.h>

#include "bus.h"
#include "share.h"

/* --- hostile: punches, writes, plants, maps other things, is stopped and killed --- */

enum { HOSTILES = 2, HOSTILE_ROUNDS = 3 };

struct scene {
	struct common *given, *kept; /* the object that hostile sharers have, and another */
	atomic_bool stop;
	_Atomic uint64_t turns[2]; /* of the honest sharers */
	_Atomic uint64_t done;     /* by hostile sharers */
};

static void
hostile_turn(struct live *d, struct peer *peer, unsigned char *plain, uint64_t *rng)
{
	uint64_t page = rng_below(rng, peer->bytes / d->page_bytes);
	size_t at = page * d->page_bytes;
	off_t offset = (off_t)(peer->offset + at);
	static const char bytes[64] = "not what anybody else has written";
	int flags = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS;

	switch (rng_below(rng, 6)) {
	case 0:
		(void)fallocate(peer->memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
		    (off_t)(d->page_bytes * (1 + rng_below(rng, 8))));
		break;
	case 1:
		REQUIRE(pwrite(peer->memfd, bytes, sizeof(bytes), offset) > 0);
		break;
	case 2: /* Trap 20: a read plants a page. Nobody is asked: it is not registered. */
		(void)*(volatile unsigned char *)(plain + at);
		break;
	case 3:
		*(volatile unsigned char *)(plain + at) = 0x5a;
		break;
	case 4: /* Trap 5: a page is brought to an address at which something else is. */
		REQUIRE(mmap(peer->base + at, d->page_bytes, PROT_READ | PROT_WRITE, flags, -1,
			    0) != MAP_FAILED);
		(void)raw_register(&peer->raw, peer->base + at, d->page_bytes);
		*(volatile unsigned char *)(peer->base + at) = 1;
		break;
	case 5:
		raw_map(&peer->raw, peer->base + at, d->page_bytes, peer->memfd, peer->offset + at);
		*(volatile unsigned char *)(peer->base + at) = 2;
		break;
	}
}

/* Until it is killed. */
static void
hostile_client(struct live *d, void *argument)
{
	struct scene *s = argument;
	uint64_t rng = live_seed ^ (uint64_t)getpid();
	unsigned char *plain;
	struct peer peer;

	peer_join(d, s->given, 2, PROT_READ | PROT_WRITE, &peer);
	plain = mmap(
	    NULL, peer.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, peer.memfd, (off_t)peer.offset);
	REQUIRE(plain != MAP_FAILED);
	raw_map(&peer.raw, peer.base, peer.bytes, peer.memfd, peer.offset);
	for (;;) {
		hostile_turn(d, &peer, plain, &rng);
		atomic_fetch_add(&s->done, 1);
	}
}

/* Reads and writes its own pages, and touches pages that hostile sharers have, too. */
static void
honest_turns(struct live *d, struct scene *s, unsigned number, struct pager *p, void *given,
    struct book *kept, struct book *own)
{
	uint64_t rng = live_seed ^ mix64(number);
	unsigned half = s->kept->count / 2;

	while (!atomic_load(&s->stop)) {
		volatile unsigned char *at =
		    (unsigned char *)given + rng_below(&rng, s->given->count) * d->page_bytes;
		uint32_t shared = number * half + (uint32_t)rng_below(&rng, half),
			 private = (uint32_t)rng_below(&rng, own->count);

		(void)*at;
		if (rng_below(&rng, 2))
			*at = (unsigned char)number;
		book_verify(kept, shared);
		book_verify(own, private);
		if (rng_below(&rng, 2)) {
			book_write(kept, shared, mixture_draw(&mixture_usual, &rng));
			book_write(own, private, mixture_draw(&mixture_usual, &rng));
		}
		if (rng_below(&rng, 200) == 0)
			OK(pager_behavior(
			    p, given, s->given->count * d->page_bytes, PAGER_BEHAVIOR_PAGEOUT));
		atomic_fetch_add(&s->turns[number], 1);
	}
	/* The partner ends later, and has not been touching these. */
	for (uint32_t i = number * half; i < (number + 1) * half; i++)
		book_verify(kept, i);
	book_verify_all(own);
}

static void
honest_body(struct live *d, struct scene *s, unsigned number)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(d->memory_bytes / d->page_bytes);
	struct book kept, own;
	void *given;
	int fd;

	if (number == 0) {
		given = share_make(d, s->given, p);
		fd = share_name(d, s->given, p, given, PROT_READ | PROT_WRITE);
		for (unsigned i = 0; i < 1 + HOSTILES * HOSTILE_ROUNDS; i++)
			name_send(s->given->sockets[i == 0 ? 1 : 2][0], fd);
		close(fd);
		kept = book_of(d, s->kept, share_make(d, s->kept, p));
		fd = share_name(d, s->kept, p, kept.base, PROT_READ | PROT_WRITE);
		name_send(s->kept->sockets[1][0], fd);
		close(fd);
	} else {
		fd = name_receive(s->given->sockets[1][1]);
		given = share_map(d, s->given, p, fd, PROT_READ | PROT_WRITE);
		close(fd);
		fd = name_receive(s->kept->sockets[1][1]);
		kept = book_of(d, s->kept, share_map(d, s->kept, p, fd, PROT_READ | PROT_WRITE));
		close(fd);
	}
	book_open(&own, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 9);
	honest_turns(d, s, number, p, given, &kept, &own);
	OK(pager_disconnect(p));
}

static void
honest_maker(struct live *d, void *argument)
{
	honest_body(d, argument, 0);
}

static void
honest_partner(struct live *d, void *argument)
{
	honest_body(d, argument, 1);
}

/* Both honest sharers go on. */
static void
honest_go_on(struct live *d, struct scene *s, uint64_t turns)
{
	uint64_t until[2] = { atomic_load(&s->turns[0]) + turns,
		atomic_load(&s->turns[1]) + turns };

	for (unsigned i = 0; i < 2; i++)
		WAIT_UNTIL(d, atomic_load(&s->turns[i]) >= until[i]);
}

static void
hostile(void)
{
	struct scene *s = shared_alloc(sizeof(*s));
	uid_t uid = geteuid() == 0 ? READER_UID : 0;
	struct live d = { 0 };
	pid_t honest[2];

	daemon_start(&d);
	s->given = common_make_pages(&d, (uint32_t)(d.memory_bytes / d.page_bytes / 2));
	s->kept = common_make_pages(&d, (uint32_t)(d.memory_bytes / d.page_bytes));
	honest[0] = client_start(&d, honest_maker, s);
	honest[1] = client_start(&d, honest_partner, s);
	honest_go_on(&d, s, 100);
	for (unsigned round = 0; round < HOSTILE_ROUNDS; round++) {
		uint64_t done = atomic_load(&s->done) + live_scaled(2000);
		pid_t pids[HOSTILES];

		for (unsigned i = 0; i < HOSTILES; i++)
			pids[i] = client_start_as(&d, uid, hostile_client, s);
		WAIT_UNTIL(&d, atomic_load(&s->done) >= done);
		honest_go_on(&d, s, live_scaled(300));
		/* It answers nothing: neither the daemon's requests nor its agent's. */
		for (unsigned i = 0; i < HOSTILES; i++)
			REQUIRE(kill(pids[i], SIGSTOP) == 0);
		honest_go_on(&d, s, live_scaled(300));
		client_kill(pids[0]);
		honest_go_on(&d, s, live_scaled(100));
		REQUIRE(kill(pids[1], SIGCONT) == 0);
		honest_go_on(&d, s, live_scaled(100));
		client_kill(pids[1]);
	}
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 2);
	REQUIRE(live_stat(&d, "planted") > 0);
	honest_go_on(&d, s, 100);
	/* Only honest ones are left. */
	live_check(&d);
	atomic_store(&s->stop, true);
	for (unsigned i = 0; i < 2; i++)
		client_join(&d, honest[i], false);
	WAIT_UNTIL(&d, resident(&d) == 0);
	live_stop(&d);
}

/* All pages leave. A fault that is answered late would bring its page in again. */
static void
all_away(struct live *d, struct pager *p, const struct book *book)
{
	struct pager_statistics statistics;

	live_rest(d);
	OK(pager_behavior(p, book->base, book->count * d->page_bytes, PAGER_BEHAVIOR_PAGEOUT));
	OK(pager_statistics(p, &statistics));
	EQ(statistics.internal, 0);
}

/* --- planted (trap 20): a reader's own mapping plants zeroes where pages are away --- */

static void
planted_maker(struct live *d, void *argument)
{
	struct common *c = argument;
	struct pager *p = client_connect(d);
	struct book book = book_of(d, c, share_make(d, c, p));
	int fd = share_name(d, c, p, book.base, PROT_READ);

	name_send(c->sockets[1][0], fd);
	close(fd);
	/* Half of them, and no neighbours: what is planted is counted where a page was absent. */
	OK(pager_behavior(p, book.base, c->count * d->page_bytes, PAGER_BEHAVIOR_RANDOM));
	for (uint32_t i = 0; i < c->count / 2; i++)
		book_write(&book, i, KIND_NOISE);
	all_away(d, p, &book);
	stage_meet(d, &c->stage[0], 1);
	/* The stored ones, and those that were never touched. */
	book_verify_all(&book);
	for (uint32_t i = 0; i < c->count; i++)
		book_write(&book, i, KIND_TEXT);
	book_verify_all(&book);
	OK(pager_disconnect(p));
}

static void
planted_reader(struct live *d, void *argument)
{
	struct common *c = argument;
	volatile unsigned char *plain;
	struct peer peer;

	peer_join(d, c, 1, PROT_READ, &peer);
	stage_meet(d, &c->stage[1], 1);
	plain = mmap(NULL, peer.bytes, PROT_READ, MAP_PRIVATE, peer.memfd, (off_t)peer.offset);
	REQUIRE(plain != MAP_FAILED);
	for (uint32_t i = 0; i < c->count; i++)
		EQ(plain[i * d->page_bytes], 0);
	stage_meet(d, &c->stage[1], 2);
	raw_close(&peer.raw);
}

static void
planted(void)
{
	struct live d = { 0 };
	struct common *c;
	pid_t maker, reader;
	int64_t planted_before, pinned_before, stay;

	daemon_start(&d);
	c = common_make_pages(&d, (uint32_t)(d.memory_bytes / d.page_bytes / 8));
	maker = client_start(&d, planted_maker, c);
	reader = client_start_as(&d, geteuid() == 0 ? READER_UID : 0, planted_reader, c);
	stage_wait(&d, &c->stage[0], 1);
	stage_wait(&d, &c->stage[1], 1);
	live_rest(&d);
	planted_before = live_stat(&d, "planted");
	pinned_before = live_stat(&d, "pinned");
	stage_allow(&c->stage[1], 1);
	stage_wait(&d, &c->stage[1], 2);
	stage_allow(&c->stage[0], 1);
	client_join(&d, maker, false);
	live_rest(&d);
	/* A page that is on its way between two of the kernel's lists looks pinned, and stays. */
	stay = live_stat(&d, "pinned") - pinned_before;
	REQUIRE(live_stat(&d, "planted") - planted_before + stay >= c->count / 2, "%lld, %lld stay",
	    (long long)(live_stat(&d, "planted") - planted_before), (long long)stay);
	stage_allow(&c->stage[1], 2);
	client_join(&d, reader, false);
	WAIT_UNTIL(&d, resident(&d) == 0);
	live_stop(&d);
}

/* --- punched (trap 6): a page that has a copy is not lost with its place in the memfd --- */

static void
punched_turn(struct live *d, struct common *c, struct book *book, unsigned number)
{
	for (uint32_t i = 0; i < c->count; i++) {
		if (i % 2 != number)
			continue;
		if (i % 4 < 2)
			book_poke(book, i, i + 1);
		book_verify(book, i);
	}
	stage_meet(d, &c->stage[number], 2);
	book_verify_all(book);
	stage_meet(d, &c->stage[number], 3);
}

static void
punched_maker(struct live *d, void *argument)
{
	struct common *c = argument;
	struct pager *p = client_connect(d);
	struct book book = book_of(d, c, share_make(d, c, p));
	int fd = share_name(d, c, p, book.base, PROT_READ | PROT_WRITE);

	for (unsigned i = 1; i < 3; i++)
		name_send(c->sockets[i][0], fd);
	close(fd);
	for (uint32_t i = 0; i < c->count; i++)
		book_write(&book, i, KIND_NOISE);
	/* They come back clean. */
	all_away(d, p, &book);
	book_verify_all(&book);
	stage_meet(d, &c->stage[0], 1);
	punched_turn(d, c, &book, 0);
	OK(pager_disconnect(p));
}

static void
punched_partner(struct live *d, void *argument)
{
	struct common *c = argument;
	int fd = name_receive(c->sockets[1][1]);
	struct pager *p = client_connect(d);
	struct book book = book_of(d, c, share_map(d, c, p, fd, PROT_READ | PROT_WRITE));

	close(fd);
	stage_meet(d, &c->stage[1], 1);
	punched_turn(d, c, &book, 1);
	OK(pager_disconnect(p));
}

static void
punched_hostile(struct live *d, void *argument)
{
	struct common *c = argument;
	struct peer peer;

	peer_join(d, c, 2, PROT_READ | PROT_WRITE, &peer);
	stage_meet(d, &c->stage[2], 1);
	REQUIRE(fallocate(peer.memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		    (off_t)peer.offset, (off_t)peer.bytes) == 0);
	stage_meet(d, &c->stage[2], 2);
	raw_close(&peer.raw);
}

static void
punched(void)
{
	static client_body *const bodies[] = { punched_maker, punched_partner, punched_hostile };
	struct live d = { 0 };
	struct common *c;
	pid_t pids[3];

	daemon_start(&d);
	live_param(&d, "retain_copies", "1");
	c = common_make_pages(&d, (uint32_t)(d.memory_bytes / d.page_bytes / 8));
	for (unsigned i = 0; i < 3; i++)
		pids[i] = client_start(&d, bodies[i], c);
	stage_wait(&d, &c->stage[0], 1);
	stage_wait(&d, &c->stage[1], 1);
	stage_wait(&d, &c->stage[2], 1);
	live_rest(&d);
	/* A gauge, which is refreshed now and then. */
	WAIT_UNTIL(&d, live_stat(&d, "retained_copies") >= c->count);
	stage_allow(&c->stage[2], 1);
	stage_wait(&d, &c->stage[2], 2);
	for (unsigned step = 1; step <= 2; step++) {
		for (unsigned i = 0; i < 2; i++)
			stage_wait(&d, &c->stage[i], step);
		for (unsigned i = 0; i < 2; i++)
			stage_allow(&c->stage[i], step);
	}
	for (unsigned i = 0; i < 2; i++)
		stage_wait(&d, &c->stage[i], 3);
	live_rest(&d);
	live_check(&d);
	stage_allow(&c->stage[2], 2);
	client_join(&d, pids[2], false);
	for (unsigned i = 0; i < 2; i++) {
		stage_allow(&c->stage[i], 3);
		client_join(&d, pids[i], false);
	}
	WAIT_UNTIL(&d, resident(&d) == 0);
	live_stop(&d);
}

/* --- poisoned (trap 7): lost for all who map it, and gone for all when it is discarded --- */

static void
poisoned_touch(struct live *d, struct common *c, struct book *book, unsigned number)
{
	unsigned refused = 0;

	(void)d;
	for (uint32_t i = 0; i < c->count; i++)
		refused += !touch(book, i, false);
	/* Each has to be told, not only the one that came first. */
	REQUIRE(refused >= 8, "sharer %u: %u", number, refused);
	atomic_store(&c->locks[number], (int)refused);
}

static void
poisoned_partner(struct live *d, void *argument)
{
	struct common *c = argument;
	int fd = name_receive(c->sockets[1][1]);
	struct pager *p = client_connect(d);
	struct book book = book_of(d, c, share_map(d, c, p, fd, PROT_READ | PROT_WRITE));

	expect_bus();
	stage_meet(d, &c->stage[1], 1);
	poisoned_touch(d, c, &book, 1);
	stage_meet(d, &c->stage[1], 2);
	OK(pager_deallocate(p, book.base, c->count * d->page_bytes));
	close(fd);
	stage_meet(d, &c->stage[1], 3);
	/* The maker has discarded them, and written them again. */
	fd = name_receive(c->sockets[1][1]);
	book.base = share_map(d, c, p, fd, PROT_READ | PROT_WRITE);
	close(fd);
	book_verify_all(&book);
	for (uint32_t i = 0; i < c->count; i++)
		book_write(&book, i, KIND_TEXT);
	stage_meet(d, &c->stage[1], 4);
	OK(pager_disconnect(p));
}

/* FREE discards only what no name covers any more, and the daemon hears of a name's end a little
 * later. => whether none is poisoned */
static bool
free_all(struct live *d, struct pager *p, struct book *book)
{
	unsigned disposition;

	OK(pager_behavior(p, book->base, book->count * d->page_bytes, PAGER_BEHAVIOR_FREE));
	for (uint32_t i = 0; i < book->count; i++) {
		OK(pager_page_query(p, book->base + i * d->page_bytes, &disposition));
		if (disposition & (PAGER_PAGE_PRESENT | PAGER_PAGE_POISONED))
			return false;
	}
	return true;
}

static void
poisoned_maker(struct live *d, void *argument)
{
	struct common *c = argument;
	struct pager *p = client_connect(d);
	struct book book = book_of(d, c, share_make(d, c, p));
	int fd = share_name(d, c, p, book.base, PROT_READ | PROT_WRITE);

	expect_bus();
	name_send(c->sockets[1][0], fd);
	for (uint32_t i = 0; i < c->count; i++)
		book_write(&book, i, KIND_NOISE);
	stage_meet(d, &c->stage[0], 1);
	poisoned_touch(d, c, &book, 0);
	stage_meet(d, &c->stage[0], 2);
	/* The partner maps it still. */
	OK(pager_behavior(p, book.base, c->count * d->page_bytes, PAGER_BEHAVIOR_FREE));
	poisoned_touch(d, c, &book, 0);
	close(fd);
	stage_meet(d, &c->stage[0], 3);
	WAIT_UNTIL(d, free_all(d, p, &book));
	for (uint32_t i = 0; i < c->count; i++)
		book_forget(&book, i);
	for (uint32_t i = 0; i < c->count; i += 2)
		book_write(&book, i, KIND_TEXT);
	book_verify_all(&book);
	fd = share_name(d, c, p, book.base, PROT_READ | PROT_WRITE);
	name_send(c->sockets[1][0], fd);
	close(fd);
	stage_meet(d, &c->stage[0], 4);
	book_verify_all(&book);
	OK(pager_disconnect(p));
}

static void
poisoned(void)
{
	struct live d = { 0 };
	struct common *c;
	pid_t pids[2];

	daemon_start(&d);
	live_param(&d, "compressor_percent", "20");
	c = common_make_pages(&d, (uint32_t)(4 * d.memory_bytes / d.page_bytes));
	pids[0] = client_start(&d, poisoned_maker, c);
	pids[1] = client_start(&d, poisoned_partner, c);
	stage_wait(&d, &c->stage[0], 1);
	stage_wait(&d, &c->stage[1], 1);
	live_debug_fail(&d, "SWAP_READ_EIO:0:64");
	stage_allow(&c->stage[0], 1);
	stage_wait(&d, &c->stage[0], 2);
	live_debug_fail(&d, NULL);
	stage_allow(&c->stage[1], 1);
	stage_wait(&d, &c->stage[1], 2);
	/* What the maker found lost is lost for the partner. */
	EQ(atomic_load(&c->locks[0]), atomic_load(&c->locks[1]));
	live_check(&d);
	stage_allow(&c->stage[0], 2);
	stage_wait(&d, &c->stage[0], 3);
	stage_allow(&c->stage[1], 2);
	stage_wait(&d, &c->stage[1], 3);
	stage_allow(&c->stage[0], 3);
	stage_wait(&d, &c->stage[0], 4);
	stage_allow(&c->stage[1], 3);
	stage_wait(&d, &c->stage[1], 4);
	live_check(&d);
	stage_allow(&c->stage[0], 4);
	stage_allow(&c->stage[1], 4);
	for (unsigned i = 0; i < 2; i++)
		client_join(&d, pids[i], false);
	WAIT_UNTIL(&d, resident(&d) == 0);
	live_stop(&d);
}

static const struct live_test tests[] = { { "hostile", hostile }, { "trap-20-planted", planted },
	{ "trap-6-punched", punched }, { "trap-7-poisoned", poisoned } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
