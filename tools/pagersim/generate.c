/* SPDX-License-Identifier: MIT
 *
 * The generators. A seed gives the same string on every machine with IEEE doubles.
 */
#include "generate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"

uint64_t
generate_random(uint64_t *rng)
{
	uint64_t z = *rng += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

double
generate_unit(uint64_t *rng)
{
	return (double)(generate_random(rng) >> 11) * 0x1p-53;
}

static uint64_t
below(uint64_t *rng, uint64_t n)
{
	return (uint64_t)(generate_unit(rng) * (double)n);
}

static uint64_t
page_loop(const struct generate_params *p, uint64_t *rng, const void *table, uint64_t i)
{
	return i % p->pages;
}

static uint64_t
page_uniform(const struct generate_params *p, uint64_t *rng, const void *table, uint64_t i)
{
	return below(rng, p->pages);
}

/* The scan repeatedly passes over the pages after the hot set. */
static uint64_t
page_scan_hot(const struct generate_params *p, uint64_t *rng, const void *table, uint64_t i)
{
	uint64_t cold = p->pages > p->hot ? p->pages - p->hot : 1;

	if (generate_unit(rng) * 100 < p->hot_percent)
		return below(rng, p->hot);
	return p->hot + (uint64_t)((double)i * (1 - p->hot_percent / 100)) % cold;
}

static uint64_t
page_phase(const struct generate_params *p, uint64_t *rng, const void *table, uint64_t i)
{
	uint64_t each = p->pages / p->phases > 0 ? p->pages / p->phases : 1;

	return (uint64_t)((double)i / (double)p->references * (double)p->phases) * each +
	       below(rng, each);
}

struct zipf {
	double up_to;  /* sum of the weights up to this rank, as a share of the total */
	uint64_t page; /* the page of this rank, at random */
};

static void *
prepare_zipf(const struct generate_params *p, uint64_t *rng)
{
	struct zipf *table = calloc(p->pages, sizeof(*table));
	double sum = 0;

	if (table == NULL)
		return NULL;
	for (uint64_t r = 0; r < p->pages; r++) {
		sum += 1 / pow((double)(r + 1), p->theta);
		table[r].up_to = sum;
		table[r].page = r;
	}
	for (uint64_t r = 0; r < p->pages; r++) {
		uint64_t other = r + below(rng, p->pages - r), page = table[r].page;

		table[r].up_to /= sum;
		table[r].page = table[other].page;
		table[other].page = page;
	}
	return table;
}

static uint64_t
page_zipf(const struct generate_params *p, uint64_t *rng, const void *prepared, uint64_t i)
{
	const struct zipf *table = prepared;
	uint64_t low = 0, high = p->pages - 1;
	double u = generate_unit(rng);

	while (low < high) {
		uint64_t middle = (low + high) / 2;

		if (table[middle].up_to > u)
			high = middle;
		else
			low = middle + 1;
	}
	return table[low].page;
}

static uint64_t
page_write_once(const struct generate_params *p, uint64_t *rng, const void *table, uint64_t i)
{
	return i;
}

static const struct generator generators[] = {
	{ "loop", "pages 0..N-1 in order, repeatedly: LRU and FIFO always miss if N > frames",
	    page_loop, NULL },
	{ "scan+hot", "a hot set and a sequential scan beside it", page_scan_hot, NULL },
	{ "phase", "disjoint working sets, one after the other", page_phase, NULL },
	{ "zipf", "independent references, rank r with weight 1/r^theta", page_zipf, prepare_zipf },
	{ "uniform",
	    "independent references to equally likely pages: all policies but MIN are equal",
	    page_uniform, NULL },
	{ "write-once",
	    "each page is written once, in order: all misses are cold, all evictions dirty",
	    page_write_once, NULL },
};

const struct generator *
generator_at(unsigned i)
{
	return i < ARRAY_LEN(generators) ? &generators[i] : NULL;
}

const struct generator *
generator_find(const char *name)
{
	for (unsigned i = 0; i < ARRAY_LEN(generators); i++)
		if (strcmp(generators[i].name, name) == 0)
			return &generators[i];
	return NULL;
}
