/* SPDX-License-Identifier: MIT
 *
 * A scripted policy.
 */
#include "pageq_script.h"

struct script_world world;

static void
tell(struct script *s, enum told_what what, pol_page page, unsigned value)
{
	assert_true(s->told_count < SCRIPT_ROOM);
	s->told[s->told_count++] = (struct told){ what, page, value };
}

unsigned
told(const struct script *s, enum told_what what, pol_page page)
{
	unsigned count = 0;

	for (unsigned i = 0; i < s->told_count; i++)
		count += s->told[i].what == what && s->told[i].page == page;
	return count;
}

unsigned
told_last(const struct script *s, enum told_what what, pol_page page)
{
	for (unsigned i = s->told_count; i-- > 0;)
		if (s->told[i].what == what && s->told[i].page == page)
			return s->told[i].value;
	fail();
	return 0;
}

static void
script_fault(void *s, pol_page page, unsigned pf)
{
	tell(s, TOLD_FAULT, page, pf);
}

static void
script_soft(void *s, pol_page page, unsigned pf)
{
	tell(s, TOLD_SOFT, page, pf);
}

static void
script_forget(void *s, pol_page page)
{
	tell(s, TOLD_FORGET, page, 0);
}

static void
script_done(void *s, pol_page page, enum pol_outcome outcome)
{
	tell(s, TOLD_DONE, page, outcome);
}

static void
script_miss(void *s, pol_page page, unsigned pf)
{
	tell(s, TOLD_MISS, page, pf);
}

static void
script_resize(void *s, uint32_t nframes)
{
	tell(s, TOLD_RESIZE, POL_NONE, nframes);
}

static unsigned
propose(const pol_page *pages, unsigned count, unsigned *at, pol_page *out)
{
	if (*at == count || pages[(*at)++] == POL_NONE)
		return 0;
	*out = pages[*at - 1];
	return 1;
}

static unsigned
script_deactivate(void *memory, unsigned want, pol_page *out)
{
	struct script *s = memory;

	tell(s, TOLD_DEACTIVATE, POL_NONE, want);
	return propose(s->deactivates, s->deactivate_count, &s->deactivated, out);
}

static unsigned
script_select(void *memory, unsigned want, pol_page *out)
{
	struct script *s = memory;

	assert_int_equal(want, 1);
	tell(s, TOLD_SELECT, POL_NONE, want);
	return propose(s->selects, s->select_count, &s->selected, out);
}

const struct pol_ops script_ops = {
	.abi = POLICY_ABI,
	.name = "script",
	.help = "does what the test says",
	.fault = script_fault,
	.soft = script_soft,
	.forget = script_forget,
	.done = script_done,
	.miss = script_miss,
	.resize = script_resize,
	.deactivate = script_deactivate,
	.select = script_select,
}, keeping_ops = {
	.abi = POLICY_ABI,
	.name = "keeping",
	.help = "keeps a target of inactive pages",
	.flags = POL_KEEPS_TARGET,
	.fault = script_fault,
	.soft = script_soft,
	.forget = script_forget,
	.done = script_done,
	.resize = script_resize,
	.deactivate = script_deactivate,
	.select = script_select,
};

void
script_init(struct script *s, const struct pol_ops *ops)
{
	*s = (struct script){ .policy = { .magic = PAGE_POLICY_MAGIC,
				  .ops = ops,
				  .memory = s,
				  .daemon = world.unit.daemon,
				  .missed = POL_NONE } };
	store_relaxed(&s->policy.references, 1);
}

void
selects(struct script *s, pol_page page)
{
	s->selects[s->select_count++] = page;
}

void
deactivates(struct script *s, pol_page page)
{
	s->deactivates[s->deactivate_count++] = page;
}

int
script_start(void **state)
{
	struct policies *p;
	(void)state;

	unit_start(&world.unit);
	p = &world.unit.daemon->pageq.policies;
	script_init(&world.common, &script_ops);
	script_init(&world.own, &script_ops);
	p->common = &world.common.policy;
	p->own = calloc(world.unit.daemon->tasks.room, sizeof(*p->own));
	assert_non_null(p->own);
	world.aged_count = 0;
	return 0;
}

int
script_stop(void **state)
{
	(void)state;
	free(world.unit.daemon->pageq.policies.own);
	unit_stop(&world.unit);
	return 0;
}

void
own_begins(void)
{
	world.unit.daemon->pageq.policies.own[world.unit.task->index] = &world.own.policy;
	world.unit.daemon->pageq.policies.own_count = 1;
}

void
pages_make(uint64_t low, uint64_t high, enum page_state state)
{
	for (uint64_t i = low; i < high; i++)
		page_make(&world.unit, i, state);
}

void
pages_end(uint64_t low, uint64_t high)
{
	for (uint64_t i = low; i < high; i++)
		page_end(&world.unit, i);
	assert_int_equal(unit_level(&world.unit, STAT_FRAMES_FREE), UNIT_FRAMES);
}

void
victim_is(const struct victim *v, uint64_t index)
{
	assert_int_equal(v->page, page_name(&world.unit, index));
	assert_int_equal(v->frame, page_frame_number(&world.unit, index));
	assert_ptr_equal(v->object, world.unit.object);
	assert_int_equal(page_state(&world.unit, index), PAGE_LAUNDRY);
}

void
aged_is(unsigned i, uint64_t index)
{
	assert_int_equal(world.aged[i].page, page_name(&world.unit, index));
	assert_int_equal(world.aged[i].frame, page_frame_number(&world.unit, index));
	vm_object_put(world.aged[i].object);
}

long long
counted(enum stat_index index)
{
	return (long long)stats_counter(&world.unit.daemon->stats, index);
}
