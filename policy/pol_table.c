/* SPDX-License-Identifier: MIT
 *
 * The table of compiled-in policies (policy.h).
 */
#include "pol_priv.h"

#include <string.h>

static const struct pol_ops *const pol_table[] = {
	&pol_mach2q,
	&pol_fifo,
	&pol_random,
	&pol_lru,
	&pol_clock,
	&pol_clock_hand,
	&pol_twoq,
	&pol_arc,
	&pol_s3fifo,
	&pol_sieve,
	&pol_car,
	&pol_generations,
	&pol_clockpro,
	&pol_min,
};

const struct pol_ops *
policy_at(unsigned i)
{
	return i < sizeof(pol_table) / sizeof(pol_table[0]) ? pol_table[i] : NULL;
}

const char *
policy_expand(const char *text)
{
	return strcmp(text, "default") == 0 ? POLICY_DEFAULT : text;
}

const struct pol_ops *
policy_find(const char *name)
{
	for (unsigned i = 0; policy_at(i) != NULL; i++)
		if (strcmp(policy_at(i)->name, name) == 0)
			return policy_at(i);
	return NULL;
}
