/* SPDX-License-Identifier: MIT
 *
 * A metric is named pagerd, its name and its unit; counters have _total behind that. Levels in
 * pages become bytes and times seconds; counters of pages stay counts of pages, since each page is
 * an event.
 */
#include "export_text.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "out.h"

#define NAME_BYTES 96

struct family {
	char name[NAME_BYTES]; /* with the unit, without _total */
	char unit[32];         /* the last word of the name; "": it has none */
	uint64_t factor, divisor;
	bool is_counter;
};

/* How a unit of the tables is shown. */
static const struct unit_rule {
	const char *unit, *shown;
	uint64_t divisor;
} unit_rules[] = {
	{ "bytes", "bytes", 1 },
	{ "ns", "seconds", 1000000000 },
	{ "permille", "ratio", 1000 },
	{ "count", "", 1 },
	{ "bool", "", 1 },
	{ "level", "", 1 },
};

/* Removes the table's unit from the end of a name, with the underscore before it. */
static void
unit_remove(char *name, const char *unit)
{
	size_t length = strlen(name), unit_length = strlen(unit);

	if (unit_length > 0 && length > unit_length + 1 &&
	    strcmp(name + length - unit_length, unit) == 0 && name[length - unit_length - 1] == '_')
		name[length - unit_length - 1] = '\0';
}

/* A name has letters, digits and underscores only; another daemon may have others. */
static void
name_clean(char *name)
{
	for (; *name; name++) {
		if (!isalnum((unsigned char)*name) || (unsigned char)*name >= 0x80)
			*name = '_';
	}
}

static void
family_make(struct family *f, const char *prefix, const char *name, const char *unit,
    bool is_counter, uint64_t page_size)
{
	struct unit_rule rule = { unit, unit, 1 };
	char stem[64];

	snprintf(stem, sizeof(stem), "%s", name);
	for (size_t i = 0; i < sizeof(unit_rules) / sizeof(unit_rules[0]); i++) {
		if (strcmp(unit_rules[i].unit, unit) == 0)
			rule = unit_rules[i];
	}
	f->factor = 1;
	if (!is_counter && strcmp(unit, "pages") == 0) {
		rule.shown = "bytes";
		f->factor = page_size;
	}
	unit_remove(stem, unit);
	snprintf(f->unit, sizeof(f->unit), "%s", rule.shown);
	name_clean(f->unit);
	f->divisor = rule.divisor;
	f->is_counter = is_counter;
	snprintf(f->name, sizeof(f->name), "pagerd_%s%s%s%s", prefix, stem,
	    rule.shown[0] ? "_" : "", rule.shown);
	name_clean(f->name);
}

/* Texts of help: no line ends, and backslashes doubled; OpenMetrics also escapes quotes. */
static void
put_escaped(FILE *out, const char *text, bool quotes)
{
	for (; *text; text++) {
		if (*text == '\\' || (quotes && *text == '"'))
			fputc('\\', out);
		if (*text == '\n')
			fputs("\\n", out);
		else
			fputc(*text, out);
	}
}

static void
family_begin(FILE *out, const struct family *f, enum export_format format, const char *text)
{
	const char *suffix = f->is_counter && format == EXPORT_PROMETHEUS ? "_total" : "";

	fprintf(out, "# TYPE %s%s %s\n", f->name, suffix, f->is_counter ? "counter" : "gauge");
	if (f->unit[0] && format == EXPORT_OPENMETRICS)
		fprintf(out, "# UNIT %s %s\n", f->name, f->unit);
	fprintf(out, "# HELP %s%s ", f->name, suffix);
	put_escaped(out, text, format == EXPORT_OPENMETRICS);
	fputc('\n', out);
}

/* A sample of a family. labels: with their braces, or "". */
static void
sample(FILE *out, const struct family *f, const char *labels, int64_t value)
{
	uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

	size *= f->factor;
	fprintf(out, "%s%s%s %s%" PRIu64, f->name, f->is_counter ? "_total" : "", labels,
	    value < 0 ? "-" : "", size / f->divisor);
	if (f->divisor > 1) {
		fputc('.', out);
		for (uint64_t digit = f->divisor / 10; digit > 0; digit /= 10)
			fputc((int)('0' + size / digit % 10), out);
	}
	fputc('\n', out);
}

