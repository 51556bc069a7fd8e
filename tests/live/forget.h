/* SPDX-License-Identifier: MIT
 *
 * pagerctl files: what it says of the only file there is, and giving that file up.
 */
#ifndef LIVE_FORGET_H
#define LIVE_FORGET_H

#include <json-c/json.h>
#include <string.h>

#include "harness.h"

/* What pagerctl files tells of the only file now, where a statistic may lag behind; 0: there is
 * none.
 */
static inline uint64_t
listed(struct live *d, const char *field)
{
	static char text[1 << 16];
	struct json_object *array, *value;
	uint64_t number = 0;

	REQUIRE(live_pagerctl(d, text, sizeof(text), "files", "--json", NULL) == 0, "%s", text);
	array = json_tokener_parse(text);
	REQUIRE(array, "%s", text);
	if (json_object_array_length(array) > 0) {
		value = json_object_object_get(json_object_array_get_idx(array, 0), field);
		REQUIRE(value, "no %s in %s", field, text);
		number = (uint64_t)json_object_get_int64(value);
	}
	json_object_put(array);
	return number;
}

/* => the exit status of pagerctl files --forget */
static inline int
forget_ask(struct live *d, uint64_t object, char *text, size_t text_size)
{
	char number[24];

	snprintf(number, sizeof(number), "%llu", (unsigned long long)object);
	return live_pagerctl(d, text, text_size, "files", "--forget", number, NULL);
}

static inline void
file_forget(struct live *d, const char *path)
{
	char text[1024];

	REQUIRE(forget_ask(d, listed(d, "object_id"), text, sizeof(text)) == 0, "%s", text);
	REQUIRE(strstr(text, "giving up") && strstr(text, path), "%s", text);
}

#endif
