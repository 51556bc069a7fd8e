/* SPDX-License-Identifier: MIT */
#include "size.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
size_parse(const char *text, uint64_t *ret_bytes)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end;
	unsigned shift = 0;
	unsigned long long value;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno)
		return -ERANGE;
	if (*end != '\0') {
		unit = strchr(units, toupper((unsigned char)*end));
		if (!unit || end[1] != '\0')
			return -EINVAL;
		shift = 10u * (unsigned)(unit - units + 1);
	}
	if (shift && value >> (64 - shift))
		return -ERANGE;
	*ret_bytes = (uint64_t)value << shift;
	return 0;
}

const char *
size_format(uint64_t bytes, char *buf, size_t buf_size)
{
	static const char units[] = "BKMGT";
	unsigned unit = 0;
	double value = (double)bytes;

	while (value >= 1024.0 && unit + 1 < sizeof(units) - 1) {
		value /= 1024.0;
		unit++;
	}
	if (unit == 0 || value >= 100.0 || value == (double)(uint64_t)value)
		snprintf(buf, buf_size, "%.0f%c", value, units[unit]);
	else
		snprintf(buf, buf_size, "%.1f%c", value, units[unit]);
	return buf;
}
