/* SPDX-License-Identifier: MIT
 *
 * A run's result, as text and as JSON, which compare reads from the runs that it starts.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <json-c/json.h>
#include <stdint.h>

#include "scenario.h"

struct report_head {
	const struct workload_config *config;
	uint64_t memory_bytes;
	const char *page_size; /* NULL: the daemon's default */
	const char *data;
	double compression_ratio; /* of filled pages, by LZ4 */
	uint64_t timer_overhead_ns;
	int check_failures; /* invariants of the daemon that did not hold; -1: not checked */
};

/* A number with `digits` decimals. => NULL, which is JSON's null, if it is not finite. */
json_object *json_number(double value, int digits);
json_object *report_json(const struct report_head *head, const struct workload_result *result);
void report_text(const struct report_head *head, const struct workload_result *result);
/* Prints on standard output, with a newline. */
void json_print(json_object *object);

/* Looks a number up by names joined by dots. => the number, or `missing`. */
double json_lookup(json_object *object, const char *path, double missing);

#endif
