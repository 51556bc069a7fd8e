/* SPDX-License-Identifier: MIT
 *
 * Turns "key=value,key=value" into numbers, by a table of the keys that a policy knows.
 */
#ifndef POL_PARAM_H
#define POL_PARAM_H

#include <stdint.h>

struct pol_param {
	const char *key;
	uint32_t min, max;
	uint32_t *value; /* holds the default before, the value afterwards */
};

/* text may be NULL or empty. => 0; -EINVAL for an unknown key, a value that is no number, or a
 * number out of range; then no value has been written. */
int pol_params_parse(const char *text, const struct pol_param *table, unsigned n);

#endif
