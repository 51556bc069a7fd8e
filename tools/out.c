/* SPDX-License-Identifier: MIT */
#include "out.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

int
out_parse_number(const char *text, uint64_t minimum, uint64_t maximum, uint64_t *ret)
{
	unsigned long long value;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (*end != '\0')
		return -EINVAL;
	if (errno || value < minimum || value > maximum)
		return -ERANGE;
	*ret = value;
	return 0;
}

int
out_parse_client(const char *text, struct ctl_client *ret)
{
	uint64_t number;

	if (text[0] == 's') {
		if (out_parse_number(text + 1, 1, UINT64_MAX, &number) < 0)
			return -EINVAL;
		*ret = (struct ctl_client){ .session = number };
		return 0;
	}
	if (out_parse_number(text, 1, INT32_MAX, &number) < 0)
		return -EINVAL;
	*ret = (struct ctl_client){ .pid = (uint32_t)number };
	return 0;
}

int
out_take_client(const struct ctl *ctl, const char *text, struct ctl_client *ret)
{
	if (out_parse_client(text, ret) < 0)
		return ctl_usage(ctl,
		    "\"%s\" is not a client: say a process id, or s and a session's number", text);
	return 0;
}

int
out_no_client(const struct ctl *ctl, int error, const char *text)
{
	return ctl_fail(ctl, error, "%s %s%s", text[0] == 's' ? "session" : "process", text,
	    error == -ENOENT || error == -ESRCH ? " is not a client" : "");
}

const char *
out_bytes(const struct ctl *ctl, uint64_t bytes, char buf[OUT_NUMBER])
{
	static const char units[] = "BKMGT";
	double value = (double)bytes;
	unsigned unit = 0;

	if (ctl->unit == 'B') {
		snprintf(buf, OUT_NUMBER, "%llu", (unsigned long long)bytes);
		return buf;
	}
	while (ctl->unit == 'a' ? value >= 1024.0 && units[unit + 1] != '\0'
				: units[unit] != ctl->unit) {
		value /= 1024.0;
		unit++;
	}
	if (unit == 0 || value >= 100.0 || value == (double)(uint64_t)value)
		snprintf(buf, OUT_NUMBER, "%.0f%c", value, units[unit]);
	else
		snprintf(buf, OUT_NUMBER, "%.1f%c", value, units[unit]);
	return buf;
}

static char *
text_copy(char *buf, size_t buf_size, const char *text, size_t text_size)
{
	size_t length = strnlen(text, text_size < buf_size - 1 ? text_size : buf_size - 1);

	memcpy(buf, text, length);
	buf[length] = '\0';
	return buf;
}

const char *
out_text(char *buf, size_t buf_size, const char *text, size_t text_size)
{
	text_clean(text_copy(buf, buf_size, text, text_size));
	return buf;
}

const char *
out_lines(char *buf, size_t buf_size, const char *text, size_t text_size)
{
	text_clean_lines(text_copy(buf, buf_size, text, text_size));
	return buf;
}

void
out_json(const struct ctl *ctl, struct json_object *object)
{
	int flags = ctl->interval > 0 ? JSON_C_TO_STRING_PLAIN
				      : JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;

	puts(json_object_to_json_string_ext(object, flags | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}

void
out_add_u64(struct json_object *object, const char *name, uint64_t value)
{
	json_object_object_add(object, name, json_object_new_uint64(value));
}

void
out_add_i64(struct json_object *object, const char *name, int64_t value)
{
	json_object_object_add(object, name, json_object_new_int64(value));
}

void
out_add_text(struct json_object *object, const char *name, const char *text)
{
	json_object_object_add(object, name, json_object_new_string(text));
}
