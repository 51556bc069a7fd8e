/* SPDX-License-Identifier: MIT
 *
 * Foresight: the choice, without the mechanism. Runs on: whoever has the profile.
 */
#include "foresight.h"

#include <stdlib.h>

#include "check.h"

/* A run that came back to fewer pages says nothing. */
#define LEAST_PAGES 64u
/* One that came back to fewer of the pages of the last one had more memory: the last one stays. */
#define LEAST_SHARE 4u

static uint64_t
page_key(struct profile_page page)
{
	return (uint64_t)page.region << 32 | page.offset;
}

static int
order_compare(const void *a, const void *b, void *pages)
{
	uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
	uint64_t x = page_key(((const struct profile_page *)pages)[i]),
		 y = page_key(((const struct profile_page *)pages)[k]);

	if (x != y)
		return x < y ? -1 : 1;
	return i < k ? -1 : i > k;
}

void
foresight_init(struct foresight *f, const struct profile *p, uint32_t *order)
{
	*f = (struct foresight){
		.pages = p->pages, .regions = p->regions, .order = order, .count = p->page_count
	};
	for (uint32_t i = 0; i < f->count; i++)
		order[i] = i;
	if (f->count > 0)
		qsort_r(order, f->count, sizeof(order[0]), order_compare, p->pages);
}

static uint32_t
process_at(const struct foresight *f, uint32_t position)
{
	CHECK(position < f->count);
	return f->regions[f->pages[position].region].process;
}

void
foresight_begin(const struct foresight *f, uint32_t process, struct foresight_cursor *ret)
{
	uint32_t from = 0, end;

	while (from < f->count && process_at(f, from) != process)
		from++;
	for (end = from; end < f->count && process_at(f, end) == process; end++)
		continue;
	*ret = (struct foresight_cursor){ .from = from, .end = end, .at = from, .told = from };
}

/* The first position of the page from that one on. => false: there is none */
static bool
position_find(const struct foresight *f, struct profile_page page, uint32_t from, uint32_t *ret)
{
	uint64_t key = page_key(page);
	uint32_t low = 0, high = f->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2, position = f->order[middle];
		uint64_t there = page_key(f->pages[position]);

		if (there < key || (there == key && position < from))
			low = middle + 1;
		else
			high = middle;
	}
	if (low == f->count || page_key(f->pages[f->order[low]]) != key)
		return false;
	*ret = f->order[low];
	return true;
}

static void
cursor_set(struct foresight_cursor *c, uint32_t at)
{
	c->at = at;
	c->has_other = false;
	/* Far behind, and what was told has left again; or far ahead. */
	if (c->told < at || c->told > at + FORESIGHT_AHEAD)
		c->told = at;
}

bool
foresight_touch(const struct foresight *f, struct foresight_cursor *c, struct profile_page page)
{
	uint32_t position,
	    back = c->at - c->from < FORESIGHT_NEAR ? c->from : c->at - FORESIGHT_NEAR;
	bool is_there = position_find(f, page, c->at, &position) && position < c->end;

	if (is_there && position - c->at < FORESIGHT_NEAR) {
		cursor_set(c, position + 1);
		c->trust += c->trust < FORESIGHT_AHEAD;
		return true;
	}
	/* Not in the same order as then: it stood a little before. */
	if (position_find(f, page, back, &position) && position < c->at) {
		c->has_other = false;
		c->trust += c->trust < FORESIGHT_AHEAD;
		return true;
	}
	if (c->has_other && position_find(f, page, c->other, &position) && position < c->end &&
	    position - c->other < FORESIGHT_NEAR) {
		cursor_set(c, position + 1);
		c->trust = 0;
		return true;
	}
	is_there = position_find(f, page, c->at, &position) && position < c->end;
	if (!is_there)
		is_there = position_find(f, page, c->from, &position) && position < c->end;
	c->has_other = is_there;
	c->other = is_there ? position + 1 : 0;
	return false;
}

bool
foresight_next(const struct foresight *f, struct foresight_cursor *c, struct profile_page *ret)
{
	CHECK(c->at <= c->end && c->end <= f->count);
	if (c->told >= c->end || c->told > c->at + c->trust)
		return false;
	*ret = f->pages[c->told++];
	return true;
}

bool
foresight_outcome(struct foresight_judge *j, bool was_hit)
{
	bool fails;

	if (was_hit)
		j->hits++;
	else
		j->wasted++;
	if (j->hits + j->wasted < FORESIGHT_JUDGED || j->has_ended)
		return false;
	fails = j->wasted > j->hits;
	j->hits = j->wasted = 0;
	j->failures = fails ? j->failures + 1 : 0;
	j->pause = fails ? FORESIGHT_PAUSE : 0;
	j->has_ended = j->failures >= FORESIGHT_FAILURES;
	return j->has_ended;
}

bool
foresight_may(struct foresight_judge *j)
{
	if (j->pause > 0)
		j->pause--;
	return j->pause == 0 && !j->has_ended;
}

bool
foresight_keep(
    const struct profile *old, uint32_t gathered, bool has_ended, struct foresight_kept *ret)
{
	if (old->rests > 0) {
		*ret = (struct foresight_kept){ .rests = old->rests - 1 };
		return true;
	}
	*ret = (struct foresight_kept){ .strikes = has_ended ? old->strikes + 1 : 0,
		.with_pages = true };
	if (ret->strikes >= FORESIGHT_STRIKES) {
		*ret = (struct foresight_kept){ .rests = FORESIGHT_RESTS };
		return true;
	}
	return gathered >= LEAST_PAGES && (has_ended || gathered >= old->page_count / LEAST_SHARE);
}
