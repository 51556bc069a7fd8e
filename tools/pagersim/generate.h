/* SPDX-License-Identifier: MIT
 *
 * Synthetic reference strings for which the right results are known.
 */
#ifndef PAGERSIM_GENERATE_H
#define PAGERSIM_GENERATE_H

#include <stdbool.h>
#include <stdint.h>

struct generate_params {
	uint64_t pages, references;
	uint64_t seed;
	uint64_t hot;       /* scan+hot: the first pages are the hot set */
	double hot_percent; /* scan+hot: percent of the references that go to the hot set */
	uint64_t phases;    /* phase: disjoint working sets, one after the other */
	double theta;       /* zipf: rank r has weight 1 / r^theta */
	double writes;      /* percent of the references that are writes */
};

struct generator {
	const char *name, *help;
	/* => the page of reference i. Called for i = 0, 1, 2... */
	uint64_t (*page)(
	    const struct generate_params *p, uint64_t *rng, const void *table, uint64_t i);
	/* Makes the table for page(), which the caller frees. NULL: none is needed. => NULL: no
	 * memory. */
	void *(*prepare)(const struct generate_params *p, uint64_t *rng);
};

const struct generator *generator_find(const char *name);
const struct generator *generator_at(unsigned i);

/* SplitMix64. */
uint64_t generate_random(uint64_t *rng);
/* Uniform in [0, 1). */
double generate_unit(uint64_t *rng);

#endif
