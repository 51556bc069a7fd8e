/* SPDX-License-Identifier: MIT */
#ifndef BENCH_BOOTSTRAP_H
#define BENCH_BOOTSTRAP_H

#include <stddef.h>
#include <stdint.h>

/* A median and its 95 % interval, by percentiles of the medians of samples drawn with replacement.
 * All 0 if there are no values. */
struct interval {
	double low, median, high;
};
struct interval bootstrap_median(const double *values, size_t count, uint64_t seed);

#endif
