/* SPDX-License-Identifier: MIT
 *
 * Copies against a model: what places in memory are read as, after every sequence of a few writes,
 * reads, copies, discards, page-outs, and pages that another thread has in transit. Two places are
 * of one object, the third of another task's, of another user. The kernel and the compressor are
 * made by the test: page tables, memory and stored pages are arrays. After each step each place has
 * its content, duplicates are what is below them, no page that something above lacks is writable in
 * page tables, and no stored page is lost or kept.
 */
#include "copy_world.h"

#include <stdio.h>

#include "pageq/page_policy.h"
#include "pageq/pageq.h"
#include "region/unlink.h"
#include "transit/copy_make.h"
#include "transit/discard.h"
#include "transit/leave.h"
#include "transit/release.h"
#include "vm/copy_look.h"

/* --- what is true after each step --- */

static struct vm_page *
row_of(const struct place *p)
{
	uint64_t slot =
	    load_relaxed((_Atomic uint64_t *)(uintptr_t)vm_object_slot(p->object, p->index));

	return slot_kind(slot) == SLOT_RESIDENT ? &world.unit.daemon->frames.pages[slot_frame(slot)]
						: NULL;
}

static const struct place *
below(const struct place *p)
{
	const struct copy_link *l;
	const struct place *found = NULL;

	copies_lock(world.unit.daemon);
	l = copy_link_below_locked(p->object, p->index);
	for (unsigned i = 0; l && i < PLACES; i++)
		if (world.places[i].object == l->lower &&
		    world.places[i].index == l->lower_first + (p->index - l->upper_first))
			found = &world.places[i];
	CHECK(!l || found);
	copies_unlock(world.unit.daemon);
	return found;
}

static uint32_t
content(const struct place *p)
{
	uint64_t slot =
	    load_relaxed((_Atomic uint64_t *)(uintptr_t)vm_object_slot(p->object, p->index));
	const struct place *lower = below(p);

	switch (slot_kind(slot)) {
	case SLOT_RESIDENT:
		return memory_get(p);
	case SLOT_STORED:
		return world.stored[slot_cref(slot).v].value;
	default:
		CHECK(slot == SLOT_ABSENT);
		return lower ? content(lower) : 0;
	}
}

static bool
is_own(const struct place *p)
{
	bool own;

	copies_lock(world.unit.daemon);
	own = copy_page_is_own_locked(p->object, p->index);
	copies_unlock(world.unit.daemon);
	return own;
}

/* Trap 19: compaction finds a stored page by its owner, which changes with a push. */
static void
trap_19_named_by_its_owner(const struct place *p, uint64_t cref)
{
	struct cowner named = world.stored[cref].owner;

	CHECK(cref < STORED_MAX);
	CHECKF(named.v == OF_NOBODY.v || named.v == vm_object_owner(p->object, p->index).v,
	    "%s: compaction does not find place %u", world.trail, (unsigned)(p - world.places));
}

/* Trap 21: the policy has a page by its number, which changes with a push. */
static void
trap_21_the_policy_knows(void)
{
	struct daemon *d = world.unit.daemon;
	const struct page_policy *policy = d->pageq.policies.common;
	struct pol_stats stats = { 0 };
	const char *wrong;
	unsigned count = 0;

	pageq_lock(d);
	for (uint32_t f = 0; f < d->frames.count; f++) {
		enum page_state state = page_word_state(load_relaxed(&d->frames.pages[f].word));

		count += state == PAGE_ACTIVE || state == PAGE_INACTIVE || state == PAGE_LAUNDRY ||
			 state == PAGE_CLEANING;
	}
	wrong = policy->ops->check(policy->memory);
	policy->ops->stats(policy->memory, &stats);
	CHECKF(!wrong, "%s: the policy: %s", world.trail, wrong);
	CHECKF(policy->resident == count && stats.resident == count,
	    "%s: the policy was told of %u pages and has %llu, of %u", world.trail,
	    policy->resident, (unsigned long long)stats.resident, count);
	pageq_unlock(d);
}

