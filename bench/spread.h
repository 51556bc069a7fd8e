/* SPDX-License-Identifier: MIT */
#ifndef BENCH_SPREAD_H
#define BENCH_SPREAD_H

#include <stddef.h>

/* The spread of a few values. All 0 when there are none. */
struct spread {
	double min, median, max;
};

/* The median of an even number of values is the mean of the middle two. */
struct spread spread_of(const double *values, size_t count);
/* Stores a[i] / b[i] for each i where both are above zero. => the number of ratios stored. */
size_t ratios_of(const double *a, const double *b, size_t count, double *ret_values);
/* Compares two doubles, for qsort. */
int doubles_compare(const void *a, const void *b);

#endif
