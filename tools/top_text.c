/* SPDX-License-Identifier: MIT */
#include "top_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bands.h"

static const char *const pressure_names[] = {
#define PRESSURE(number, NAME, name, text) [number] = (name),
#include "tbl/pressure.h"
};

const char *
top_text_number(double value, char buf[OUT_NUMBER])
{
	static const char units[] = " kMG";
	unsigned unit = 0;

	while (value >= 9999.5 && unit < 3) {
		value /= 1000;
		unit++;
	}
	if (unit == 0)
		snprintf(buf, OUT_NUMBER, value > 0 && value < 9.95 ? "%.1f" : "%.0f", value);
	else
		snprintf(buf, OUT_NUMBER, value < 99.95 ? "%.1f%c" : "%.0f%c", value, units[unit]);
	return buf;
}

char *
top_text_cut(char *text, size_t columns)
{
	size_t length = strlen(text);

	if (length <= columns)
		return text;
	/* A character has at least as many bytes as it takes columns. */
	while (columns > 0 && ((unsigned char)text[columns] & 0xc0) == 0x80)
		columns--;
	text[columns] = '\0';
	return text;
}

/* --- rows --- */

static const char *
bytes_or_none(const struct ctl *ctl, bool known, uint64_t bytes, char buf[OUT_NUMBER])
{
	return known ? out_bytes(ctl, bytes, buf) : "-";
}

static const char *
band(const struct top_row *row, char buf[OUT_NUMBER])
{
	if (row->band < 0)
		return "-";
	snprintf(buf, OUT_NUMBER, "%" PRId32, row->band);
	return buf;
}

static const char *
cell(const struct ctl *ctl, const struct top_row *row, enum top_column column, char buf[OUT_NUMBER])
{
	switch (column) {
	case TOP_PID:
		if (row->is_group)
			return "-";
		snprintf(buf, OUT_NUMBER, "%" PRIu32, row->pid);
		return buf;
	case TOP_USER:
		return row->user;
	case TOP_FOOTPRINT:
		return out_bytes(ctl, row->footprint, buf);
	case TOP_RESIDENT:
		return out_bytes(ctl, row->resident, buf);
	case TOP_COMPRESSED:
		return out_bytes(ctl, row->compressed, buf);
	case TOP_SWAPPED:
		return bytes_or_none(ctl, row->has_swapped, row->swapped, buf);
	case TOP_WIRED:
		return out_bytes(ctl, row->wired, buf);
	case TOP_FAULTS:
		return top_text_number(row->faults, buf);
	case TOP_REFILLS:
		return top_text_number(row->refills, buf);
	case TOP_SWAPINS:
		return top_text_number(row->swapins, buf);
	case TOP_STALL:
		return top_text_number(row->stall_percent, buf);
	case TOP_LIMIT:
		return bytes_or_none(ctl, row->limit > 0, row->limit, buf);
	case TOP_BAND:
		return band(row, buf);
	case TOP_STATE:
		return row->state;
	default:
		return row->name;
	}
}

static bool
is_shown(enum top_column column, size_t width)
{
	return width == TOP_WIDE || width >= (size_t)top_columns[column].from;
}

/* Appends to a line. */
static void __attribute__((format(printf, 2, 3))) add(char line[TOP_LINE], const char *fmt, ...)
{
	size_t used = strlen(line);
	va_list args;

	va_start(args, fmt);
	vsnprintf(line + used, TOP_LINE - used, fmt, args);
	va_end(args);
}

/* Numbers stand at the right of their columns, texts at the left. */
static void
add_cell(char line[TOP_LINE], enum top_column column, const char *text)
{
	const struct top_column_row *c = &top_columns[column];
	char cut[OUT_NUMBER];

	if (column == TOP_NAME) {
		add(line, " %s", text);
		return;
	}
	snprintf(cut, sizeof(cut), "%s", text);
	if (c->kind == TOP_KIND_TEXT)
		add(line, " %-*s", c->width, top_text_cut(cut, (size_t)c->width));
	else
		add(line, "%s%*s", line[0] ? " " : "", c->width, text);
}

/* The column that the list is sorted by has a mark in front of its title, or instead of the
 * title's last letter where there is no place. */
char *
top_text_titles(size_t width, enum top_column sort, char ret[TOP_LINE])
{
	char title[OUT_NUMBER];

	ret[0] = '\0';
	for (unsigned i = 0; i < TOP_COLUMNS; i++) {
		const struct top_column_row *c = &top_columns[i];

		if (!is_shown((enum top_column)i, width))
			continue;
		snprintf(title, sizeof(title), "%s%s", c->title, i == sort ? "*" : "");
		if (i == sort && c->width > 0 && strlen(title) > (size_t)c->width)
			strcpy(title + c->width - 1, "*");
		add_cell(ret, (enum top_column)i, title);
	}
	return width == TOP_WIDE ? ret : top_text_cut(ret, width);
}

char *
top_text_row(const struct ctl *ctl, const struct top_row *row, size_t width, char ret[TOP_LINE])
{
	char buf[OUT_NUMBER], name[TOP_LINE];

	ret[0] = '\0';
	for (unsigned i = 0; i < TOP_NAME; i++)
		if (is_shown((enum top_column)i, width))
			add_cell(ret, (enum top_column)i, cell(ctl, row, (enum top_column)i, buf));
	snprintf(name, sizeof(name), "%*s%s", (int)row->depth * 2, "", row->name);
	if (row->is_group)
		snprintf(name, sizeof(name), "%*s%s, %zu client%s", (int)row->depth * 2, "",
		    row->name, row->members, row->members == 1 ? "" : "s");
	add_cell(ret, TOP_NAME, name);
	return width == TOP_WIDE ? ret : top_text_cut(ret, width);
}

