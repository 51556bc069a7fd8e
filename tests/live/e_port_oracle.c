/* SPDX-License-Identifier: MIT
 *
 * Many senders and receivers under memory pressure: each message has a content that follows from
 * its number, and is received once. Receivers keep some of what they got, write to it and look at
 * it again later. In `killed` processes of both kinds die in the midst of it: nothing is received
 * twice, nothing that was sent to a port that lived is missing, and nothing is left.
 *
 * usage: e_port_oracle oracle|killed [page=SIZE] [memory=SIZE] [ratio=N] [clients=N] [ops=N]
 */
#include "share.h"

enum { PEERS_MAX = 8, SIZE_PAGES_MAX = 24, KEPT = 6, QUEUE = 3, QUIT = 0xffffffffu };

/* What became of a message. */
struct fate {
	atomic_uchar sent;     /* pager_send has returned 0 */
	atomic_uchar received; /* how often */
};

struct post {
	unsigned senders, receivers;                 /* of each */
	uint32_t ops;                                /* messages of one sender */
	atomic_uint done;                            /* senders that have sent all */
	atomic_uint progress;                        /* messages received */
	atomic_uint kinds[PAGER_TRANSFER_MOVED + 1]; /* received, by what was done */
	struct fate *fates;                          /* by sender * ops + number */
};

struct peer_args {
	struct post *post;
	unsigned number;
	uint32_t ballast; /* pages of its own that it touches meanwhile */
};

static void
port_name(char name[PAGER_PORT_NAME], unsigned receiver)
{
	snprintf(name, PAGER_PORT_NAME, "oracle/%u", receiver);
}

static uint64_t
message_bytes(const struct live *d, uint64_t id)
{
	uint64_t draw = mix64(id * 3 + 1);
	uint64_t pages = 1 + draw % SIZE_PAGES_MAX;

	/* One in three ends within a page. */
	return pages * d->page_bytes - (draw >> 32) % 3 / 2 * (draw >> 40) % d->page_bytes;
}

/* A word of each 512 bytes, and all bytes of the last 512. */
static void
content_write(unsigned char *at, uint64_t bytes, uint64_t id)
{
	for (uint64_t i = 0; i < bytes; i++)
		if (i % 512 < 8 || i + 512 >= bytes)
			at[i] = (unsigned char)(mix64(id * 1000003 + i / 8) >> i % 8 * 8);
}

static void
content_verify(const unsigned char *at, uint64_t bytes, uint64_t id, const char *when)
{
	for (uint64_t i = 0; i < bytes; i++)
		if (i % 512 < 8 || i + 512 >= bytes)
			REQUIRE(at[i] == (unsigned char)(mix64(id * 1000003 + i / 8) >> i % 8 * 8),
			    "message %llx, byte %llu of %llu, %s", (unsigned long long)id,
			    (unsigned long long)i, (unsigned long long)bytes, when);
}

/* Memory of the peer's own that keeps the daemon short. */
static struct book
ballast_make(struct live *d, struct pager *p, const struct peer_args *a)
{
	struct book book;

	book_open(&book, client_allocate(p, a->ballast * d->page_bytes), d->page_bytes, a->ballast,
	    1000 + a->number);
	return book;
}

static void
ballast_turn(struct book *b, uint64_t *rng)
{
	for (unsigned i = 0; i < 8; i++) {
		uint32_t page = (uint32_t)rng_below(rng, b->count);

		book_verify(b, page);
		if (rng_below(rng, 2))
			book_write(b, page, mixture_draw(&mixture_usual, rng));
	}
}

/* --- senders --- */

/* Opens the port of a receiver, whichever process has it now. */
static struct pager_port *
port_reach(struct live *d, struct pager *p, unsigned receiver)
{
	char name[PAGER_PORT_NAME];
	struct pager_port *port;
	int r;

	port_name(name, receiver);
	for (;;) {
		r = pager_port_open(p, name, &port);
		if (r == 0)
			return port;
		REQUIRE(r == -ENOENT, "%d", r);
		live_tick(d);
	}
}

/* Memory of a random kind with the message's content. *flags: how it may be sent */
static void *
content_make(struct live *d, struct pager *p, uint64_t id, uint64_t *rng, unsigned *flags,
    unsigned char *plain)
{
	uint64_t bytes = message_bytes(d, id);
	void *at = plain;

	*flags = rng_below(rng, 2) ? PAGER_SEND_VIRTUAL : PAGER_SEND_PHYSICAL;
	switch (rng_below(rng, 4)) {
	case 0:
		break;
	case 1:
		OK(pager_allocate(p, bytes, 0, &at));
		break;
	default:
		OK(pager_allocate(p, bytes, PAGER_ALLOC_SHAREABLE, &at));
		break;
	}
	if (at != plain && rng_below(rng, 3))
		*flags |= PAGER_SEND_DEALLOCATE;
	content_write(at, bytes, id);
	if (at != plain && rng_below(rng, 4) == 0)
		OK(pager_behavior(p, at, bytes, PAGER_BEHAVIOR_PAGEOUT));
	return at;
}

