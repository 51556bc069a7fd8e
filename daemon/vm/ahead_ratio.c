/* SPDX-License-Identifier: MIT
 *
 * Runs on: any thread.
 */
#include "vm/ahead_ratio.h"

#include <stdint.h>

#include "atomics.h"
#include "base.h"

/* Fates of this many times `least` pages are known before they are judged by. */
#define JUDGED 20u
/* When so many are known both counts are halved. */
#define FADES 4096u

static void
add(struct ahead_ratio *r, unsigned touched, unsigned wasted)
{
	touched += load_relaxed(&r->touched);
	wasted += load_relaxed(&r->wasted);
	if (touched + wasted >= FADES) {
		touched /= 2;
		wasted /= 2;
	}
	store_relaxed(&r->touched, touched);
	store_relaxed(&r->wasted, wasted);
}

void
ahead_touched(struct ahead_ratio *r, unsigned count)
{
	add(r, count, 0);
}

void
ahead_wasted(struct ahead_ratio *r, unsigned count)
{
	add(r, 0, count);
}

unsigned
ahead_far(const struct ahead_ratio *r, unsigned least, unsigned most)
{
	uint64_t touched = load_relaxed((atomic_uint *)(uintptr_t)&r->touched),
		 known = touched + load_relaxed((atomic_uint *)(uintptr_t)&r->wasted);
	uint64_t worth = known < JUDGED * least ? most : most * touched / known;

	return (unsigned)min_u64(max_u64(worth, least), most);
}