/* --- the machine --- */

static const char *
level_bytes(const struct ctl *ctl, int64_t bytes, char buf[OUT_NUMBER])
{
	return bytes_or_none(ctl, bytes >= 0, (uint64_t)bytes, buf);
}

static void
add_queues(const struct ctl *ctl, const struct top_levels *levels, unsigned from, unsigned end,
    char line[TOP_LINE])
{
	char n[OUT_NUMBER];

	for (unsigned i = from; i < end; i++)
		add(line, "%s%c %s %s", i > from ? "  " : "", top_queues[i].letter,
		    top_queues[i].name, level_bytes(ctl, levels->queue[i], n));
}

/* The queues take two lines of 80 characters. */
static void
add_queues_1(const struct ctl *ctl, const struct top_levels *levels, char line[TOP_LINE])
{
	add_queues(ctl, levels, 0, TOP_QUEUE_WIRED, line);
}

static void
add_queues_2(const struct ctl *ctl, const struct top_levels *levels, char line[TOP_LINE])
{
	add_queues(ctl, levels, TOP_QUEUE_WIRED, TOP_QUEUE_COUNT, line);
	if (levels->waiting > 0)
		add(line, "  waiting for a frame: %" PRId64, levels->waiting);
}

static void
add_stores(const struct ctl *ctl, const struct top_levels *levels, char line[TOP_LINE])
{
	char n[5][OUT_NUMBER];

	add(line, "compressor %s in %s", level_bytes(ctl, levels->compressor_holds, n[0]),
	    level_bytes(ctl, levels->compressor_takes, n[1]));
	if (levels->ratio > 0)
		add(line, " (%.2f:1)", levels->ratio);
	add(line, "   swap %s in %s of %s", level_bytes(ctl, levels->swapped, n[2]),
	    level_bytes(ctl, levels->swap_used, n[3]), level_bytes(ctl, levels->swap_files, n[4]));
}

static void
add_rates(const struct ctl *ctl, const struct top_levels *levels, char line[TOP_LINE])
{
	char n[4][OUT_NUMBER];

	add(line, "faults %s/s  refills %s/s  swapins %s/s  swapped out %s/s",
	    top_text_number(levels->faults, n[0]), top_text_number(levels->refills, n[1]),
	    top_text_number(levels->swapins, n[2]),
	    out_bytes(ctl, (uint64_t)levels->swapout_bytes, n[3]));
}

char *
top_text_daemon(const struct top_levels *levels, uint32_t pid, size_t clients, char ret[TOP_LINE])
{
	size_t known = sizeof(pressure_names) / sizeof(pressure_names[0]);

	ret[0] = '\0';
	add(ret, "pagerd %" PRIu32 ": %zu client%s", pid, clients, clients == 1 ? "" : "s");
	if (levels->frozen > 0)
		add(ret, ", %" PRId64 " frozen", levels->frozen);
	if (levels->pressure >= 0 && (size_t)levels->pressure < known)
		add(ret, "; pressure %s", pressure_names[levels->pressure]);
	if (levels->available >= 0)
		add(ret, ", %.1f %% available", (double)levels->available / 10);
	return ret;
}

char *
top_text_head(
    const struct ctl *ctl, const struct top_levels *levels, unsigned line, char ret[TOP_LINE])
{
	static void (*const lines[TOP_HEAD_LINES])(const struct ctl *, const struct top_levels *,
	    char *) = { add_queues_1, add_queues_2, add_stores, add_rates };

	ret[0] = '\0';
	lines[line](ctl, levels, ret);
	return ret;
}

/* --- JSON --- */

static void
add_double(struct json_object *object, const char *name, double value)
{
	json_object_object_add(object, name, json_object_new_double(value));
}

void
top_text_json(struct json_object *object, const struct top_row *row)
{
	static const char *const stalls[TOP_STALLS] = { "stall_fill_percent", "stall_swap_percent",
		"stall_frame_percent", "stall_limit_percent" };

	out_add_text(object, "user", row->user);
	out_add_u64(object, "parent_pid", row->parent);
	json_object_object_add(object, "run", row->run ? json_object_new_uint64(row->run) : NULL);
	out_add_text(object, "run_name", row->run_name);
	out_add_text(object, "state", row->state);
	json_object_object_add(
	    object, "swapped", row->has_swapped ? json_object_new_uint64(row->swapped) : NULL);
	json_object_object_add(object, "band",
	    row->band == TOP_BAND_UNKNOWN ? NULL : json_object_new_int64(row->band));
	out_add_text(object, "band_name", row->band < 0 ? "-" : band_text(row->band));
	add_double(object, "faults_per_second", row->faults);
	add_double(object, "refills_per_second", row->refills);
	add_double(object, "swapins_per_second", row->swapins);
	add_double(object, "stall_percent", row->stall_percent);
	for (size_t i = 0; i < TOP_STALLS; i++)
		add_double(object, stalls[i], row->by[i]);
}
