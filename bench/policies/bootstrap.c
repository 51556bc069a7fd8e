/* SPDX-License-Identifier: MIT */
#include "bootstrap.h"

#include <stdlib.h>

#include "rng.h"
#include "spread.h"

#define SAMPLES 2000u

struct interval
bootstrap_median(const double *values, size_t count, uint64_t seed)
{
	struct interval r = { 0, 0, 0 };
	struct rng rng = { mix64(seed) };
	double *medians = malloc(SAMPLES * sizeof(*medians)),
	       *drawn = malloc((count + 1) * sizeof(*drawn));

	if (count > 0 && medians && drawn) {
		for (unsigned i = 0; i < SAMPLES; i++) {
			for (size_t j = 0; j < count; j++)
				drawn[j] = values[rng_below(&rng, count)];
			medians[i] = spread_of(drawn, count).median;
		}
		qsort(medians, SAMPLES, sizeof(*medians), doubles_compare);
		r.low = medians[SAMPLES * 25 / 1000];
		r.high = medians[SAMPLES * 975 / 1000 - 1];
		r.median = spread_of(values, count).median;
	}
	free(medians);
	free(drawn);
	return r;
}
