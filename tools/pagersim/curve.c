/* SPDX-License-Identifier: MIT
 *
 * A reference at stack depth d hits with d frames or more. The pages written follow from the same
 * depths: between two writes to a page, it is written out once for each number of frames c below
 * the greatest depth that it had in between. So each such interval is one count at that depth (its
 * "dirty level", Thompson and Smith 1989).
 */
#include "curve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base.h"

struct stack {
	const struct trace *trace;
	struct curve *curve;
	uint32_t *dirty_level; /* of each page; 0: not written since it was last counted */
	/* LRU: slots in the order of last use, counted from 1, with a Fenwick tree over them. */
	uint32_t *slot, *owner, *tree;
	uint32_t slots, used;
	/* MIN: the pages by priority (depth 1 is stack[0]), and each page's next use. */
	uint32_t *stack, *next_use;
	uint32_t depth, depth_max;
};

static void
tree_add(struct stack *s, uint32_t i, uint32_t d)
{
	for (; i <= s->slots; i += i & -i)
		s->tree[i] += d;
}

static uint32_t
tree_sum(const struct stack *s, uint32_t i)
{
	uint32_t sum = 0;

	for (; i > 0; i -= i & -i)
		sum += s->tree[i];
	return sum;
}

/* Called when all slots are in use: numbers the pages anew from slot 1, in the same order. */
static void
lru_renumber(struct stack *s)
{
	uint32_t used = 0;

	for (uint32_t i = 1; i <= s->used; i++) {
		uint32_t page = s->owner[i];

		if (page == UINT32_MAX || s->slot[page] != i)
			continue;
		s->owner[++used] = page;
		s->slot[page] = used;
	}
	s->used = used;
	memset(s->tree, 0, ((size_t)s->slots + 1) * sizeof(*s->tree));
	for (uint32_t i = 1; i <= used; i++)
		tree_add(s, i, 1);
}

/* => the depth of the page before this reference; 0: it had not been used. */
static uint32_t
lru_reference(struct stack *s, uint32_t page)
{
	uint32_t depth = 0, slot = s->slot[page];

	if (slot != 0 && slot == s->used)
		return 1;
	if (slot != 0) {
		depth = tree_sum(s, s->used) - tree_sum(s, slot) + 1;
		tree_add(s, slot, UINT32_MAX);
		s->owner[slot] = UINT32_MAX;
		s->slot[page] = 0;
	}
	if (s->used == s->slots)
		lru_renumber(s);
	s->slot[page] = ++s->used;
	s->owner[s->used] = page;
	tree_add(s, s->used, 1);
	return depth;
}

/* Mattson's update: the page moves to the top, and from there down to its old place, of two pages
 * the one with the later next use moves on. A page that falls off a full stack is not resident with
 * any number of frames of interest. */
static uint32_t
min_reference(struct stack *s, uint32_t page, uint32_t next_use)
{
	uint32_t carried, i;

	s->next_use[page] = next_use;
	if (s->depth == 0) {
		s->stack[s->depth++] = page;
		return 0;
	}
	carried = s->stack[0];
	s->stack[0] = page;
	if (carried == page)
		return 1;
	for (i = 1; i < s->depth; i++) {
		uint32_t here = s->stack[i];

		if (here == page) {
			s->stack[i] = carried;
			return i + 1;
		}
		if (s->next_use[carried] < s->next_use[here]) {
			s->stack[i] = carried;
			carried = here;
		}
	}
	if (s->depth < s->depth_max)
		s->stack[s->depth++] = carried;
	return 0;
}

static void
stack_dirty(struct stack *s, uint32_t page, uint32_t depth, bool write)
{
	uint32_t level = s->dirty_level[page];

	if (level != 0 && level < depth)
		level = depth;
	if (write) {
		s->curve->written[level]++;
		level = 1;
	}
	s->dirty_level[page] = level;
}

