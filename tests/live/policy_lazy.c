/* SPDX-License-Identifier: MIT
 *
 * A policy from a shared object that never proposes a page: the daemon must manage without. With
 * the parameter "broken" its check() fails, and `pagerctl check` must report that.
 */
#include "policy.h"

static size_t
lazy_footprint(const struct pol_env *env, const char *params)
{
	(void)env;
	(void)params;
	return sizeof(bool);
}

static int
lazy_init(void *mem, const struct pol_env *env, const char *params)
{
	(void)env;
	*(bool *)mem = params != NULL && *params == 'b';
	return 0;
}

static const char *
lazy_check(const void *mem)
{
	return *(const bool *)mem ? "broken as was asked" : NULL;
}

static void
lazy_event(void *mem, pol_page page, unsigned pf)
{
	(void)mem;
	(void)page;
	(void)pf;
}

static void
lazy_forget(void *mem, pol_page page)
{
	(void)mem;
	(void)page;
}

static unsigned
lazy_propose(void *mem, unsigned want, pol_page *out)
{
	(void)mem;
	(void)want;
	(void)out;
	return 0;
}

static void
lazy_done(void *mem, pol_page page, enum pol_outcome outcome)
{
	(void)mem;
	(void)page;
	(void)outcome;
}

extern const struct pol_ops pagerd_policy;
__attribute__((visibility("default"))) const struct pol_ops pagerd_policy = {
	.abi = POLICY_ABI,
	.name = "lazy",
	.help = "proposes nothing",
	.params = "",
	.footprint = lazy_footprint,
	.init = lazy_init,
	.fault = lazy_event,
	.soft = lazy_event,
	.forget = lazy_forget,
	.deactivate = lazy_propose,
	.select = lazy_propose,
	.done = lazy_done,
	.check = lazy_check,
};
