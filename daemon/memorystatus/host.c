/* SPDX-License-Identifier: MIT
 *
 * How much the daemon should hold where the machine is short of memory.
 */
#include "memorystatus/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"
#include "check.h"

/* The number after a name at the beginning of a line; 0: there is none. */
static uint64_t
number_after(const char *text, const char *name)
{
	size_t length = strlen(name);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += line != text;
		if (strncmp(line, name, length) == 0)
			return strtoull(line + length, NULL, 10);
	}
	return 0;
}

void
host_parse_meminfo(const char *text, struct host_reading *ret)
{
	ret->total = number_after(text, "MemTotal:") * 1024;
	ret->available = min_u64(number_after(text, "MemAvailable:") * 1024, ret->total);
}

/* "some avg10=1.25 avg60=..." => 125 */
static unsigned
stalls_of(const char *text, const char *name)
{
	const char *at = strstr(text, name);
	unsigned whole = 0, hundredths = 0;

	if (!at || sscanf(at + strlen(name), " avg10=%u.%2u", &whole, &hundredths) < 1)
		return 0;
	return (unsigned)min_u64(whole, 100) * 100 + hundredths;
}

void
host_parse_pressure(const char *text, struct host_reading *ret)
{
	ret->some = stalls_of(text, "some");
	ret->full = stalls_of(text, "full");
}

static enum pressure
level_of_available(enum pressure now, const struct host_reading *r, unsigned low)
{
	enum pressure level = PRESSURE_NORMAL;

	for (enum pressure l = PRESSURE_WARNING; l < PRESSURE_COUNT; l++) {
		/* warning: low, urgent: a half, critical: a quarter */
		uint64_t below = r->total / 1000 * low >> (l - PRESSURE_WARNING);

		if (now >= l)
			below = below * 115 / 100;
		if (r->available < below)
			level = l;
	}
	return level;
}

enum pressure
host_level(enum pressure now, const struct host_reading *r, unsigned low)
{
	enum pressure level;
	unsigned some = HOST_STALLS, full = HOST_STALLS;

	CHECK(now < PRESSURE_COUNT);
	if (r->total == 0)
		return PRESSURE_NORMAL;
	level = level_of_available(now, r, low);
	if (now >= PRESSURE_WARNING)
		some /= 2;
	if (now >= PRESSURE_CRITICAL)
		full /= 2;
	if (level < PRESSURE_WARNING && (r->stalled || r->some >= some))
		level = PRESSURE_WARNING;
	return r->full >= full ? PRESSURE_CRITICAL : level;
}

/* What the machine lacks is given, of what is held: what is on its way back by now is not asked for
 * twice. */
static uint64_t
size_less(const struct host_sizes *sizes, const struct host_reading *r, uint64_t wanted)
{
	uint64_t give = wanted > r->available ? wanted - r->available : 0;

	if (r->stalled || r->some >= HOST_STALLS)
		give = max_u64(give, sizes->held / 32);
	if (give == 0)
		return sizes->size;
	return sizes->held > give ? min_u64(sizes->size, sizes->held - give) : sizes->least;
}

uint64_t
host_size(struct host_sizing *s, const struct host_sizes *sizes, const struct host_reading *r,
    enum pressure level, const struct host_rules *rules, uint64_t now_ns)
{
	uint64_t wanted = r->total / 1000 * rules->low, plenty = wanted + wanted / 2;
	uint64_t size = sizes->size;

	CHECK(sizes->least <= sizes->most && now_ns > 0);
	if (level != PRESSURE_NORMAL || r->available <= plenty) {
		s->calm_since_ns = 0;
		size = size_less(sizes, r, wanted);
	} else if (s->calm_since_ns == 0) {
		s->calm_since_ns = now_ns;
	} else if (now_ns - s->calm_since_ns >= rules->calm_ns &&
		   now_ns - s->grown_ns >= rules->calm_ns / 5) {
		s->grown_ns = now_ns;
		size += min_u64(sizes->most / 16, (r->available - plenty) / 2);
	}
	return min_u64(max_u64(size, sizes->least), sizes->most);
}
