/* SPDX-License-Identifier: MIT
 *
 * Log-linear histogram of nanoseconds: each power of two is divided into 64 equal buckets, so a
 * percentile is exact to 1.6 %. Mean and maximum are exact. One thread writes a histogram; merge
 * them after the threads have ended.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 6
#define HISTOGRAM_SUB      (1u << HISTOGRAM_SUB_BITS)
#define HISTOGRAM_MAX_BITS 42 /* 73 minutes; the last bucket also takes longer times */
#define HISTOGRAM_BUCKETS  ((HISTOGRAM_MAX_BITS - HISTOGRAM_SUB_BITS + 1) * HISTOGRAM_SUB)

struct histogram {
	uint64_t count, sum_ns, max_ns; /* count == sum over buckets */
	uint64_t bucket[HISTOGRAM_BUCKETS];
};

static inline unsigned
histogram_index(uint64_t ns)
{
	unsigned top, index;

	if (ns < HISTOGRAM_SUB)
		return (unsigned)ns;
	top = 63u - (unsigned)__builtin_clzll(ns);
	index = (top - HISTOGRAM_SUB_BITS) * HISTOGRAM_SUB +
		(unsigned)(ns >> (top - HISTOGRAM_SUB_BITS));
	return index < HISTOGRAM_BUCKETS ? index : HISTOGRAM_BUCKETS - 1;
}

static inline void
histogram_record(struct histogram *h, uint64_t ns)
{
	h->count++;
	h->sum_ns += ns;
	if (ns > h->max_ns)
		h->max_ns = ns;
	h->bucket[histogram_index(ns)]++;
}

void histogram_merge(struct histogram *into, const struct histogram *from);
/* => the middle of the bucket in which the given share of the values (0..1) is reached, at most the
 * maximum; 0 if the histogram is empty. */
uint64_t histogram_percentile(const struct histogram *h, double share);
double histogram_mean(const struct histogram *h);

#endif
