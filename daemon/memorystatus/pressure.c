/* SPDX-License-Identifier: MIT
 *
 * Levels of pressure, from numbers alone.
 */
#include "memorystatus/pressure.h"

#include "base.h"
#include "check.h"
#include "vm/purgeable.h"

static const char *const names[PRESSURE_COUNT] = {
#define PRESSURE(number, NAME, name, text) [number] = name,
#include "tbl/pressure.h"
};

const char *
pressure_name(enum pressure level)
{
	CHECK(level < PRESSURE_COUNT);
	return names[level];
}

uint64_t
pressure_compressible(const struct space *space)
{
	uint64_t ratio = min_u64(space->ratio, 1000), pages = space->pages;

	if (ratio > 0)
		pages = min_u64(pages, space->compressor_room * 1000 / ratio);
	return pages * (1000 - ratio) / 1000;
}

unsigned
pressure_available(const struct space *space)
{
	uint64_t pages = space->free_above + space->files + space->purgeable +
			 pressure_compressible(space) + space->swap_room;

	if (space->movable == 0 || pages >= space->movable)
		return space->movable == 0 ? 0 : 1000;
	return (unsigned)(pages * 1000 / space->movable);
}

struct pressure_limits
pressure_limits_of(uint64_t memory_bytes)
{
	static const struct {
		uint64_t up_to;
		struct pressure_limits limits;
	} rows[] = {
		{ 3ull << 30, { { 1001, 150, 100, 50 } } },
		{ 6ull << 30, { { 1001, 150, 90, 40 } } },
		{ UINT64_MAX, { { 1001, 120, 80, 40 } } },
	};
	unsigned i = 0;

	while (memory_bytes > rows[i].up_to)
		i++;
	CHECK(i < ARRAY_LEN(rows));
	return rows[i].limits;
}

unsigned
pressure_purges(enum pressure level, bool is_squeezed)
{
	static const unsigned groups[PRESSURE_COUNT] = {
		[PRESSURE_NORMAL] = 0,
		[PRESSURE_WARNING] = 2,
		[PRESSURE_URGENT] = 5,
		[PRESSURE_CRITICAL] = PURGEABLE_GROUPS,
	};

	CHECK(level < PRESSURE_COUNT);
	return is_squeezed ? PURGEABLE_GROUPS : groups[level];
}

enum pressure
pressure_next(enum pressure now, const struct pressure_input *in)
{
	enum pressure level = PRESSURE_NORMAL;

	CHECK(now < PRESSURE_COUNT && in->host < PRESSURE_COUNT);
	for (enum pressure l = PRESSURE_WARNING; l < PRESSURE_COUNT; l++) {
		unsigned below = in->limits.below[l];

		if (now >= l)
			below = below * 115 / 100;
		if (in->available < below)
			level = l;
	}
	if (in->is_thrashing && level < PRESSURE_WARNING)
		level = PRESSURE_WARNING;
	if (in->is_squeezed)
		level = PRESSURE_CRITICAL;
	return level > in->host ? level : in->host;
}

bool
pressure_announce(struct pressure_hold *hold, enum pressure level, uint64_t now_ns)
{
	enum pressure before = hold->announced;

	CHECK(level < PRESSURE_COUNT && now_ns > 0);
	if (level >= before) {
		hold->falling_since_ns = 0;
		hold->announced = level;
	} else if (hold->falling_since_ns == 0) {
		hold->falling_since_ns = now_ns;
		hold->falling = level;
	} else if (level > hold->falling) {
		hold->falling = level;
	}
	if (hold->falling_since_ns != 0 && now_ns - hold->falling_since_ns >= PRESSURE_FALL_NS) {
		hold->announced = hold->falling;
		hold->falling_since_ns = 0;
	}
	return hold->announced != before;
}
