/* SPDX-License-Identifier: MIT */
#include "policy_core.h"

uint32_t
below(struct core *c, uint32_t n)
{
	c->rng = c->rng * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)(((c->rng >> 32) * n) >> 32);
}

static enum pol_state
core_state(const void *core, pol_page page)
{
	return ((const struct core *)core)->state[page];
}

uint64_t
core_next_use(const void *core, pol_page page)
{
	return ((const struct core *)core)->clock + page % 7;
}

bool
is_min(const struct core *c)
{
	return c->ops->flags & POL_OFFLINE_ONLY;
}

void
core_open(struct core *c, const struct pol_ops *ops, const char *params, uint32_t nframes)
{
	struct pol_env env = {
		.npages = NPAGES, .nframes = nframes, .seed = 7, .state = core_state, .core = c
	};
	size_t bytes;

	*c = (struct core){ .ops = ops, .nframes = nframes, .rng = 12345 };
	env.next_use = is_min(c) ? core_next_use : NULL;
	bytes = ops->footprint(&env, params);
	assert_true(bytes > 0 && bytes <= 512 + 16 * NPAGES);
	c->mem = calloc(1, bytes);
	c->window = calloc(1, pol_window_footprint(NPAGES));
	pol_window_init(c->window, nframes / 3);
	assert_int_equal(ops->init(c->mem, &env, params), 0);
}

void
core_close(struct core *c)
{
	free(c->mem);
	free(c->window);
}

void
core_check(const struct core *c, const char *what)
{
	struct pol_stats stats = { 0 };
	const char *wrong = c->ops->check(c->mem);

	if (wrong != NULL)
		fail_msg("%s after %s: %s", c->ops->name, what, wrong);
	c->ops->stats(c->mem, &stats);
	if (stats.resident != c->resident && policy_find(c->ops->name) == c->ops)
		fail_msg("%s after %s: %u pages are resident, the policy says %u", c->ops->name,
		    what, c->resident, (unsigned)stats.resident);
	if (stats.mapped + stats.inactive > 0)
		assert_int_equal(stats.mapped + stats.inactive, stats.resident);
}

static void
core_unmap(struct core *c, const pol_page *pages, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		assert_true(pages[i] < NPAGES && c->state[pages[i]] != POL_NONRESIDENT);
		c->state[pages[i]] = POL_INACTIVE;
	}
}

void
core_deactivate(struct core *c, unsigned want, uint32_t keep)
{
	pol_page out[BATCH];
	unsigned n;

	if (c->ops->deactivate != NULL)
		n = c->ops->deactivate(c->mem, want, out);
	else
		n = pol_window_deactivate(c->window, keep, want, out);
	assert_true(n <= want);
	core_unmap(c, out, n);
	core_check(c, "deactivate");
}

void
core_evicted(struct core *c, pol_page page)
{
	c->state[page] = POL_NONRESIDENT;
	c->proposed[page] = 0;
	c->resident--;
	pol_window_forget(c->window, page);
	c->ops->done(c->mem, page, POL_EVICTED);
}

void
core_soft(struct core *c, pol_page page, unsigned pf)
{
	c->state[page] = POL_MAPPED;
	pol_window_map(c->window, page);
	c->ops->soft(c->mem, page, pf);
}

void
core_select(struct core *c, unsigned want)
{
	pol_page out[BATCH];
	unsigned n = c->ops->select(c->mem, want, out);

	assert_true(n <= want);
	for (unsigned i = 0; i < n; i++) {
		assert_true(out[i] < NPAGES);
		if (is_min(c))
			continue;
		assert_int_equal(c->state[out[i]], POL_INACTIVE);
		assert_false(c->proposed[out[i]]);
		c->proposed[out[i]] = 1;
	}
	core_check(c, "select");
}

void
core_answer(struct core *c, pol_page page)
{
	if (c->state[page] != POL_INACTIVE)
		return;
	if (!c->proposed[page]) {
		if (below(c, 4) == 0)
			core_evicted(c, page);
		return;
	}
	switch (below(c, 6)) {
	case 0:
		core_soft(c, page, 0);
		c->ops->done(c->mem, page, POL_RESCUED);
		break;
	case 1:
	case 2:
		c->ops->done(c->mem, page, POL_BUSY);
		break;
	case 3:
		core_soft(c, page, 0);
		c->ops->done(c->mem, page, POL_FAILED);
		break;
	default:
		core_evicted(c, page);
	}
	c->proposed[page] = 0;
	core_check(c, "done");
}

static void
core_make_room(struct core *c)
{
	for (unsigned tries = 0; c->resident >= c->nframes && tries < 20000; tries++) {
		pol_page victim;

		core_deactivate(c, tries % 2 ? BATCH : 1, tries < 4 ? c->window->width : 0);
		if (c->ops->select(c->mem, 1, &victim) == 1)
			core_evicted(c, victim);
		else
			core_answer(c, below(c, NPAGES));
	}
	if (c->resident >= c->nframes)
		fail_msg(
		    "%s: no victim, %u of %u frames in use", c->ops->name, c->resident, c->nframes);
}

void
core_touch(struct core *c, pol_page page)
{
	unsigned pf = below(c, 3) == 0 ? PF_WRITE : 0;

	c->clock += 10;
	switch (c->state[page]) {
	case POL_NONRESIDENT:
		if (below(c, 8) == 0)
			pf |= PF_PREFETCH;
		if (c->ops->miss != NULL && below(c, 8) > 0)
			c->ops->miss(c->mem, page, pf);
		core_check(c, "miss");
		core_make_room(c);
		c->state[page] = POL_MAPPED;
		c->resident++;
		pol_window_map(c->window, page);
		c->ops->fault(c->mem, page, pf);
		core_check(c, "fault");
		break;
	case POL_INACTIVE:
		core_soft(c, page, pf);
		if (c->proposed[page])
			c->ops->done(c->mem, page, POL_RESCUED);
		c->proposed[page] = 0;
		core_check(c, "soft");
		break;
	default:
		if (c->ops->write != NULL)
			c->ops->write(c->mem, page);
		if (is_min(c))
			c->ops->soft(c->mem, page, pf);
	}
}

void
core_forget(struct core *c, pol_page page)
{
	c->resident -= c->state[page] != POL_NONRESIDENT;
	c->state[page] = POL_NONRESIDENT;
	c->proposed[page] = 0;
	pol_window_forget(c->window, page);
	c->ops->forget(c->mem, page);
	core_check(c, "forget");
}
