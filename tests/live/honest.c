/* SPDX-License-Identifier: MIT */
#include "honest.h"

#include "book.h"

void
honest_client(struct live *d, void *argument)
{
	struct honest *h = argument;
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(2 * d->memory_bytes / d->page_bytes);
	uint64_t rng = live_seed;
	struct pager_statistics statistics;
	struct book b;

	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 77);
	book_write_all(&b, &mixture_usual, &rng);
	while (!atomic_load(&h->stop)) {
		uint32_t page = (uint32_t)rng_below(&rng, count);

		book_verify(&b, page);
		book_write(&b, page, mixture_draw(&mixture_usual, &rng));
		if (atomic_fetch_add(&h->touches, 1) % 64 == 0)
			OK(pager_statistics(p, &statistics));
	}
	book_verify_all(&b);
	OK(pager_disconnect(p));
}

struct honest *
honest_start(struct live *d)
{
	struct honest *h = shared_alloc(sizeof(*h));

	h->pid = client_start(d, honest_client, h);
	honest_wait(d, h, 1);
	return h;
}

void
honest_wait(struct live *d, struct honest *h, uint64_t touches)
{
	uint64_t until = atomic_load(&h->touches) + touches;

	WAIT_UNTIL(d, atomic_load(&h->touches) >= until);
}

void
honest_stop(struct live *d, struct honest *h)
{
	atomic_store(&h->stop, true);
	client_join(d, h->pid, false);
}
