/* SPDX-License-Identifier: MIT
 *
 * Policy parameters: runs at start and on tune(), never per page.
 */
#include "pol_param.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static const struct pol_param *
pol_param_find(const struct pol_param *table, unsigned n, const char *key, size_t length)
{
	for (unsigned i = 0; i < n; i++)
		if (strlen(table[i].key) == length && memcmp(table[i].key, key, length) == 0)
			return &table[i];
	return NULL;
}

/* Reads one "key=digits" at *text, and steps over it and a comma behind it. */
static int
pol_param_next(const char **text, const struct pol_param *table, unsigned n, bool store)
{
	const char *key = *text, *p = key + strcspn(key, "=,");
	const struct pol_param *param;
	uint64_t value = 0;

	param = pol_param_find(table, n, key, (size_t)(p - key));
	if (param == NULL || *p != '=' || p[1] < '0' || p[1] > '9')
		return -EINVAL;
	for (p++; *p >= '0' && *p <= '9'; p++) {
		value = value * 10 + (uint64_t)(*p - '0');
		if (value > param->max)
			return -EINVAL;
	}
	if (value < param->min || (*p != '\0' && (*p != ',' || p[1] == '\0')))
		return -EINVAL;
	if (store)
		*param->value = (uint32_t)value;
	*text = *p == ',' ? p + 1 : p;
	return 0;
}

int
pol_params_parse(const char *text, const struct pol_param *table, unsigned n)
{
	for (int store = 0; text != NULL && store < 2; store++) {
		const char *p = text;

		while (*p != '\0') {
			int error = pol_param_next(&p, table, n, store == 1);

			if (error != 0)
				return error;
		}
	}
	return 0;
}
