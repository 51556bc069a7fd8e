/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"
#include "pattern.h"
#include "size.h"

json_object *
json_number(double value, int digits)
{
	char text[64];

	/* JSON has no infinity and no NAN. */
	if (!isfinite(value))
		return NULL;
	snprintf(text, sizeof(text), "%.*f", digits, value);
	return json_object_new_double_s(value, text);
}

static void
add_count(json_object *object, const char *name, uint64_t value)
{
	json_object_object_add(object, name, json_object_new_uint64(value));
}

static void
add_number(json_object *object, const char *name, double value, int digits)
{
	json_object_object_add(object, name, json_number(value, digits));
}

static json_object *
counts_json(const struct fault_counts *counts)
{
	json_object *object = json_object_new_object();

#define COUNT(name) add_count(object, #name, counts->name);
#include "fault_counts.tbl"
	return object;
}

static const struct {
	const char *name;
	double share;
} percentiles[] = { { "p50_ns", 0.5 }, { "p99_ns", 0.99 }, { "p999_ns", 0.999 },
	{ "max_ns", 1.0 } };

static double
percentile(const struct workload_result *r, double share)
{
	uint64_t ns = share < 1.0 ? histogram_percentile(&r->touch, share) : r->touch.max_ns;

	return (double)ns * r->scale;
}

static double
swap_out_rate(const struct report_head *head, const struct workload_result *r)
{
	uint64_t working_set = head->config->units * UNIT_BYTES;

	if (working_set <= head->memory_bytes || r->wall_s <= 0.0)
		return 0.0;
	return (double)(working_set - head->memory_bytes) / r->wall_s;
}

json_object *
report_json(const struct report_head *head, const struct workload_result *r)
{
	const struct workload_config *c = head->config;
	json_object *o = json_object_new_object();

	json_object_object_add(o, "scenario", json_object_new_string(c->scenario->name));
	json_object_object_add(o, "backend", json_object_new_string(c->ops->name));
	add_count(o, "memory_bytes", head->memory_bytes);
	add_count(o, "working_set_bytes", c->units * UNIT_BYTES);
	add_number(o, "ratio", (double)(c->units * UNIT_BYTES) / (double)head->memory_bytes, 3);
	add_count(o, "threads", c->threads);
	add_count(o, "seed", c->seed);
	add_count(o, "write_percent", c->write_percent);
	json_object_object_add(
	    o, "page_size", json_object_new_string(head->page_size ? head->page_size : "4K"));
	json_object_object_add(o, "data", json_object_new_string(head->data));
	add_number(o, "compression_ratio", head->compression_ratio, 3);
	add_count(o, "bad_pages", r->bad_pages);
	if (head->check_failures >= 0)
		add_count(o, "check_failures", (uint64_t)head->check_failures);
	add_count(o, "touches", r->touches);
	add_number(o, "seconds", r->wall_s, 3);
	add_number(o, "mean_ns", histogram_mean(&r->touch) * r->scale, r->scale < 1.0 ? 3 : 1);
	for (size_t i = 0; i < ARRAY_LEN(percentiles); i++)
		add_number(o, percentiles[i].name, percentile(r, percentiles[i].share),
		    r->scale < 1.0 ? 2 : 0);
	add_number(o, "per_page_ns", r->per_page_ns, 1);
	add_number(o, "fill_per_page_ns", r->fill_per_page_ns, 1);
	add_number(o, "generate_ns", r->generate_ns, 1);
	add_count(o, "timer_overhead_ns", head->timer_overhead_ns);
	add_number(o, "cpu_client_s", r->cpu_client_s, 6);
	add_number(o, "cpu_daemon_s", r->cpu_daemon_s, 6);
	add_number(o, "cpu_s", r->cpu_client_s + r->cpu_daemon_s, 6);
	if (c->scenario->kind == SCENARIO_FILL && c->scenario->flags & SCENARIO_ONCE)
		add_number(o, "swap_out_bytes_per_s", swap_out_rate(head, r), 0);
	add_count(o, "bytes_written", r->bytes_written);
	add_count(o, "daemon_private_bytes", r->daemon_private_bytes);
	if (c->scenario->flags & SCENARIO_SYNC)
		add_number(o, "sync_s", r->sync_s, 3);
	if (c->scenario->flags & SCENARIO_FILE)
		add_count(o, "file_cached_bytes", r->file_cached_bytes);
	json_object_object_add(o, "faults", counts_json(&r->counts));
	return o;
}

void
report_text(const struct report_head *head, const struct workload_result *r)
{
	const struct workload_config *c = head->config;
	const struct fault_counts *n = &r->counts;
	int digits = r->scale < 1.0 ? 2 : 0;
	char memory[16], set[16], written[16];

	printf("%s on %s: %s of memory, %s of data (LZ4 %.2f:1), %u thread%s, %.2f s\n",
	    c->scenario->name, c->ops->name,
	    size_format(head->memory_bytes, memory, sizeof(memory)),
	    size_format(c->units * UNIT_BYTES, set, sizeof(set)), head->compression_ratio,
	    c->threads, c->threads == 1 ? "" : "s", r->wall_s);
	printf("  touch ns   mean %.*f  p50 %.*f  p99 %.*f  p99.9 %.*f  max %.*f  (the "
	       "clock takes %llu)\n",
	    digits, histogram_mean(&r->touch) * r->scale, digits, percentile(r, 0.5), digits,
	    percentile(r, 0.99), digits, percentile(r, 0.999), digits, percentile(r, 1.0),
	    (unsigned long long)head->timer_overhead_ns);
	printf(
	    "  page ns    %.0f each, %llu touches", r->per_page_ns, (unsigned long long)r->touches);
	if (r->fill_per_page_ns > 0.0)
		printf("; fill before it %.0f each", r->fill_per_page_ns);
	printf("\n  faults     minor %llu  major %llu", (unsigned long long)n->minor,
	    (unsigned long long)n->major);
	if (n->faults)
		printf("  pagerd %llu: zero-fill %llu soft %llu decompress %llu swap-in %llu "
		       "write-protect %llu",
		    (unsigned long long)n->faults, (unsigned long long)n->zero_fills,
		    (unsigned long long)n->soft_faults, (unsigned long long)n->decompressions,
		    (unsigned long long)n->swapins, (unsigned long long)n->write_protect_faults);
	printf("\n  cpu s      client %.2f  daemon %.2f; written %s\n", r->cpu_client_s,
	    r->cpu_daemon_s, size_format(r->bytes_written, written, sizeof(written)));
	if (c->scenario->flags & SCENARIO_FILE)
		printf("  file       %s of it in the page cache; msync %.3f s\n",
		    size_format(r->file_cached_bytes, written, sizeof(written)), r->sync_s);
	printf("  bad pages  %llu", (unsigned long long)r->bad_pages);
	if (head->check_failures >= 0)
		printf("; broken invariants of the daemon: %d", head->check_failures);
	putchar('\n');
	fflush(stdout);
}

void
json_print(json_object *object)
{
	puts(json_object_to_json_string_ext(object,
	    JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
	fflush(stdout);
}

double
json_lookup(json_object *object, const char *path, double missing)
{
	char name[64];

	while (object && *path) {
		size_t length = strcspn(path, ".");

		if (length >= sizeof(name))
			return missing;
		memcpy(name, path, length);
		name[length] = '\0';
		if (!json_object_object_get_ex(object, name, &object))
			return missing;
		path += length + (path[length] == '.');
	}
	if (!json_object_is_type(object, json_type_double) &&
	    !json_object_is_type(object, json_type_int))
		return missing;
	return json_object_get_double(object);
}