static void
look(void)
{
	unsigned used = 0, named = 0;

	for (unsigned i = 0; i < STORED_MAX; i++)
		used += world.stored[i].used;
	for (unsigned i = 0; i < PLACES; i++) {
		struct place *p = &world.places[i];
		struct vm_page *row = row_of(p);
		uint64_t slot = load_relaxed(
		    (_Atomic uint64_t *)(uintptr_t)vm_object_slot(p->object, p->index));
		const struct place *lower = below(p);

		named += slot_kind(slot) == SLOT_STORED;
		if (slot_kind(slot) == SLOT_STORED)
			trap_19_named_by_its_owner(p, slot_cref(slot).v);
		CHECKF(content(p) == p->value, "%s: place %u is %u, not %u", world.trail, i,
		    content(p), p->value);
		CHECKF(!p->writable || !copy_is_lacking(p->object, p->index),
		    "%s: place %u is writable, and something above lacks it", world.trail, i);
		CHECKF(
		    !p->present || row, "%s: place %u is mapped without a frame", world.trail, i);
		if (!row)
			continue;
		named += row->cref != 0 && row->cref != CREF_BELOW.v;
		if (row->cref != 0 && row->cref != CREF_BELOW.v)
			trap_19_named_by_its_owner(p, row->cref);
		CHECKF(!p->writable || load_relaxed(&row->word) & PAGE_DIRTY,
		    "%s: place %u is clean and writable", world.trail, i);
		if (!(load_relaxed(&row->word) & PAGE_DUP))
			continue;
		CHECKF(memory_get(p) == (lower ? content(lower) : 0),
		    "%s: place %u differs from what is below", world.trail, i);
		/* What it was filled from. */
		while (lower && !is_own(lower) && below(lower))
			lower = below(lower);
		CHECKF(!lower || lower->task == p->task,
		    "%s: place %u is a duplicate of another user's", world.trail, i);
	}
	CHECKF(used == named, "%s: %u pages are stored, %u are named", world.trail, used, named);
}

/* --- steps --- */

/* => false: the thread sleeps in a fault */
static bool
touch(struct place *p, bool write)
{
	enum wait_for wait;

	for (unsigned tries = 0; tries < 8; tries++) {
		struct fault f = { .task = p->task, .address = p->address, .thread = 1 };
		enum fault_outcome outcome;

		if (p->present && (!write || p->writable))
			return true;
		f.flags = (write ? UFFD_FAULT_WRITE : 0) | (p->present ? UFFD_FAULT_WP : 0);
		p->waits = true;
		outcome = fault_handle(world.server, &f, &wait);
		if (outcome == FAULT_ANSWERED || (outcome == FAULT_AGAIN && !p->waits))
			continue;
		CHECKF(outcome == FAULT_BUSY || outcome == FAULT_AGAIN, "%s: outcome %d",
		    world.trail, (int)outcome);
		/* Woken before the outcome is known, it would fault again. */
		if (!p->waits)
			continue;
		CHECKF(world.busy >= 0, "%s: it waits for nobody", world.trail);
		world.blocked++;
		return false;
	}
	CHECKF(false, "%s: faults without end", world.trail);
	return false;
}

static void
step_write(struct place *p)
{
	uint32_t page[1024];

	if (!touch(p, true))
		return;
	page_of(++world.values, page);
	memory_put(p, page);
	p->value = world.values;
}

static void
step_read(struct place *p)
{
	if (touch(p, false))
		CHECKF(memory_get(p) == p->value, "%s: reads %u, not %u", world.trail,
		    memory_get(p), p->value);
}

static void
step_copy(struct place *from, struct place *to)
{
	int error = vm_object_copy_range(from->object, from->index, to->object, to->index, 1);

	/* Another user's copy may not come between a page and what was copied from it. */
	CHECK(error == 0 || (error == -EOPNOTSUPP && to->task != from->task));
	to->value = error ? 0 : from->value;
	world.refused += error != 0;
}

static void
step_free(struct place *p)
{
	vm_object_discard(p->object, p->index, 1);
	p->value = 0;
}

static void
step_evict(struct place *p)
{
	struct daemon *d = world.unit.daemon;
	struct hole hole;
	struct victim v;
	bool taken;

	pageq_lock(d);
	taken = pageq_evict_page_locked(d, p->object, p->index, false, &v) == EVICTION_TAKEN;
	pageq_unlock(d);
	if (!taken)
		return;
	if (load_relaxed(&victim_page(d, &v)->word) & PAGE_DIRTY) {
		protect(p->address, 4096, false);
		victim_page(d, &v)->cref =
		    store(memory_get(p), vm_object_owner(p->object, p->index)).v;
		vm_page_flags_clear(victim_page(d, &v), PAGE_DIRTY);
	}
	victims_leave(world.server->stats, &hole, &v, 1);
}

/* Another thread has the page in transit. */
static void
step_hold(struct place *p)
{
	world.busy = (int)(p - world.places);
	world.row = row_of(p);
	lock_acquire(&p->object->lock);
	if (world.row)
		CHECK(vm_page_busy_only(world.row));
	else
		vm_object_hole_begin(p->object, &world.hole, p->index, p->index + 1);
	lock_release(&p->object->lock);
}

static void
step_let_go(void)
{
	struct place *p = &world.places[world.busy];

	world.busy = -1;
	if (world.row)
		vm_object_unbusy(p->object, p->index, world.row);
	else
		vm_object_hole_close(p->object, &world.hole);
	for (unsigned i = 0; i < PLACES; i++)
		CHECKF(!world.places[i].waits, "%s: nobody wakes place %u", world.trail, i);
}

/* The page goes out of all links, for a page list. */
static void
step_own(struct place *p)
{
	assert_int_equal(pages_unlink(p->task, 0, p->object, p->index, p->index + 1), 0);
	CHECKF(!vm_object_has_links(p->object, p->index, 1), "%s: it has links", world.trail);
}

