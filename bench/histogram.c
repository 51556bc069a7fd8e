/* SPDX-License-Identifier: MIT */
#include "histogram.h"

static uint64_t
bucket_middle(unsigned index)
{
	unsigned shift;
	uint64_t low;

	if (index < 2 * HISTOGRAM_SUB)
		return index;
	shift = index / HISTOGRAM_SUB - 1;
	low = (uint64_t)(index % HISTOGRAM_SUB + HISTOGRAM_SUB) << shift;
	return low + ((uint64_t)1 << shift) / 2;
}

void
histogram_merge(struct histogram *into, const struct histogram *from)
{
	into->count += from->count;
	into->sum_ns += from->sum_ns;
	if (from->max_ns > into->max_ns)
		into->max_ns = from->max_ns;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->bucket[i] += from->bucket[i];
}

uint64_t
histogram_percentile(const struct histogram *h, double share)
{
	uint64_t seen = 0, middle, rank;

	if (h->count == 0)
		return 0;
	/* The rank-th smallest value, 1-based: ceil(share * count). */
	rank = (uint64_t)(share * (double)h->count);
	if ((double)rank < share * (double)h->count || rank == 0)
		rank++;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen >= rank) {
			middle = bucket_middle(i);
			return middle < h->max_ns ? middle : h->max_ns;
		}
	}
	return h->max_ns;
}

double
histogram_mean(const struct histogram *h)
{
	return h->count ? (double)h->sum_ns / (double)h->count : 0.0;
}
