/* SPDX-License-Identifier: MIT */
#ifndef BENCH_BOOTSTRAP_H
#define BENCH_BOOTSTRAP_H

#include <stddef.h>
#include <stdint.h>

/* The median of values and the 95 % interval of it: percentiles of the medians of samples drawn
 * with replacement. All 0 when there are none. */
struct interval {
	double low, median, high;
};
struct interval bootstrap_median(const double *values, size_t count, uint64_t seed);

#endif
