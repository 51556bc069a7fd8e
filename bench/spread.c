/* SPDX-License-Identifier: MIT */
#include "spread.h"

#include <stdlib.h>
#include <string.h>

int
doubles_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

struct spread
spread_of(const double *values, size_t count)
{
	struct spread s = { 0, 0, 0 };
	double *sorted;

	if (count == 0)
		return s;
	sorted = malloc(count * sizeof(*sorted));
	if (!sorted)
		return s;
	memcpy(sorted, values, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), doubles_compare);
	s.min = sorted[0];
	s.max = sorted[count - 1];
	s.median = count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
	free(sorted);
	return s;
}

size_t
ratios_of(const double *a, const double *b, size_t count, double *ret_values)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		if (a[i] > 0 && b[i] > 0)
			ret_values[n++] = a[i] / b[i];
	return n;
}
