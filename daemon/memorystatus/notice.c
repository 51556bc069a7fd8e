/* SPDX-License-Identifier: MIT
 *
 * The order of notices, from numbers alone.
 */
#include "memorystatus/notice.h"

#include "check.h"

bool
notice_is_due(const struct notice_client *c, enum pressure announced, uint64_t least)
{
	enum pressure level = notice_level(announced);

	CHECK(announced < PRESSURE_COUNT);
	if (c->told == level || !(c->levels & 1u << level))
		return false;
	return level < c->told || c->footprint >= least;
}

/* Whether a comes before b while pressure rises. */
static bool
goes_first(const struct notice_client *a, const struct notice_client *b)
{
	if (a->band != b->band)
		return a->band < b->band;
	return a->footprint > b->footprint;
}

bool
notice_choose(const struct notice_client *clients, size_t count, enum pressure announced,
    uint64_t least, size_t *ret)
{
	const struct notice_client *best = NULL;

	CHECK(announced < PRESSURE_COUNT);
	for (size_t i = 0; i < count; i++) {
		const struct notice_client *c = &clients[i];
		bool rises = c->told < notice_level(announced);

		if (!notice_is_due(c, announced, least))
			continue;
		if (!best || (rises ? goes_first(c, best) : goes_first(best, c))) {
			best = c;
			*ret = i;
		}
	}
	return best != NULL;
}
