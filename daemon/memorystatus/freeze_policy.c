/* SPDX-License-Identifier: MIT
 *
 * The choice of a process to be frozen, from numbers alone.
 */
#include "memorystatus/freeze_policy.h"

#include "memorystatus/jetsam.h"

static bool
is_worth_it(const struct freeze_candidate *c, const struct freeze_rules *rules, uint64_t now_ns)
{
	uint64_t quiet_ns = now_ns > c->quiet_since_ns ? now_ns - c->quiet_since_ns : 0;

	return c->is_free && !c->is_dying && c->band <= BAND_AGING2 && c->pages >= rules->least &&
	       c->pages <= rules->budget && quiet_ns >= rules->quiet_ns * (1 + c->thaws);
}

bool
freeze_choose(const struct freeze_candidate *candidates, size_t count,
    const struct freeze_rules *rules, const struct freeze_input *in, size_t *ret)
{
	const struct freeze_candidate *best = NULL;

	if (in->left >= rules->below || in->frozen >= rules->most)
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct freeze_candidate *c = &candidates[i];

		if (!is_worth_it(c, rules, in->now_ns) ||
		    (best && best->quiet_since_ns <= c->quiet_since_ns))
			continue;
		best = c;
		*ret = i;
	}
	return best != NULL;
}