static void
sender(struct live *d, void *argument)
{
	const struct peer_args *a = argument;
	struct post *post = a->post;
	struct pager *p = client_connect(d);
	struct book ballast = ballast_make(d, p, a);
	struct pager_port *ports[PEERS_MAX] = { NULL };
	unsigned char *plain = malloc(SIZE_PAGES_MAX * d->page_bytes);
	uint64_t rng = live_seed ^ mix64(a->number + 77);

	for (uint32_t i = 0; i < post->ops; i++) {
		uint64_t id = (uint64_t)a->number << 32 | i, bytes = message_bytes(d, id);
		struct fate *fate = &post->fates[a->number * post->ops + i];
		unsigned to = (unsigned)rng_below(&rng, post->receivers), flags;
		unsigned char *at = content_make(d, p, id, &rng, &flags, plain);
		bool gone = false;
		int r;

		do {
			if (!ports[to])
				ports[to] = port_reach(d, p, to);
			r = pager_send(
			    ports[to], at, bytes, flags, id | (uint64_t)to << 56, -1, NULL);
			if (r == -EPIPE) {
				pager_port_close(ports[to]);
				ports[to] = NULL;
			} else {
				OK(r);
				gone = flags & PAGER_SEND_DEALLOCATE;
				atomic_store(&fate->sent, 1);
			}
		} while (r == -EPIPE);
		if (at != plain && !gone) {
			content_verify(at, bytes, id, "at its sender");
			OK(pager_deallocate(p, at, bytes));
		}
		ballast_turn(&ballast, &rng);
	}
	book_verify_all(&ballast);
	atomic_fetch_add(&post->done, 1);
	OK(pager_disconnect(p));
}

/* --- receivers --- */

struct kept {
	struct pager_message m;
	bool is_written; /* by this process, over what came */
};

static void
kept_turn(struct pager *p, struct kept *k, uint64_t *rng)
{
	if (!k->m.addr)
		return;
	content_verify(k->m.addr, k->m.size, k->m.id ^ (k->is_written ? ~0ull : 0), "kept");
	if (rng_below(rng, 2)) {
		k->is_written = true;
		content_write(k->m.addr, k->m.size, ~k->m.id);
	}
	if (rng_below(rng, 3) == 0) {
		OK(pager_deallocate(p, k->m.addr, k->m.size));
		k->m.addr = NULL;
	}
}

static void
receiver(struct live *d, void *argument)
{
	const struct peer_args *a = argument;
	struct post *post = a->post;
	struct pager *p = client_connect(d);
	struct book ballast = ballast_make(d, p, a);
	struct kept kept[KEPT] = { 0 };
	uint64_t rng = live_seed ^ mix64(a->number + 7777);
	char name[PAGER_PORT_NAME];
	struct pager_port *port;
	int r;

	port_name(name, a->number);
	/* The port of the process before may still be being taken apart. */
	while ((r = pager_port_create(p, name, PAGER_PORT_SENDERS_ALL, QUEUE, &port)) == -EEXIST)
		live_tick(d);
	OK(r);
	for (;;) {
		struct kept *k = &kept[rng_below(&rng, KEPT)];
		struct pager_message m;
		struct fate *fate;

		OK(pager_receive(port, 0, -1, &m));
		if (m.id == QUIT) {
			OK(pager_deallocate(p, m.addr, m.size));
			break;
		}
		EQ(m.id >> 56, a->number);
		m.id &= ~0ull >> 8;
		fate = &post->fates[(m.id >> 32) * post->ops + (uint32_t)m.id];
		EQ(atomic_fetch_add(&fate->received, 1), 0);
		EQ(m.size, message_bytes(d, m.id));
		content_verify(m.addr, m.size, m.id, "received");
		atomic_fetch_add(&post->kinds[m.done], 1);
		atomic_fetch_add(&post->progress, 1);
		if (k->m.addr)
			OK(pager_deallocate(p, k->m.addr, k->m.size));
		*k = (struct kept){ m, false };
		kept_turn(p, &kept[rng_below(&rng, KEPT)], &rng);
		ballast_turn(&ballast, &rng);
	}
	book_verify_all(&ballast);
	OK(pager_disconnect(p));
}

/* Tells each receiver that nothing more comes: what was sent before is before it in the queue. */
static void
quitter(struct live *d, void *argument)
{
	struct post *post = argument;
	struct pager *p = client_connect(d);
	unsigned char byte = 0;

	for (unsigned i = 0; i < post->receivers; i++) {
		struct pager_port *port = port_reach(d, p, i);

		OK(pager_send(port, &byte, 1, PAGER_SEND_PHYSICAL, QUIT, -1, NULL));
	}
	OK(pager_disconnect(p));
}

/* --- the test --- */

static struct peer_args *
peer_args_make(struct live *d, struct post *post, unsigned number)
{
	struct peer_args *a = shared_alloc(sizeof(*a));
	uint64_t all = options.ratio * d->memory_bytes / d->page_bytes;

	*a =
	    (struct peer_args){ post, number, (uint32_t)(all / (post->senders + post->receivers)) };
	return a;
}

