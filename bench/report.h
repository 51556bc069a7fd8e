/* SPDX-License-Identifier: MIT
 *
 * A run's result as JSON (which is also how compare gets it from the runs it starts) and as text.
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
	int check_failures; /* of the daemon's invariants; -1: not asked for */
};

/* A number with at most `digits` behind the point. Never NULL (the process ends when memory does).
 */
json_object *json_number(double value, int digits);
json_object *report_json(const struct report_head *head, const struct workload_result *result);
void report_text(const struct report_head *head, const struct workload_result *result);
/* Prints on standard output, with a newline. */
void json_print(json_object *object);

/* obj.path, path being names joined by dots. => the value, or `missing`. */
double json_lookup(json_object *object, const char *path, double missing);

#endif
