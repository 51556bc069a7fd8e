/* SPDX-License-Identifier: MIT
 *
 * Thrashing, from numbers alone.
 */
#include "memorystatus/thrash.h"

#include "check.h"

bool
thrash_look(struct thrash *t, const struct thrash_input *in)
{
	uint64_t read = in->read - t->read, came = in->came - t->came, most;

	CHECK(in->now_ns >= t->since_ns && in->read >= t->read && in->came >= t->came);
	if (in->most == 0) {
		*t = (struct thrash){ 0 };
		return false;
	}
	if (t->since_ns != 0 && in->now_ns - t->since_ns < THRASH_PERIOD_NS)
		return t->periods == THRASH_PERIODS;
	if (t->since_ns != 0) {
		/* A longer period has more in it. */
		most = in->most * ((in->now_ns - t->since_ns) / (THRASH_PERIOD_NS / 100)) / 100;
		if (came < most || came < read / 2)
			t->periods = 0;
		else if (t->periods < THRASH_PERIODS)
			t->periods++;
	}
	t->since_ns = in->now_ns;
	t->read = in->read;
	t->came = in->came;
	return t->periods == THRASH_PERIODS;
}
