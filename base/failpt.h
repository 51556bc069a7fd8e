/* SPDX-License-Identifier: MIT
 *
 * Fail points (include/tbl/fail_point.h): a point counts down and then fails (an idea of SQLite's
 * tests). One that is not armed costs one predictable branch; with -Dfail_points=false, nothing.
 */
#ifndef BASE_FAILPT_H
#define BASE_FAILPT_H

#include "atomics.h"
#include "base.h"

enum fail_point {
#define FAIL(name, error, text) FAIL_##name,
#include "tbl/fail_point.h"
	FAIL_POINT_COUNT
};

extern atomic_bool failpt_any_armed;

/* spec: NAME:after[:times], comma separated. => returns 0, or -EINVAL, and then nothing is armed.
 */
int failpt_arm(const char *spec);
void failpt_disarm_all(void);
/* How often a point has failed since start. */
uint64_t failpt_count(enum fail_point point);
int failpt_hit_slow(enum fail_point point);

/* => returns 0, or a negative errno, on which the caller must act as if the system call had
 * returned it. */
static inline int
failpt_hit(enum fail_point point)
{
#if FAIL_POINTS
	if (unlikely(load_relaxed(&failpt_any_armed)))
		return failpt_hit_slow(point);
#else
	(void)point;
#endif
	return 0;
}

/* The process is killed, as by somebody else, where a point of that kind is hit. */
void failpt_kill(void);
static inline void
failpt_die(enum fail_point point)
{
	if (failpt_hit(point) != 0)
		failpt_kill();
}

#endif
