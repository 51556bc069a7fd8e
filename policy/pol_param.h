/* SPDX-License-Identifier: MIT
 *
 * "key=value,key=value" into numbers, by a table of the keys a policy knows.
 */
#ifndef POL_PARAM_H
#define POL_PARAM_H

#include <stdint.h>

struct pol_param {
	const char *key;
	uint32_t min, max;
	uint32_t *value; /* holds the default before, the value afterwards */
};

/* text may be NULL or empty. => 0; -EINVAL for an unknown key, no number or a number out of range,
 * and then no value has been written. */
int pol_params_parse(const char *text, const struct pol_param *table, unsigned n);

#endif
