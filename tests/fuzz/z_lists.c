/* SPDX-License-Identifier: MIT
 *
 * Requests about page lists, right in form, with wild values, from a client that touches none of
 * its pages; it ends with its lists. A well-behaved client beside it must notice nothing. Seeded
 * and bounded.
 */
#include "harness.h"

#include "honest.h"
#include "raw.h"

static uint64_t
wild(uint64_t *rng)
{
	static const uint64_t values[] = { 0, 1, 15, 4095, 4096, 4097, 65536, 1ull << 20,
		1ull << 31, (1ull << 32) - 1, 1ull << 32, (1ull << 47) - 4096, 1ull << 47,
		1ull << 63, UINT64_MAX, UINT64_MAX - 4095, 0x700000000000 };

	return rng_below(rng, 3) ? values[rng_below(rng, sizeof(values) / sizeof(values[0]))]
				 : rng_next(rng);
}

/* => 0 or -errno */
static int
list_create(struct raw *r, uint64_t address, uint64_t size, uint64_t *rng, uint64_t *ret_id)
{
	struct pager_req_upl_create request = { .address = address,
		.size = size,
		.flags = (uint32_t)(rng_below(rng, 4) ? rng_below(rng, 128) : wild(rng)) };
	struct pager_rep_upl_create reply;
	int fd = -1;
	struct chan_call call = { CHAN_CALL(UPL_CREATE, &request, &reply) };
	int error;

	call.reply_bytes_min = offsetof(struct pager_rep_upl_create, pages);
	/* A question after the type has no descriptor in its answer. */
	request.flags &= ~(uint32_t)PAGER_UPL_QUERY_OBJECT_TYPE;
	call.ret_fd = &fd;
	error = chan_exchange(&r->chan, &call);
	if (fd >= 0)
		close(fd);
	if (error == 0) {
		REQUIRE(reply.size > 0 && reply.size <= size && reply.held <= reply.size / 4096);
		*ret_id = reply.id;
	}
	return error;
}

static int
list_finish(struct raw *r, uint64_t id, uint64_t *rng)
{
	bool is_wild = rng_below(rng, 4) == 0;
	struct pager_req_upl_finish request = { .id = rng_below(rng, 8) ? id : wild(rng),
		.offset = is_wild ? wild(rng) : rng_below(rng, 16) * 4096,
		.size = is_wild ? wild(rng) : rng_below(rng, 64) * 4096,
		.what = (uint32_t)rng_below(rng, 5),
		.flags = (uint32_t)(rng_below(rng, 4) ? rng_below(rng, 256) : wild(rng)) };
	struct pager_rep_upl_finish reply;
	struct chan_call call = { CHAN_CALL(UPL_FINISH, &request, &reply) };

	return chan_exchange(&r->chan, &call);
}

static void
lists(struct live *d, void *argument)
{
	enum { PAGES = 64 };
	uint64_t rng = mix64(live_seed * 101), granted = 0, finished = 0, offset, id = 0;
	const size_t bytes = PAGES * d->page_bytes;
	unsigned char *base;
	struct raw r;
	int memfd;

	(void)argument;
	raw_connect(d, &r);
	base = raw_memory(&r, bytes, &memfd, &offset);
	memset(base, 1, bytes / 2);
	for (uint64_t n = 0; n < live_scaled(6000); n++) {
		uint64_t first = rng_below(&rng, PAGES), count = 1 + rng_below(&rng, PAGES);
		uint64_t address = (uintptr_t)base + first * d->page_bytes,
			 size = count * d->page_bytes;

		if (rng_below(&rng, 8) == 0)
			address = wild(&rng);
		if (rng_below(&rng, 8) == 0)
			size = wild(&rng);
		granted += list_create(&r, address, size, &rng, &id) == 0;
		for (unsigned i = 0; i < 3; i++)
			finished += list_finish(&r, 1 + rng_below(&rng, id + 1), &rng) == 0;
		if (n % 1000 == 0)
			live_check(d);
	}
	REQUIRE(granted > 0 && finished > 0);
	/* Its lists are there yet. */
	raw_close(&r);
	close(memfd);
}

int
main(int argc, char **argv)
{
	struct live d;
	struct honest *honest;

	live_init(argc, argv);
	live_start(&d, "8M", "--log-level", "error", NULL);
	honest = honest_start(&d);
	client_join(&d, client_start(&d, lists, NULL), true);
	honest_wait(&d, honest, 500);
	EQ(live_stat(&d, "protocol_errors"), 0);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 1);
	honest_stop(&d, honest);
	live_stop(&d);
	return 0;
}
