/* SPDX-License-Identifier: MIT
 *
 * pagerctl stat: all statistics once, or a row of vm_stat's columns at each interval. The segment
 * describes all statistics; only the columns are known by name here, and a column that the daemon
 * does not have shows "-".
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"
#include "statread.h"

#define STAT_HEADER_EVERY 20 /* rows */

static const struct column {
	const char *title, *name;
} columns[] = {
	{ "free", "free" },
	{ "active", "active" },
	{ "specul", "speculative" },
	{ "inactive", "inactive" },
	{ "laundry", "laundry" },
	{ "wired", "wired" },
	{ "faults", "faults" },
	{ "0fill", "zero_fills" },
	{ "soft", "soft_faults" },
	{ "reactive", "reactivations" },
	{ "anonymous", "internal" },
	{ "cmprssed", "internal_compressed" },
	{ "cmprssor", "compressor" },
	{ "dcomprs", "decompressions" },
	{ "comprs", "compressions" },
	{ "pageout", "pageouts" },
	{ "swapins", "swapins" },
	{ "swapouts", "swapouts" },
};
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

static int64_t
value_of(const struct statread *s, const int64_t *values, const char *name)
{
	int i = statread_find(s, name);

	return i < 0 ? -1 : values[i];
}

/* Of the compressed pages in memory: the bytes before compression over the bytes now. */
static void
print_ratio(const struct statread *s, const int64_t *values)
{
	int64_t stored = value_of(s, values, "stored_pages"),
		away = value_of(s, values, "stored_away");
	int64_t page = value_of(s, values, "page_size"),
		bytes = value_of(s, values, "compressed_bytes");

	if (stored < 0 || away < 0 || page <= 0 || bytes <= 0)
		printf("%-22s %20s\n", "compression ratio", "-");
	else
		printf("%-22s %20.2f\n", "compression ratio",
		    (double)(stored - away) * (double)page / (double)bytes);
}

static void
print_all(const struct ctl *ctl, const struct statread *s, const int64_t *values)
{
	printf("pagerd %" PRIu32 ", page size of %" PRIu64 " bytes\n", s->header->daemon_pid,
	    ctl->hello.page_size);
	for (uint32_t i = 0; i < s->count; i++) {
		const struct shmstat_descriptor *d = &s->descriptors[i];
		char text[sizeof(d->text)], unit[sizeof(d->unit)], name[sizeof(d->name)];

		printf("%-22s %20" PRId64 " %-8s %s\n",
		    out_text(name, sizeof(name), d->name, sizeof(d->name)), values[i],
		    out_text(unit, sizeof(unit), d->unit, sizeof(d->unit)),
		    out_text(text, sizeof(text), d->text, sizeof(d->text)));
	}
	print_ratio(s, values);
}

/* Prints levels as they are, and counters as the increase since the last row: in the first row,
 * since the daemon's start. */
static void
print_row(const struct statread *s, const int64_t *values, const int64_t *last, uint64_t row)
{
	if (row % STAT_HEADER_EVERY == 0) {
		for (size_t i = 0; i < COLUMNS; i++)
			printf("%s%9s", i ? " " : "", columns[i].title);
		putchar('\n');
	}
	for (size_t i = 0; i < COLUMNS; i++) {
		int index = statread_find(s, columns[i].name);
		int64_t base;

		if (index < 0) {
			printf("%s%9s", i ? " " : "", "-");
			continue;
		}
		base = s->descriptors[index].kind == SHMSTAT_COUNTER ? last[index] : 0;
		printf("%s%9" PRId64, i ? " " : "", values[index] - base);
	}
	putchar('\n');
}

static void
print_json(const struct ctl *ctl, const struct statread *s, const int64_t *values)
{
	struct json_object *object = json_object_new_object();
	char name[sizeof(s->descriptors->name)];

	for (uint32_t i = 0; i < s->count; i++)
		out_add_i64(object,
		    out_text(name, sizeof(name), s->descriptors[i].name, sizeof(name)), values[i]);
	out_json(ctl, object);
}

int
cmd_stat(struct ctl *ctl, int argc, char **argv)
{
	struct statread s;
	int64_t *values, *last, *swap;
	uint64_t reports = 0;
	int r;

	(void)argc;
	(void)argv;
	r = ctl_connect(ctl);
	if (r != CTL_OK)
		return r;
	r = statread_open(&ctl->chan, &s);
	if (r < 0)
		return ctl_fail(ctl, r, "cannot read the statistics segment");
	values = calloc(s.count, sizeof(*values));
	last = calloc(s.count, sizeof(*last));
	if (!values || !last)
		r = -ENOMEM;
	while (r == 0) {
		r = reports == 0 ? 0 : ctl_refresh(ctl, &s);
		if (r > 0)
			memset(last, 0, s.count * sizeof(*last));
		if (r >= 0)
			r = statread_snapshot(&s, values);
		if (r < 0)
			break;
		if (ctl->json)
			print_json(ctl, &s, values);
		else if (ctl->interval > 0)
			print_row(&s, values, last, reports);
		else
			print_all(ctl, &s, values);
		swap = last;
		last = values;
		values = swap;
		if (!ctl_next_report(ctl, ++reports))
			break;
	}
	free(values);
	free(last);
	statread_close(&s);
	return r < 0 ? ctl_fail(ctl, r, "cannot read the statistics") : CTL_OK;
}