static struct post *
post_make(void)
{
	struct post *post = shared_alloc(sizeof(*post));

	post->senders = options.sharers;
	post->receivers = (options.sharers + 1) / 2;
	REQUIRE(post->senders <= PEERS_MAX);
	post->ops = (uint32_t)live_scaled(options.ops);
	post->fates = shared_alloc(post->senders * post->ops * sizeof(*post->fates));
	return post;
}

/* The last sender and the last receiver are of another user. */
static pid_t
peer_start(struct live *d, struct post *post, unsigned number, bool sends)
{
	bool nobody = number > 0 && number + 1 == (sends ? post->senders : post->receivers);

	return client_start_as(
	    d, nobody ? READER_UID : 0, sends ? sender : receiver, peer_args_make(d, post, number));
}

static void
all_is_accounted_for(struct live *d, struct post *post, unsigned kills)
{
	uint32_t lacking = 0;

	for (uint32_t i = 0; i < post->senders * post->ops; i++) {
		struct fate *fate = &post->fates[i];

		REQUIRE(atomic_load(&fate->received) <= 1);
		lacking += atomic_load(&fate->sent) && !atomic_load(&fate->received);
	}
	/* A queue, and the one that was just being received. */
	REQUIRE(lacking <= kills * (QUEUE + 1), "%u of %u kills", lacking, kills);
	WAIT_UNTIL(d, live_stat(d, "sessions") == 0);
	WAIT_UNTIL(d, resident(d) == 0);
	WAIT_UNTIL(d, live_stat(d, "queued_messages") == 0);
	WAIT_UNTIL(d, live_stat(d, "ports") == 0);
	EQ(live_stat(d, "queued_bytes"), 0);
	REQUIRE(live_stat(d, "pageouts") > 0);
}

static void
oracle(void)
{
	pid_t senders[PEERS_MAX], receivers[PEERS_MAX];
	struct live d = { 0 };
	struct post *post = post_make();
	unsigned descriptors;

	daemon_start(&d);
	descriptors = clients_descriptors(&d);
	for (unsigned i = 0; i < post->receivers; i++)
		receivers[i] = peer_start(&d, post, i, false);
	for (unsigned i = 0; i < post->senders; i++)
		senders[i] = peer_start(&d, post, i, true);
	WAIT_UNTIL(&d, atomic_load(&post->progress) > post->ops / 2);
	live_check(&d);
	for (unsigned i = 0; i < post->senders; i++)
		client_join(&d, senders[i], true);
	client_join(&d, client_start(&d, quitter, post), false);
	for (unsigned i = 0; i < post->receivers; i++)
		client_join(&d, receivers[i], true);
	EQ(atomic_load(&post->progress), post->senders * post->ops);
	REQUIRE(atomic_load(&post->kinds[PAGER_TRANSFER_MOVED]) > 0);
	REQUIRE(atomic_load(&post->kinds[PAGER_TRANSFER_PHYSICAL]) > 0);
	REQUIRE(atomic_load(&post->kinds[PAGER_TRANSFER_VIRTUAL]) > 0);
	all_is_accounted_for(&d, post, 0);
	WAIT_UNTIL(&d, clients_descriptors(&d) == descriptors);
	live_stop(&d);
}

/* Kills receivers and starts them again, and kills all senders but one. */
static void
killed(void)
{
	pid_t senders[PEERS_MAX], receivers[PEERS_MAX];
	struct live d = { 0 };
	struct post *post = post_make();
	uint64_t rng = live_seed;
	unsigned descriptors, kills = 0, left = post->senders;

	daemon_start(&d);
	descriptors = clients_descriptors(&d);
	for (unsigned i = 0; i < post->receivers; i++)
		receivers[i] = peer_start(&d, post, i, false);
	for (unsigned i = 0; i < post->senders; i++)
		senders[i] = peer_start(&d, post, i, true);
	for (unsigned round = 0; atomic_load(&post->done) == 0; round++) {
		unsigned until = atomic_load(&post->progress) + 1 + (unsigned)rng_below(&rng, 60),
			 i = (unsigned)rng_below(&rng, post->receivers);
		int64_t faults = live_stat(&d, "faults") + (int64_t)rng_below(&rng, 400);

		WAIT_UNTIL(&d, atomic_load(&post->progress) >= until ||
				   live_stat(&d, "faults") >= faults ||
				   atomic_load(&post->done) > 0);
		client_kill(receivers[i]);
		kills++;
		receivers[i] = peer_start(&d, post, i, false);
		if (round % 3 == 2 && left > 1) {
			left--;
			client_kill(senders[left]);
		}
		if (round % 4 == 3)
			live_check(&d);
	}
	for (unsigned i = 0; i < left; i++)
		client_join(&d, senders[i], false);
	client_join(&d, client_start(&d, quitter, post), false);
	for (unsigned i = 0; i < post->receivers; i++)
		client_join(&d, receivers[i], false);
	all_is_accounted_for(&d, post, kills);
	WAIT_UNTIL(&d, clients_descriptors(&d) == descriptors);
	live_stop(&d);
}

static const struct live_test tests[] = { { "oracle", oracle }, { "killed", killed } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
