/* SPDX-License-Identifier: MIT
 *
 * Numbers that are likely to be wrong.
 */
#ifndef FUZZ_WILD_H
#define FUZZ_WILD_H

#include "harness.h"

static inline uint64_t
wild(uint64_t *rng)
{
	static const uint64_t values[] = { 0, 1, 15, 4095, 4096, 4097, 65536, 1ull << 20,
		1ull << 31, (1ull << 32) - 1, 1ull << 32, (1ull << 47) - 4096, 1ull << 47,
		1ull << 63, UINT64_MAX, UINT64_MAX - 4095, 0x700000000000 };

	return rng_below(rng, 3) ? values[rng_below(rng, sizeof(values) / sizeof(values[0]))]
				 : rng_next(rng);
}

#endif