static void
put_statistics(FILE *out, const struct export_source *s, enum export_format format)
{
	for (uint32_t i = 0; i < s->stat->count; i++) {
		const struct shmstat_descriptor *d = &s->stat->descriptors[i];
		char text[sizeof(d->text)];
		struct family f;

		family_make(&f, "", d->name, d->unit, d->kind == SHMSTAT_COUNTER, s->page_size);
		family_begin(out, &f, format, out_text(text, sizeof(text), d->text, sizeof(text)));
		sample(out, &f, "", s->values[i]);
	}
}

/* {session="s12",pid="345",uid="1000",name="..."} */
static void
labels_make(char *labels, size_t labels_bytes, const struct pager_wire_client *c)
{
	char name[sizeof(c->name) + 1];
	FILE *out = fmemopen(labels, labels_bytes, "w");

	labels[0] = '\0';
	if (!out)
		return;
	fprintf(out, "{session=\"s%" PRIu64 "\",pid=\"%" PRIu32 "\",uid=\"%" PRIu32 "\",name=\"",
	    c->session_id, c->pid, c->uid);
	put_escaped(out, out_text(name, sizeof(name), c->name, sizeof(c->name)), true);
	fputs("\"}", out);
	fclose(out);
}

/* One family, with a sample of each client. at: where the value lies in a pager_wire_client. */
static void
put_clients(
    FILE *out, const struct export_source *s, const struct family *f, size_t at, bool skip_zero)
{
	/* Each byte of a name may be escaped. */
	char labels[2 * sizeof(s->clients->name) + 128];

	for (size_t i = 0; i < s->client_count; i++) {
		uint64_t value;

		memcpy(&value, (const char *)&s->clients[i] + at, sizeof(value));
		if (value == 0 && skip_zero)
			continue;
		labels_make(labels, sizeof(labels), &s->clients[i]);
		sample(out, f, labels, (int64_t)value);
	}
}

static void
put_ledgers(FILE *out, const struct export_source *s, enum export_format format)
{
	enum { PAGES, BYTES, COUNT, TIME_NS };
	static const struct {
		const char *name, *unit, *text;
		size_t at;
		bool is_counter, skip_zero;
	} rows[] = {
		{ "virtual", "bytes", "address space allocated",
		    offsetof(struct pager_wire_client, virtual_bytes), false, false },
		{ "regions", "count", "regions in its map",
		    offsetof(struct pager_wire_client, regions), false, false },
		{ "resident_limit", "bytes", "limit on its resident memory, if it has one",
		    offsetof(struct pager_wire_client, limit_bytes), false, true },
		{ "phys_footprint_peak", "bytes", "the most that phys_footprint has been",
		    offsetof(struct pager_wire_client, phys_footprint_peak), false, false },
#define LEDGER(NAME, name, unit, kind, classes, text)                                              \
	{ #name, unit, text, offsetof(struct pager_wire_client, ledger[PAGER_LEDGER_##NAME]),      \
		(kind) == COUNT || (kind) == TIME_NS, false },
#include "tbl/ledger.h"
	};
	struct family f;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		family_make(&f, "client_", rows[i].name, rows[i].unit, rows[i].is_counter, 1);
		family_begin(out, &f, format, rows[i].text);
		put_clients(out, s, &f, rows[i].at, rows[i].skip_zero);
	}
}

void
export_text(FILE *out, const struct export_source *s, enum export_format format)
{
	struct family start;

	family_make(&start, "", "start_time", "ns", false, 1);
	family_begin(out, &start, format, "when the daemon began, since 1970");
	sample(out, &start, "", (int64_t)s->stat->header->start_time_ns);
	put_statistics(out, s, format);
	put_ledgers(out, s, format);
	fputs("# EOF\n", out);
}