static void
stack_events(struct stack *s, enum curve_kind kind, atomic_ullong *progress)
{
	const struct trace *t = s->trace;
	uint32_t beyond = s->curve->npages;
	uint64_t seen = 0;
	uint32_t *known = s->slot;

	for (size_t i = 0; i < t->count; i++) {
		uint32_t page = t->events[i] >> TRACE_SHIFT, depth;
		bool first = known[page] == 0;

		if (kind == CURVE_LRU) {
			depth = lru_reference(s, page);
		} else {
			depth = min_reference(s, page, t->next[i]);
			known[page] = 1;
		}
		seen += first;
		/* Depth d misses with d - 1 frames and fewer. A first use, and a use from below the
		 * stack, always miss. */
		s->curve->misses[depth == 0 ? beyond : depth - 1]++;
		if (t->has_writes)
			stack_dirty(
			    s, page, depth != 0 ? depth : beyond + 1, t->events[i] & TRACE_WRITE);
		if (progress != NULL && (i & 0xffff) == 0xffff)
			atomic_fetch_add_explicit(progress, 1 << 16, memory_order_relaxed);
	}
	s->curve->cold = seen;
}

/* Counts the pages that were evicted dirty and not used again, by their depth at the end. */
static void
stack_finish_dirty(struct stack *s, enum curve_kind kind)
{
	uint32_t n = s->curve->npages;
	uint32_t *depth = s->next_use; /* no longer needed */

	for (uint32_t page = 0; page < n; page++)
		depth[page] = n + 1;
	if (kind == CURVE_LRU)
		for (uint32_t page = 0; page < n; page++)
			depth[page] = tree_sum(s, s->used) - tree_sum(s, s->slot[page]) + 1;
	else
		for (uint32_t i = 0; i < s->depth; i++)
			depth[s->stack[i]] = i + 1;
	for (uint32_t page = 0; page < n; page++)
		stack_dirty(s, page, depth[page], true);
}

/* Turns counts at each depth into counts with c frames, which include all greater depths. */
static void
curve_accumulate(struct curve *c)
{
	c->written[0] = 0;
	for (uint32_t i = c->npages; i > 0; i--)
		c->misses[i - 1] += c->misses[i];
	/* written[l] counts the intervals of dirty level l, which are written out with each c < l.
	 */
	for (uint32_t i = c->npages + 1; i > 0; i--)
		c->written[i - 1] += c->written[i];
	memmove(c->written, c->written + 1, ((size_t)c->npages + 1) * sizeof(*c->written));
}

int
curve_make(const struct trace *trace, enum curve_kind kind, uint32_t max_frames,
    atomic_ullong *progress, struct curve *ret)
{
	size_t n = trace->npages;
	struct curve curve = { .npages = trace->npages };
	struct stack s = {
		.trace = trace,
		.curve = &curve,
		.slots = (uint32_t)(2 * n + 64),
		.depth_max = max_frames < n ? max_frames : trace->npages,
	};
	struct timespec t0, t1;
	int error = -ENOMEM;

	curve.misses = calloc(n + 2, sizeof(*curve.misses));
	curve.written = calloc(n + 2, sizeof(*curve.written));
	s.dirty_level = calloc(n, sizeof(*s.dirty_level));
	s.slot = calloc(n, sizeof(*s.slot));
	s.owner = calloc((size_t)s.slots + 1, sizeof(*s.owner));
	s.tree = calloc((size_t)s.slots + 1, sizeof(*s.tree));
	s.stack = calloc(n, sizeof(*s.stack));
	s.next_use = calloc(n, sizeof(*s.next_use));
	if (curve.misses && curve.written && s.dirty_level && s.slot && s.owner && s.tree &&
	    s.stack && s.next_use) {
		error = 0;
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t0);
		stack_events(&s, kind, progress);
		if (trace->has_writes)
			stack_finish_dirty(&s, kind);
		curve_accumulate(&curve);
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t1);
		curve.ns =
		    (uint64_t)((t1.tv_sec - t0.tv_sec) * 1000000000 + (t1.tv_nsec - t0.tv_nsec));
		*ret = curve;
	}
	free(s.dirty_level);
	free(s.slot);
	free(s.owner);
	free(s.tree);
	free(s.stack);
	free(s.next_use);
	if (error != 0)
		curve_fini(&curve);
	return error;
}

void
curve_fini(struct curve *c)
{
	free(c->misses);
	free(c->written);
	*c = (struct curve){ 0 };
}

void
curve_result(const struct curve *c, uint32_t nframes, struct sim_result *ret)
{
	uint32_t frames = nframes < c->npages ? nframes : c->npages;

	*ret = (struct sim_result){
		.majors = c->misses[frames],
		.cold = c->cold,
		.written = c->written[frames],
		.ns = c->ns,
	};
	ret->clean = ret->majors - frames - ret->written;
}
