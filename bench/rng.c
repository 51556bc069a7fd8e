/* SPDX-License-Identifier: MIT */
#include "rng.h"

#include <math.h>

uint64_t
permute(uint64_t i, uint64_t n, uint64_t seed)
{
	unsigned bits = 2, half;
	uint64_t mask;

	while (bits < 62 && ((uint64_t)1 << bits) < n)
		bits += 2;
	half = bits / 2;
	mask = ((uint64_t)1 << half) - 1;
	/* A Feistel network on an even number of bits, applied again while the result is not below
	 * n. */
	do {
		uint64_t left = i >> half, right = i & mask;

		for (unsigned round = 0; round < 4; round++) {
			uint64_t next = left ^ (mix64(right ^ (seed + round * 0x51ed27u)) & mask);

			left = right;
			right = next;
		}
		i = (left << half) | right;
	} while (i >= n);
	return i;
}

void
zipf_init(struct zipf *z, uint64_t n, double theta)
{
	double zeta_2 = 1.0 + pow(0.5, theta);

	z->n = n;
	z->theta = theta;
	z->zeta_n = 0.0;
	for (uint64_t i = 1; i <= n; i++)
		z->zeta_n += pow(1.0 / (double)i, theta);
	z->alpha = 1.0 / (1.0 - theta);
	z->eta = (1.0 - pow(2.0 / (double)n, 1.0 - theta)) / (1.0 - zeta_2 / z->zeta_n);
}

uint64_t
zipf_next(const struct zipf *z, struct rng *r)
{
	double u = (double)(rng_next(r) >> 11) * 0x1.0p-53;
	double uz = u * z->zeta_n;
	uint64_t rank;

	if (uz < 1.0)
		return 0;
	if (uz < 1.0 + pow(0.5, z->theta))
		return z->n > 1 ? 1 : 0;
	rank = (uint64_t)((double)z->n * pow(z->eta * u - z->eta + 1.0, z->alpha));
	return rank < z->n ? rank : z->n - 1;
}
