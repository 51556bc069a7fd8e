/* SPDX-License-Identifier: MIT
 *
 * MIN (Belady 1966): evicts the resident page whose next use is farthest away. It must know the
 * future, so it runs in the simulator only; it sees every reference. A binary heap with the
 * farthest next use on top.
 */
#include "pol_priv.h"

#include <errno.h>

struct min_entry {
	uint64_t next_use;
	pol_page page;
	uint32_t where; /* this element's use by page i: its place in the heap + 1; 0: not in it */
};

struct min_policy {
	struct pol_env env;
	uint32_t count;
	struct min_entry heap[];
};

static size_t
min_footprint(const struct pol_env *env, const char *params)
{
	if (params != NULL && *params != '\0')
		return 0;
	return sizeof(struct min_policy) + env->npages * sizeof(struct min_entry);
}

static int
min_init(void *mem, const struct pol_env *env, const char *params)
{
	struct min_policy *m = mem;

	if (min_footprint(env, params) == 0 || env->next_use == NULL)
		return -EINVAL;
	m->env = *env;
	return 0;
}

static void
min_put(struct min_policy *m, uint32_t i, uint64_t next_use, pol_page page)
{
	m->heap[i].next_use = next_use;
	m->heap[i].page = page;
	m->heap[page].where = i + 1;
}

static void
min_sift_up(struct min_policy *m, uint32_t i, uint64_t next_use, pol_page page)
{
	for (; i > 0 && m->heap[(i - 1) / 2].next_use < next_use; i = (i - 1) / 2)
		min_put(m, i, m->heap[(i - 1) / 2].next_use, m->heap[(i - 1) / 2].page);
	min_put(m, i, next_use, page);
}

static void
min_sift_down(struct min_policy *m, uint32_t i, uint64_t next_use, pol_page page)
{
	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child + 1 < m->count && m->heap[child + 1].next_use > m->heap[child].next_use)
			child++;
		if (child >= m->count || m->heap[child].next_use <= next_use)
			break;
		min_put(m, i, m->heap[child].next_use, m->heap[child].page);
		i = child;
	}
	min_put(m, i, next_use, page);
}

/* A touch moves the next use into the future, so the entry can only rise. */
static void
min_soft(void *mem, pol_page page, unsigned pf)
{
	struct min_policy *m = mem;
	uint64_t next_use = m->env.next_use(m->env.core, page);
	uint32_t where = m->heap[page].where;

	min_sift_up(m, where != 0 ? where - 1 : m->count++, next_use, page);
}

static void
min_forget(void *mem, pol_page page)
{
	struct min_policy *m = mem;
	uint32_t where = m->heap[page].where;
	struct min_entry last;

	if (where == 0)
		return;
	m->heap[page].where = 0;
	last = m->heap[--m->count];
	if (where - 1 == m->count)
		return;
	if (where - 1 > 0 && m->heap[(where - 2) / 2].next_use < last.next_use)
		min_sift_up(m, where - 1, last.next_use, last.page);
	else
		min_sift_down(m, where - 1, last.next_use, last.page);
}

static unsigned
min_select(void *mem, unsigned want, pol_page *out)
{
	struct min_policy *m = mem;

	if (want == 0 || m->count == 0)
		return 0;
	out[0] = m->heap[0].page;
	return 1;
}

static void
min_done(void *mem, pol_page page, enum pol_outcome outcome)
{
	if (outcome == POL_EVICTED)
		min_forget(mem, page);
}

static void
min_resize(void *mem, uint32_t nframes)
{
	((struct min_policy *)mem)->env.nframes = nframes;
}

static void
min_stats(const void *mem, struct pol_stats *ret)
{
	*ret = (struct pol_stats){ .resident = ((const struct min_policy *)mem)->count };
}

static const char *
min_check(const void *mem)
{
	const struct min_policy *m = mem;

	for (uint32_t i = 0; i < m->count; i++) {
		if (i > 0 && m->heap[(i - 1) / 2].next_use < m->heap[i].next_use)
			return "min: the heap is out of order";
		if (m->heap[i].page >= m->env.npages || m->heap[m->heap[i].page].where != i + 1)
			return "min: the heap and its index disagree";
	}
	return NULL;
}

const struct pol_ops pol_min = {
	.abi = POLICY_ABI,
	.name = "min",
	.help = "Belady's optimum for demand paging; offline only",
	.params = "",
	.flags = POL_WANTS_EVERY_REFERENCE | POL_OFFLINE_ONLY,
	.footprint = min_footprint,
	.init = min_init,
	.fault = min_soft,
	.soft = min_soft,
	.forget = min_forget,
	.select = min_select,
	.done = min_done,
	.resize = min_resize,
	.stats = min_stats,
	.check = min_check,
};
