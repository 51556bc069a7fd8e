/* SPDX-License-Identifier: MIT
 *
 * The choice of the next process to be ended, from numbers alone.
 */
#include "memorystatus/jetsam.h"

#include "check.h"

const char *
jetsam_cause_name(enum jetsam_cause cause)
{
	switch (cause) {
#define JETSAM_CAUSE(number, NAME, name, text)                                                     \
	case JETSAM_##NAME:                                                                        \
		return name;
#include "tbl/jetsam_cause.h"
	default:
		return "none";
	}
}

const char *
jetsam_band_name(int band)
{
	switch (band) {
#define BAND(number, NAME, name, text)                                                             \
	case number:                                                                               \
		return name;
#include "tbl/band.h"
	default:
		return NULL;
	}
}

int
jetsam_band_now(int band, uint64_t since_ns, uint64_t now_ns, uint64_t aging_ns)
{
	CHECK(now_ns >= since_ns);
	return band == BAND_IDLE && now_ns - since_ns < aging_ns ? BAND_AGING1 : band;
}

static bool
can_be_ended(const struct jetsam_process *p)
{
	return p->may_be_ended && !p->is_dying && p->band < BAND_INTERNAL;
}

/* Whether a goes before b. */
static bool
goes_first(const struct jetsam_process *a, const struct jetsam_process *b)
{
	if (a->band != b->band)
		return a->band < b->band;
	if (a->band == BAND_FOREGROUND && a->footprint != b->footprint)
		return a->footprint > b->footprint;
	return a->moved < b->moved;
}

/* Whom a cause concerns. */
static bool
is_concerned(const struct jetsam_process *p, enum jetsam_cause cause, uint64_t now_ns)
{
	switch (cause) {
	case JETSAM_HIGHWATER:
		return p->is_over_soft;
	case JETSAM_IDLE_EXIT:
	case JETSAM_SUSTAINED_PRESSURE:
		return p->band == BAND_IDLE;
	case JETSAM_LONG_IDLE_EXIT:
		return p->band == BAND_IDLE && now_ns - p->since_ns >= LONG_IDLE_NS;
	default:
		return true;
	}
}

static bool
find(const struct jetsam_process *processes, size_t count, enum jetsam_cause cause, uint64_t now_ns,
    size_t *ret)
{
	const struct jetsam_process *best = NULL;

	for (size_t i = 0; i < count; i++) {
		const struct jetsam_process *p = &processes[i];

		if (!can_be_ended(p) || !is_concerned(p, cause, now_ns) ||
		    (best && !goes_first(p, best)))
			continue;
		best = p;
		*ret = i;
	}
	return best != NULL;
}

static bool
somebody_is_dying(const struct jetsam_process *processes, size_t count, uint64_t now_ns)
{
	for (size_t i = 0; i < count; i++)
		if (processes[i].is_dying && now_ns - processes[i].dying_ns < DYING_NS)
			return true;
	return false;
}

bool
jetsam_can_help(const struct jetsam_process *processes, size_t count, uint64_t now_ns)
{
	size_t i;

	return somebody_is_dying(processes, count, now_ns) ||
	       find(processes, count, JETSAM_VM_PAGE_SHORTAGE, now_ns, &i);
}

bool
jetsam_settles(
    struct jetsam_settle *s, bool somebody_dies, uint32_t measured, uint32_t pass, bool more_comes)
{
	int32_t passed;

	if (somebody_dies) {
		s->was_dying = true;
	} else if (s->was_dying) {
		s->was_dying = false;
		s->is_settling = true;
		s->since = pass;
	}
	/* What was measured before may be of a time when there was no room yet. */
	passed = (int32_t)(measured - s->since);
	if (s->is_settling && passed >= (int32_t)SETTLE_PASSES)
		s->is_settling = more_comes && passed < (int32_t)SETTLE_PASSES_MOST;
	return s->is_settling;
}

enum jetsam_cause
jetsam_choose(const struct jetsam_process *processes, size_t count, const struct jetsam_input *in,
    size_t *ret)
{
	const unsigned *below = in->limits.below;
	bool is_critical = in->is_squeezed || in->available < below[PRESSURE_CRITICAL];
	/* XNU's reaper looks below 4/3 of the level of warning. */
	const struct {
		bool holds;
		enum jetsam_cause cause;
	} steps[] = {
		{ is_critical || in->available < below[PRESSURE_WARNING], JETSAM_HIGHWATER },
		{ !is_critical && in->available < below[PRESSURE_URGENT], JETSAM_IDLE_EXIT },
		{ !is_critical && in->available < below[PRESSURE_WARNING] * 4 / 3,
		    JETSAM_LONG_IDLE_EXIT },
		{ in->short_ns != 0 && in->now_ns - in->short_ns >= SUSTAINED_NS,
		    JETSAM_SUSTAINED_PRESSURE },
		{ in->is_squeezed, JETSAM_COMPRESSOR_SPACE_SHORTAGE },
		{ is_critical, JETSAM_VM_PAGE_SHORTAGE },
	};

	if (in->volatile_pages > 0 || !in->notices_are_out ||
	    somebody_is_dying(processes, count, in->now_ns))
		return JETSAM_NONE;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (steps[i].holds && find(processes, count, steps[i].cause, in->now_ns, ret))
			return steps[i].cause;
	return JETSAM_NONE;
}
