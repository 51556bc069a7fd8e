/* SPDX-License-Identifier: MIT
 *
 * All statistics and clients' ledgers as text for Prometheus and its like. Statistics come from the
 * segment's own descriptions and ledgers from tbl/ledger.h, so that a new row appears by itself.
 */
#ifndef EXPORT_TEXT_H
#define EXPORT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "statread.h"

/* The two formats differ in the names of counters' families only, and no text is right in both:
 * what Prometheus reads by default (version 0.0.4) names them with _total, OpenMetrics 1.0 without.
 */
enum export_format { EXPORT_PROMETHEUS, EXPORT_OPENMETRICS };

struct export_source {
	const struct statread *stat;
	const int64_t *values; /* of statread_snapshot */
	const struct pager_wire_client *clients;
	size_t client_count;
	uint64_t page_size; /* bytes */
};

/* Writes it all, ended by "# EOF". A failure to write shows in ferror(out). */
void export_text(FILE *out, const struct export_source *source, enum export_format format);

#endif
