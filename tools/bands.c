/* SPDX-License-Identifier: MIT
 *
 * Jetsam's bands and causes by name: tbl/band.h, tbl/jetsam_cause.h.
 */
#include "bands.h"

#include <errno.h>
#include <string.h>

#include "out.h"

static const struct {
	int32_t number;
	const char *name;
} bands[] = {
#define BAND(number, NAME, name, text) { number, name },
#include "tbl/band.h"
}, causes[] = {
#define JETSAM_CAUSE(number, NAME, name, text) { number, name },
#include "tbl/jetsam_cause.h"
};

int
band_parse(const char *text, int32_t *ret)
{
	uint64_t number;

	for (size_t i = 0; i < sizeof(bands) / sizeof(bands[0]); i++) {
		if (strcmp(text, bands[i].name) != 0 &&
		    (out_parse_number(text, 0, INT32_MAX, &number) < 0 ||
			number != (uint64_t)bands[i].number))
			continue;
		*ret = bands[i].number;
		return 0;
	}
	return -EINVAL;
}

const char *
band_text(int32_t band)
{
	for (size_t i = 0; i < sizeof(bands) / sizeof(bands[0]); i++)
		if (bands[i].number == band)
			return bands[i].name;
	return "-";
}

const char *
cause_text(uint32_t cause)
{
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
		if ((uint32_t)causes[i].number == cause)
			return causes[i].name;
	return "?";
}
