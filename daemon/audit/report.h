/* SPDX-License-Identifier: MIT
 *
 * What the audit finds: checks are counted, and each that fails becomes a line of text.
 */
#ifndef AUDIT_REPORT_H
#define AUDIT_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "base.h"
#include "daemon.h"

struct report {
	char *text;
	size_t size, used;
	unsigned failures, checks;
};

/* One check. The text is cut where its room ends. */
void PRINTF_LIKE(3, 4) verify(struct report *r, bool holds, const char *fmt, ...);

static inline long long
stats_level(struct daemon *d, enum stat_index index)
{
	return load_relaxed(&d->stats.levels[index]);
}

#endif
