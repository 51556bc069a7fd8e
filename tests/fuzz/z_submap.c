/* SPDX-License-Identifier: MIT
 *
 * Submaps, made, changed and named with wild values by a client that is attached. A well-behaved
 * client beside it must notice nothing, the session goes on, and nothing is left when its process
 * ends. Seeded and bounded.
 *
 * usage: z_submap submap
 */
#include "harness.h"

#include <sys/mman.h>
#include <sys/socket.h>

#include "honest.h"
#include "raw.h"
#include "wild.h"

/* => 0 or -errno */
static int
submap_change(struct raw *r, int name, uint64_t page_bytes, unsigned pages, uint64_t *rng)
{
	struct pager_req_submap_change request = { .offset = rng_below(rng, pages) * page_bytes,
		.size = (1 + rng_below(rng, pages)) * page_bytes,
		.op = 1 + (uint32_t)rng_below(rng, 3),
		.protection = (uint32_t[]){ 0, PROT_READ, PROT_READ | PROT_WRITE,
		    PROT_READ | PAGER_PROT_MAXIMUM }[rng_below(rng, 4)],
		.flags = rng_below(rng, 2) ? (uint32_t)PAGER_ALLOC_FIXED : 0 };
	struct pager_rep_submap_change reply;
	struct chan_call call = { CHAN_CALL(SUBMAP_CHANGE, &request, &reply), .fds_out = &name,
		.fds_out_count = 1 };

	if (request.op != PAGER_SUBMAP_ALLOCATE)
		request.flags = 0;
	if (request.op == PAGER_SUBMAP_DEALLOCATE)
		request.protection = 0;
	switch (rng_below(rng, 16)) {
	case 0:
		request.offset = wild(rng);
		break;
	case 1:
		request.size = wild(rng);
		break;
	case 2:
		request.op = (uint32_t)wild(rng);
		break;
	case 3:
		request.protection = (uint32_t)wild(rng);
		break;
	case 4:
		request.flags = (uint32_t)wild(rng);
		break;
	case 5:
		request.tag = (uint32_t)wild(rng);
		break;
	default:
		break;
	}
	return chan_exchange(&r->chan, &call);
}

static int
submap_create(struct raw *r, uint64_t size, uint32_t flags, int *ret_name)
{
	struct pager_req_submap_create request = { .size = size, .flags = flags };
	struct pager_rep_submap_create reply;
	struct chan_call call = { CHAN_CALL(SUBMAP_CREATE, &request, &reply), .ret_fd = ret_name };

	return chan_exchange(&r->chan, &call);
}

static void
submap_name(struct raw *r, int name, uint64_t *rng)
{
	struct pager_req_submap_name request = { .rights = rng_below(rng, 2) ? PROT_READ
									     : (uint32_t)wild(rng),
		.flags = rng_below(rng, 8) ? 0 : (uint32_t)wild(rng) };
	struct pager_rep_submap_name reply;
	int less = -1;
	struct chan_call call = { CHAN_CALL(SUBMAP_NAME, &request, &reply), .ret_fd = &less,
		.fds_out = &name, .fds_out_count = 1 };

	if (chan_exchange(&r->chan, &call) == 0)
		close(less);
}

static void
submaps(struct live *d, void *argument)
{
	enum { PAGES = 64 };
	uint64_t rng = mix64(live_seed * 101), granted = 0;
	int pair[2], name = -1, other;
	struct raw r;

	(void)argument;
	REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	raw_connect(d, &r);
	OK(submap_create(&r, PAGES * d->page_bytes, 0, &name));
	for (uint64_t n = 0; n < live_scaled(4000); n++) {
		int result = submap_change(
		    &r, rng_below(&rng, 16) ? name : pair[0], d->page_bytes, PAGES, &rng);

		granted += result == 0;
		REQUIRE(result <= 0 && result != -EPROTO && result != -ENOTCONN, "%d", result);
		if (rng_below(&rng, 16) == 0)
			submap_name(&r, name, &rng);
		if (rng_below(&rng, 64) == 0 &&
		    submap_create(
			&r, wild(&rng), rng_below(&rng, 4) ? 0 : (uint32_t)wild(&rng), &other) == 0)
			close(other);
	}
	REQUIRE(granted > 0);
	/* The name is open as its process ends. */
	raw_close(&r);
	close(pair[0]);
	close(pair[1]);
}

static void
test_submap(void)
{
	struct honest *honest;
	struct live d;

	live_start(&d, "8M", "--log-level", "error", NULL);
	honest = honest_start(&d);
	client_join(&d, client_start(&d, submaps, NULL), true);
	/* The client beside it is served as before. */
	honest_wait(&d, honest, 500);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 1);
	EQ(live_stat(&d, "protocol_errors"), 0);
	live_check(&d);
	honest_stop(&d, honest);
	live_stop(&d);
}

static const struct live_test tests[] = { { "submap", test_submap } };

int
main(int argc, char **argv)
{
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
