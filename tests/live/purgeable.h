/* SPDX-License-Identifier: MIT
 *
 * Purgeable objects whose pages name themselves.
 */
#ifndef LIVE_PURGEABLE_H
#define LIVE_PURGEABLE_H

#include "harness.h"

#define MIB (1ull << 20)

enum { VOLATILE = PAGER_PURGEABLE_VOLATILE, EMPTY = PAGER_PURGEABLE_EMPTY, NONVOLATILE = 0 };

static inline uint64_t
word_of(unsigned object, uint64_t version, uint64_t page)
{
	return mix64((uint64_t)object << 48 ^ version << 24 ^ page) | 1;
}

static inline void
fill(const struct live *d, unsigned char *base, uint64_t pages, unsigned object, uint64_t version)
{
	for (uint64_t i = 0; i < pages; i++) {
		uint64_t *first = (void *)(base + i * d->page_bytes),
			 *last = first + d->page_bytes / sizeof(*first) - 1;

		*first = *last = word_of(object, version, i);
		/* What lies between does not compress well. */
		for (uint64_t *at = first + 1; at < first + d->page_bytes / 16; at++)
			*at = mix64(*first + (uint64_t)(at - first));
	}
}

/* version 0: all of it is zeroes */
static inline void
expect(const struct live *d, const unsigned char *base, uint64_t pages, unsigned object,
    uint64_t version)
{
	for (uint64_t i = 0; i < pages; i++) {
		const volatile uint64_t *first = (const void *)(base + i * d->page_bytes),
					*last = first + d->page_bytes / sizeof(*first) - 1;
		uint64_t word = version ? word_of(object, version, i) : 0;

		REQUIRE(*first == word && *last == word,
		    "object %u page %llu: %llx and %llx, not %llx", object, (unsigned long long)i,
		    (unsigned long long)*first, (unsigned long long)*last,
		    (unsigned long long)word);
	}
}

static inline unsigned char *
make(struct pager *p, uint64_t bytes, unsigned flags)
{
	void *base = NULL;

	OK(pager_allocate(p, bytes, PAGER_ALLOC_PURGEABLE | flags, &base));
	return base;
}

/* => the state before */
static inline int
set(struct pager *p, void *base, int state)
{
	OK(pager_purgeable_control(p, base, PAGER_PURGEABLE_SET_STATE, &state));
	return state & PAGER_PURGEABLE_STATE_MASK;
}

static inline int
get(struct pager *p, void *base)
{
	int state = -1;

	OK(pager_purgeable_control(p, base, PAGER_PURGEABLE_GET_STATE, &state));
	return state;
}

#endif
