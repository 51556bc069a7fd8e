/* SPDX-License-Identifier: MIT
 *
 * Ghosts of pages that have left. Runs on: pageout workers (leave), fault servers and willneed
 * (came).
 */
#include "vm/refault.h"

#include <errno.h>
#include <sys/mman.h>

#include "base.h"
#include "check.h"
#include "own.h"
#include "vm/books.h"

/* A ghost: the page's mark and the time when it left. */
#define TIME_BITS 20u
#define TIME_MASK ((1u << TIME_BITS) - 1)
/* The time comes round when so many times the frames have left; what is older looks young again, if
 * nothing has overwritten it, and is mistaken for a refault once in that many times. */
#define ROUND 16u

int
refaults_create(struct refaults *r, uint32_t rows)
{
	uint32_t places = 1024;
	void *memory;

	CHECK(rows > 0 && !r->ghosts);
	while (places < rows)
		places *= 2;
	while ((uint64_t)rows * ROUND >> r->unit_shift > TIME_MASK)
		r->unit_shift++;
	memory = mmap(NULL, places * sizeof(r->ghosts[0]), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	own_area(OWN_GHOSTS, memory, places * sizeof(r->ghosts[0]));
	r->ghosts = memory;
	r->most_places = places;
	refaults_size(r, rows);
	return 0;
}

void
refaults_size(struct refaults *r, uint32_t frames)
{
	uint32_t places = 1024;

	if (!r->ghosts)
		return;
	while (places < frames && places < r->most_places)
		places *= 2;
	if (load_relaxed(&r->places) != places)
		store_relaxed(&r->places, places);
}

void
refaults_destroy(struct refaults *r)
{
	if (!r->ghosts)
		return;
	own_area_forget(r->ghosts);
	munmap(r->ghosts, r->most_places * sizeof(r->ghosts[0]));
	r->ghosts = NULL;
}

uint64_t
refaults_leave(struct refaults *r, unsigned pages)
{
	return fetch_add_relaxed(&r->left, pages);
}

static uint64_t
hash_of(const struct vm_object *o, uint64_t index)
{
	uint64_t x = o->id << 36 ^ index;

	/* The finalizer of MurmurHash3: each bit of the key moves half of the others. */
	x = (x ^ x >> 33) * 0xff51afd7ed558ccdull;
	x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53ull;
	return x ^ x >> 33;
}

/* Not 0: a place that was never used has that. */
static uint32_t
mark_of(uint64_t hash)
{
	uint32_t mark = (uint32_t)(hash >> (64 - (32 - TIME_BITS)));

	return mark ? mark : 1;
}

void
refault_mark(struct refaults *r, const struct vm_object *o, uint64_t index, uint64_t time)
{
	uint64_t hash = hash_of(o, index);

	if (unlikely(!r->ghosts))
		return;
	store_relaxed(&r->ghosts[hash & (load_relaxed(&r->places) - 1)],
	    mark_of(hash) << TIME_BITS | ((uint32_t)(time >> r->unit_shift) & TIME_MASK));
}

bool
refault_came(struct refaults *r, const struct vm_object *o, uint64_t index, uint64_t frames)
{
	uint64_t hash = hash_of(o, index), now = load_relaxed(&r->left) >> r->unit_shift;
	atomic_uint *at;
	uint32_t ghost;

	if (unlikely(!r->ghosts))
		return false;
	fetch_add_relaxed(&r->read, 1);
	at = &r->ghosts[hash & (load_relaxed(&r->places) - 1)];
	ghost = load_relaxed(at);
	if (ghost >> TIME_BITS != mark_of(hash))
		return false;
	store_relaxed(at, 0);
	if ((((uint32_t)now - ghost) & TIME_MASK) > frames >> r->unit_shift)
		return false;
	fetch_add_relaxed(&r->came, 1);
	return true;
}
