/* SPDX-License-Identifier: MIT
 *
 * Parameters: rows of tbl/param.h. Runs on: start, then the control loop.
 */
#include "core/params.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"
#include "check.h"
#include "size.h"
#include "text.h"

static const struct row {
	const char *name, *unit, *text;
	uint64_t minimum, maximum, initial;
	bool live;
	size_t offset;
} rows[] = {
#define PARAM(name, minimum, maximum, def, unit, live, text)                                       \
	{ #name, unit, text, minimum, maximum, def, live, offsetof(struct params, name) },
#include "tbl/param.h"
};

/* Each row fits into the answer to a question for it, with the zero behind it. */
#define FITS(string, field) (sizeof(string) <= sizeof(((struct pager_rep_param *)NULL)->field))
#define PARAM(name_, minimum, maximum, def, unit_, live, text_)                                    \
	_Static_assert(FITS(#name_, name) && FITS(unit_, unit) && FITS(text_, text),               \
	    "parameter " #name_ ": its name, unit or text is too long for the protocol");
#include "tbl/param.h"

static atomic_ullong *
field(const struct params *params, const struct row *row)
{
	CHECK(row >= rows && row < rows + ARRAY_LEN(rows));
	return (atomic_ullong *)((char *)params + row->offset);
}

static const struct row *
find(const char *name)
{
	CHECK(name != NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	return NULL;
}

void
params_init(struct params *params)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CHECK(rows[i].minimum <= rows[i].initial && rows[i].initial <= rows[i].maximum);
		store_relaxed(field(params, &rows[i]), rows[i].initial);
	}
}

int
param_index(const char *name, unsigned *ret_index)
{
	const struct row *row = find(name);

	CHECK(ret_index != NULL);
	if (!row)
		return -ENOENT;
	*ret_index = (unsigned)(row - rows);
	return 0;
}

bool
param_is_live(const char *name)
{
	const struct row *row = find(name);

	return row && row->live;
}

uint64_t
param_get(const struct params *params, unsigned index)
{
	CHECK(index < ARRAY_LEN(rows));
	return load_relaxed(field(params, &rows[index]));
}

int
param_set(struct params *params, const char *name, const char *value)
{
	const struct row *row = find(name);
	uint64_t number;

	CHECK(value != NULL);
	if (!row)
		return -ENOENT;
	if (size_parse(value, &number) != 0)
		return -EINVAL;
	if (number < row->minimum || number > row->maximum)
		return -ERANGE;
	store_relaxed(field(params, row), number);
	return 0;
}

int
param_describe(const struct params *params, unsigned index, struct pager_rep_param *ret)
{
	const struct row *row;

	CHECK(ret != NULL);
	if (index >= ARRAY_LEN(rows))
		return -ENOENT;
	row = &rows[index];
	memset(ret, 0, sizeof(*ret));
	snprintf(ret->name, sizeof(ret->name), "%s", row->name);
	snprintf(ret->value, sizeof(ret->value), "%llu",
	    (unsigned long long)load_relaxed(field(params, row)));
	snprintf(ret->unit, sizeof(ret->unit), "%s", row->unit);
	snprintf(ret->minimum, sizeof(ret->minimum), "%llu", (unsigned long long)row->minimum);
	snprintf(ret->maximum, sizeof(ret->maximum), "%llu", (unsigned long long)row->maximum);
	snprintf(ret->text, sizeof(ret->text), "%s", row->text);
	ret->live = row->live;
	return 0;
}

static char *
trim(char *text)
{
	char *end;

	text += strspn(text, " \t\r\n");
	end = text + strlen(text);
	while (end > text && strchr(" \t\r\n", end[-1]))
		*--end = '\0';
	return text;
}

/* One line of a file. => 0, or -errno with a message */
static int
line_load(struct params *params, char *line, const char *path, unsigned number, char *message,
    size_t message_size)
{
	char *name = trim(line), *value = strchr(name, '=');
	int error;

	CHECK(number > 0 && message_size > 0);
	if (*name == '\0' || *name == '#')
		return 0;
	if (!value) {
		text_clean(name);
		snprintf(message, message_size, "%s:%u: expected `name = value`, not \"%.40s\"",
		    path, number, name);
		return -EINVAL;
	}
	*value++ = '\0';
	name = trim(name);
	value = trim(value);
	error = param_set(params, name, value);
	if (error) {
		text_clean(name);
		text_clean(value);
		snprintf(message, message_size,
		    "%s:%u: %.40s = %.40s: %s (`pagerctl param list` shows all)", path, number,
		    name, value,
		    error == -ENOENT   ? "no such parameter"
		    : error == -ERANGE ? "out of range"
				       : "not a number");
	}
	return error;
}

int
params_load(struct params *params, const char *path, char *message, size_t message_size)
{
	CHECK(message_size > 0);
	FILE *file = fopen(path, "re");
	char line[512];
	unsigned number = 0;
	int error = 0;

	if (!file) {
		error = -errno;
		snprintf(message, message_size, "cannot read %s: %s", path, strerror(-error));
		return error;
	}
	while (!error && fgets(line, sizeof(line), file)) {
		number++;
		/* A line that does not end in the buffer, or has a zero in it: no list of
		 * parameters. */
		if (!strchr(line, '\n') && !feof(file)) {
			snprintf(message, message_size,
			    "%s:%u: no line of a configuration file (longer than %zu bytes, or not "
			    "text)",
			    path, number, sizeof(line) - 2);
			error = -EINVAL;
		} else {
			error = line_load(params, line, path, number, message, message_size);
		}
	}
	if (!error && ferror(file)) {
		error = -errno;
		snprintf(message, message_size, "cannot read %s: %s", path, strerror(-error));
	}
	fclose(file);
	return error;
}
