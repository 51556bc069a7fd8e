/* SPDX-License-Identifier: MIT
 *
 * Chooses the next touch: random numbers, permutations and the zipf distribution, all reproducible
 * from a seed.
 */
#ifndef BENCH_RNG_H
#define BENCH_RNG_H

#include <stdint.h>

static inline uint64_t
mix64(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

struct rng {
	uint64_t state;
};

static inline uint64_t
rng_next(struct rng *r)
{
	uint64_t x = mix64(r->state);

	r->state += 0x9e3779b97f4a7c15u;
	return x;
}

static inline uint64_t
rng_below(struct rng *r, uint64_t n)
{
	return (uint64_t)(((unsigned __int128)rng_next(r) * n) >> 64);
}

/* => a number below n. For given n and seed, it is a one-to-one map of 0..n-1 onto itself. */
uint64_t permute(uint64_t i, uint64_t n, uint64_t seed);

/* Ranks 0..n-1 with probability proportional to 1 / (rank + 1)^theta, by Gray's method, as in
 * YCSB. */
struct zipf {
	uint64_t n;
	double theta, zeta_n, alpha, eta;
};
void zipf_init(struct zipf *z, uint64_t n, double theta);
uint64_t zipf_next(const struct zipf *z, struct rng *r);

#endif
