/* SPDX-License-Identifier: MIT
 *
 * See lineage.h. The numbers steer only: two forks at once may count one too little. Runs on: jobs.
 */
#include "vm/lineage.h"

#include <stdlib.h>

#include "atomics.h"

/* Of this many shown pages one may be opened. */
#define OPENED_PART 8u
/* A fork forgets this part of what was counted before; one that is shown nothing, of what was
 * opened only, so that the next try comes. */
#define FORGOTTEN_PART 4u

struct lineage {
	atomic_uint references;
	atomic_ullong shown, opened; /* (A) pages */
};

struct lineage *
lineage_create(void)
{
	struct lineage *l = calloc(1, sizeof(*l));

	if (l)
		store_relaxed(&l->references, 1);
	return l;
}

struct lineage *
lineage_get(struct lineage *l)
{
	if (l)
		fetch_add_relaxed(&l->references, 1);
	return l;
}

void
lineage_put(struct lineage *l)
{
	if (l && fetch_sub_acq_rel(&l->references, 1) == 1)
		free(l);
}

static void
forget(atomic_ullong *pages)
{
	unsigned long long now = load_relaxed(pages);

	store_relaxed(pages, now - (now + FORGOTTEN_PART - 1) / FORGOTTEN_PART);
}

bool
lineage_reads(struct lineage *l)
{
	bool reads = load_relaxed(&l->opened) <= load_relaxed(&l->shown) / OPENED_PART;

	forget(&l->opened);
	if (reads)
		forget(&l->shown);
	return reads;
}

void
lineage_shown(struct lineage *l, uint64_t pages)
{
	if (l)
		fetch_add_relaxed(&l->shown, pages);
}

void
lineage_opened(struct lineage *l, uint64_t pages)
{
	if (l)
		fetch_add_relaxed(&l->opened, pages);
}
