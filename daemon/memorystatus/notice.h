/* SPDX-License-Identifier: MIT
 *
 * Notices of pressure: which client is told next. Pure.
 *
 * While pressure rises the least important client is told first, and among equals the largest:
 * what it gives back may be enough. While it falls those that were told are told in the opposite
 * order. This is XNU's order. Small clients are not asked: they have little to give.
 */
#ifndef NOTICE_H
#define NOTICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memorystatus/pressure.h"

/* A client as the choice sees it. */
struct notice_client {
	unsigned levels;    /* of which it wants to be told: bit n: level n; 0: none */
	enum pressure told; /* what it knows */
	int band;
	uint64_t footprint; /* pages */
};

/* What a program is told: urgent is warning to it. */
static inline enum pressure
notice_level(enum pressure level)
{
	return level == PRESSURE_URGENT ? PRESSURE_WARNING : level;
}

/* Whether the client is still to be told of the level. least: pages; smaller clients are told of no
 * rise. */
bool notice_is_due(const struct notice_client *c, enum pressure announced, uint64_t least);
/* The client to be told next. => false: all that are due have been told */
bool notice_choose(const struct notice_client *clients, size_t count, enum pressure announced,
    uint64_t least, size_t *ret);

#endif
