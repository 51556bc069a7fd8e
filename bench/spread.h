/* SPDX-License-Identifier: MIT */
#ifndef BENCH_SPREAD_H
#define BENCH_SPREAD_H

#include <stddef.h>

/* Of a handful of values. All 0 when there are none. */
struct spread {
	double min, median, max;
};

/* The median of an even number of values is the mean of the middle two. */
struct spread spread_of(const double *values, size_t count);
/* values[i] = a[i] / b[i] for those i where both are above zero. => their number. */
size_t ratios_of(const double *a, const double *b, size_t count, double *ret_values);

#endif