enum {
	WRITE,
	READ = 3,
	FREE = 6,
	EVICT = 9,
	HOLD = 12,
	LET_GO = 15,
	COPY,
	OWN = COPY + 6,
	STEPS = OWN + 3
};
static const unsigned char pairs[6][2] = { { 0, 1 }, { 0, 2 }, { 1, 0 }, { 1, 2 }, { 2, 0 },
	{ 2, 1 } };

/* => false: it cannot be done now */
static bool
step(unsigned what)
{
	struct place *p = &world.places[what % 3];
	bool is_held = world.busy >= 0;

	if (is_held ? (what >= FREE && what < EVICT) || (what >= HOLD && what != LET_GO)
		    : what == LET_GO)
		return false;
	world.steps++;
	snprintf(world.trail + strlen(world.trail), sizeof(world.trail) - strlen(world.trail),
	    " %u", what);
	if (what < READ)
		step_write(p);
	else if (what < FREE)
		step_read(p);
	else if (what < EVICT)
		step_free(p);
	else if (what < HOLD)
		step_evict(p);
	else if (what < LET_GO)
		step_hold(p);
	else if (what == LET_GO)
		step_let_go();
	else if (what >= OWN)
		step_own(&world.places[what - OWN]);
	else
		step_copy(
		    &world.places[pairs[what - COPY][0]], &world.places[pairs[what - COPY][1]]);
	look();
	return true;
}

static void
begin_anew(void)
{
	if (world.busy >= 0)
		step_let_go();
	trap_21_the_policy_knows();
	for (unsigned i = 0; i < PLACES; i++) {
		vm_object_discard(world.places[i].object, world.places[i].index, 1);
		world.places[i].value = 0;
		world.places[i].waits = false;
	}
	for (unsigned i = 0; i < STORED_MAX; i++)
		CHECKF(!world.stored[i].used, "%s: a stored page is left", world.trail);
	CHECK(world.unit.daemon->copies.count == 0);
	world.trail[0] = '\0';
}

static int
stop(void **state)
{
	begin_anew();
	return copy_world_stop(state);
}

/* Where sequences begin. */
static const unsigned char beginnings[][6] = {
	{ WRITE, COPY, 255 }, { WRITE, COPY, COPY + 1, 255 }, /* two copies of one */
	{ WRITE, COPY, COPY + 3, 255 },                       /* a copy of a copy */
	{ WRITE, EVICT, COPY + 1, COPY + 5, 255 },            /* of what is stored */
	{ COPY, COPY + 3, READ + 2, 255 },                    /* of zeroes, duplicates above */
};

enum { DEPTH = 3 };

static void
every_sequence(void **state)
{
	(void)state;
	for (unsigned b = 0; b < ARRAY_LEN(beginnings); b++)
		for (unsigned n = 0; n < STEPS * STEPS * STEPS; n++) {
			bool done = true;

			for (unsigned i = 0; beginnings[b][i] != 255; i++)
				assert_true(step(beginnings[b][i]));
			for (unsigned i = 0, rest = n; done && i < DEPTH; i++, rest /= STEPS)
				done = step(rest % STEPS);
			begin_anew();
		}
	print_message("%llu steps, %llu faults that waited\n", world.steps, world.blocked);
	assert_true(world.blocked > 0 && world.refused > 0 && world.kept > 0);
}

static void
long_walks(void **state)
{
	(void)state;
	srand(1);
	for (unsigned n = 0; n < 4000; n++) {
		for (unsigned i = 0; i < 40; i++)
			(void)step((unsigned)rand() % STEPS);
		begin_anew();
	}
}

/* Where the store has no room a writer waits, whoever has the frames that are free; nothing has
 * changed, and the copy gets what it lacks when there is room. A copy that has it waits for
 * nothing. */
static void
no_room_in_the_store(void **state)
{
	struct place *source = &world.places[0], *copy = &world.places[1];
	struct fault f = { .task = source->task,
		.address = source->address,
		.thread = 1,
		.flags = UFFD_FAULT_WP };
	enum wait_for wait = WAIT_READ;

	(void)state;
	step_write(source);
	step_copy(source, copy);
	world.is_full = true;
	assert_int_equal(fault_handle(world.server, &f, &wait), FAULT_WAITS);
	assert_int_equal(wait, WAIT_WRITE);
	look();
	world.is_full = false;
	step_write(source);
	assert_int_equal(world.kept, 1);
	look();
	/* Content that is stored already, a duplicate, and what was never touched need no room. */
	world.is_full = true;
	step_evict(source);
	step_copy(source, copy);
	step_write(source);
	look();
	step_copy(source, copy);
	step_read(copy);
	step_write(source);
	look();
	step_free(source);
	step_copy(source, copy);
	step_write(source);
	look();
	assert_int_equal(world.kept, 1);
	world.is_full = false;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_sequence, copy_world_start, stop),
		cmocka_unit_test_setup_teardown(long_walks, copy_world_start, stop),
		cmocka_unit_test_setup_teardown(no_room_in_the_store, copy_world_start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
