/* SPDX-License-Identifier: MIT
 *
 * Clients that take turn after turn on pages of their own, twice as many altogether as the daemon
 * holds, and count them: who kills or replaces the daemon sees that all of them go on.
 */
#ifndef ROUNDS_H
#define ROUNDS_H

#include <stdatomic.h>

#include "book.h"
#include "harness.h"

enum { CLIENTS = 2 };

struct shared {
	atomic_bool stop;
	_Atomic uint64_t rounds[CLIENTS];
};

struct part {
	struct shared *shared;
	unsigned index;
};

struct rounds {
	struct shared *shared;
	struct part parts[CLIENTS];
	pid_t pids[CLIENTS];
};

/* A turn of the client whose pages have that object's number. */
typedef void rounds_turn(struct pager *p, struct book *b, uint32_t object, uint64_t *rng);

/* A client's life. */
static inline void
rounds_run(struct live *d, struct part *part, rounds_turn *turn)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(2 * d->memory_bytes / d->page_bytes / CLIENTS);
	uint64_t rng = mix64(live_seed + part->index);
	struct book b;

	book_open(
	    &b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, part->index + 1);
	while (!atomic_load(&part->shared->stop)) {
		turn(p, &b, part->index + 1, &rng);
		atomic_fetch_add(&part->shared->rounds[part->index], 1);
	}
	book_verify_all(&b);
	OK(pager_deallocate(p, b.base, count * d->page_bytes));
	book_close(&b);
	pager_disconnect(p);
}

/* body: gets a struct part. */
static inline void
rounds_start(struct rounds *r, struct live *d, client_body *body)
{
	r->shared = shared_alloc(sizeof(*r->shared));
	for (unsigned i = 0; i < CLIENTS; i++) {
		r->parts[i] = (struct part){ r->shared, i };
		r->pids[i] = client_start(d, body, &r->parts[i]);
	}
}

/* All clients have taken that many turns more. */
static inline void
rounds_go_on(struct rounds *r, struct live *d, uint64_t turns)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		uint64_t until = atomic_load(&r->shared->rounds[i]) + turns;

		WAIT_UNTIL(d, atomic_load(&r->shared->rounds[i]) >= until);
	}
}

static inline void
rounds_end(struct rounds *r, struct live *d)
{
	atomic_store(&r->shared->stop, true);
	for (unsigned i = 0; i < CLIENTS; i++)
		client_join(d, r->pids[i], false);
}

#endif
