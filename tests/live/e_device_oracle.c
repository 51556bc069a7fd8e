/* SPDX-License-Identifier: MIT
 *
 * The content oracle on a device that several clients map, each with more memory of its own than
 * fits: they write and read any page of it, have it held for transfers, leave and come back, and
 * one after the other is killed. What they are billed for the device is its size, all the time.
 *
 * usage: e_device_oracle oracle [page=SIZE] [memory=SIZE] [ops=N]
 */
#include "device.h"

enum { CLIENTS = 3, KILLS = 3 };

struct scene {
	struct common *c;
	_Atomic uint64_t turns[CLIENTS];
	atomic_bool over;
};
struct role {
	struct scene *scene;
	unsigned number;
};

/* One client's view. */
struct user {
	struct live *d;
	struct common *c;
	struct pager *p;
	struct book device, own;
	size_t bytes; /* of the device */
	uint64_t rng;
};

static void
device_turn(struct user *u)
{
	uint32_t page = (uint32_t)rng_below(&u->rng, u->c->count);
	bool is_whole = page_lock(u->d, u->c, page);

	if (is_whole)
		book_verify(&u->device, page);
	/* A process that was killed may have left a part of a generation. */
	if (!is_whole || rng_below(&u->rng, 2))
		book_write(&u->device, page, mixture_draw(&mixture_usual, &u->rng));
	page_unlock(u->c, page);
}

static void
own_turn(struct user *u)
{
	uint32_t page = (uint32_t)rng_below(&u->rng, u->own.count);

	book_verify(&u->own, page);
	book_write(&u->own, page, mixture_draw(&mixture_usual, &u->rng));
}

/* The device as buffers of a transfer, or what the own memory has done to it. */
static void
device_advice(struct user *u)
{
	struct pager_memory_descriptor *md;
	const struct pager_memory_piece *pieces;
	size_t count;

	switch (rng_below(&u->rng, 4)) {
	case 0:
		OK(pager_deallocate(u->p, u->device.base, u->bytes));
		EQ(statistics(u->p).iokit_mapped, 0);
		u->device.base = device_map(u->p, "oracle", u->bytes, PROT_READ | PROT_WRITE);
		break;
	case 1:
		OK(pager_memory_descriptor_create(
		    u->p, u->device.base, u->bytes, PAGER_DIRECTION_IN, &md));
		OK(pager_memory_descriptor_prepare(md, &pieces, &count));
		EQ(count, 1);
		device_turn(u);
		OK(pager_memory_descriptor_complete(md));
		OK(pager_memory_descriptor_release(md));
		break;
	case 2:
		OK(pager_wire(u->p, u->device.base, u->bytes));
		device_turn(u);
		OK(pager_unwire(u->p, u->device.base, u->bytes));
		break;
	case 3:
		OK(pager_behavior(u->p, u->own.base, u->own.count / 4 * u->d->page_bytes,
		    PAGER_BEHAVIOR_PAGEOUT));
		break;
	}
	EQ(statistics(u->p).iokit_mapped, u->bytes);
}

static void
user_run(struct live *d, void *argument)
{
	struct role *role = argument;
	struct scene *s = role->scene;
	struct user u = { .d = d,
		.c = s->c,
		.p = client_connect(d),
		.bytes = s->c->count * d->page_bytes,
		.rng = live_seed ^ mix64((uint64_t)getpid()) };
	uint32_t own = (uint32_t)(d->memory_bytes / d->page_bytes);

	u.device = book_of(d, s->c, device_map(u.p, "oracle", u.bytes, PROT_READ | PROT_WRITE));
	book_open(&u.own, client_allocate(u.p, own * d->page_bytes), d->page_bytes, own,
	    10 + role->number);
	while (!atomic_load(&s->over)) {
		device_turn(&u);
		own_turn(&u);
		if (rng_below(&u.rng, 64) == 0)
			device_advice(&u);
		atomic_fetch_add(&s->turns[role->number], 1);
	}
	book_verify_all(&u.own);
	OK(pager_disconnect(u.p));
}

static void
everybody_goes_on(struct live *d, struct scene *s, uint64_t turns)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		uint64_t until = atomic_load(&s->turns[i]) + turns;

		WAIT_UNTIL(d, atomic_load(&s->turns[i]) >= until);
	}
}

static void
oracle(void)
{
	struct scene *s = shared_alloc(sizeof(*s));
	uint64_t turns = live_scaled(options.ops) / KILLS;
	struct role roles[CLIENTS];
	pid_t pids[CLIENTS];
	struct live d;
	int64_t pages;

	live_start(&d, options.memory, "--page-size", options.page, "--device", "oracle=2M", NULL);
	s->c = common_make_pages(&d, (uint32_t)(DEVICE_BYTES / d.page_bytes));
	for (unsigned i = 0; i < CLIENTS; i++) {
		roles[i] = (struct role){ s, i };
		pids[i] = client_start(&d, user_run, &roles[i]);
	}
	for (unsigned n = 0; n < KILLS; n++) {
		everybody_goes_on(&d, s, turns);
		client_kill(pids[n % CLIENTS]);
		live_sample(&d, true);
		pids[n % CLIENTS] = client_start(&d, user_run, &roles[n % CLIENTS]);
	}
	everybody_goes_on(&d, s, turns);
	pages = CLIENTS * DEVICE_BYTES / (int64_t)d.page_bytes;
	WAIT_UNTIL(&d, live_stat(&d, "iokit_mapped") <= pages);
	atomic_store(&s->over, true);
	for (unsigned i = 0; i < CLIENTS; i++)
		client_join(&d, pids[i], true);
	WAIT_UNTIL(&d, live_stat(&d, "iokit_mapped") == 0);
	REQUIRE(live_stat(&d, "pageouts") > 0);
	printf("%u locks of killed clients were taken over\n", atomic_load(&s->c->taken_over));
	live_stop(&d);
}

static const struct live_test tests[] = { { "oracle", oracle } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
