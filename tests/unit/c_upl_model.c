/* SPDX-License-Identifier: MIT
 *
 * Page lists against a model: each state of a page, each way to make a list, each way to end it.
 */
#include "launder_fixture.h"

#include <errno.h>
#include <fcntl.h>

#include "transit/discard.h"
#include "transit/release.h"
#include "transit/run.h"
#include "upl/upl.h"

enum { PAGE = 5 };

/* What a page is before. */
enum subject {
	ABSENT,
	STORED,
	ACTIVE_DIRTY,
	ACTIVE_CLEAN,
	INACTIVE_DIRTY,
	INACTIVE_CLEAN,
	SPECULATIVE,
	LAUNDRY,
	WIRED,
	BUSY,
	LOST,
	SUBJECTS
};

static bool
is_resident(enum subject s)
{
	return s != ABSENT && s != STORED && s != LOST;
}

static bool
has_copy(enum subject s)
{
	return s == STORED || s == ACTIVE_CLEAN || s == INACTIVE_CLEAN || s == SPECULATIVE;
}

static enum page_state
state_of(enum subject s)
{
	static const enum page_state states[SUBJECTS] = { PAGE_ABSENT, PAGE_STORED, PAGE_ACTIVE,
		PAGE_ACTIVE, PAGE_INACTIVE, PAGE_INACTIVE, PAGE_SPECULATIVE, PAGE_LAUNDRY,
		PAGE_WIRED, PAGE_ACTIVE, PAGE_POISONED };

	return states[s];
}

static void
deactivate(struct vm_object *o, uint64_t index)
{
	pageq_lock(o->daemon);
	assert_true(pageq_deactivate_page_locked(o->daemon, o, index));
	pageq_unlock(o->daemon);
}

/* As a prefetch leaves a page. */
static void
speculative_make(struct vm_object *o, uint64_t index)
{
	struct fill fill = UNIT_FILL(&world.unit);

	page_store(o, index);
	lock_acquire(&o->lock);
	assert_int_equal(fill_begin(o->daemon, o, index, 1, 1, FRAME_READ, &fill), RUN_BEGUN);
	lock_release(&o->lock);
	assert_int_equal(fallocate(o->backing.memfd, 0, (off_t)index * 4096, 4096), 0);
	fill_finish(NULL, &fill, 1, PAGE_SPECULATIVE, true);
}

static void
lost_make(struct vm_object *o, uint64_t index)
{
	struct fill fill = UNIT_FILL(&world.unit);

	lock_acquire(&o->lock);
	assert_int_equal(fill_begin(o->daemon, o, index, 1, 1, FRAME_FIRST, &fill), RUN_BEGUN);
	vm_object_slot_set(o, index, SLOT_POISONED);
	pageq_lock(o->daemon);
	vm_page_commit(o->daemon, o, fill.frames[0], PAGE_FILLING, PAGE_POISONED);
	pageq_unlock(o->daemon);
	lock_release(&o->lock);
	vm_object_put(o);
}

static void
subject_make(struct vm_object *o, uint64_t index, enum subject s)
{
	switch (s) {
	case ABSENT:
		break;
	case STORED:
		page_store(o, index);
		break;
	case SPECULATIVE:
		speculative_make(o, index);
		break;
	case LOST:
		lost_make(o, index);
		break;
	default:
		page_make(o, index, !has_copy(s));
	}
	if (s == INACTIVE_DIRTY || s == INACTIVE_CLEAN)
		deactivate(o, index);
	if (s == LAUNDRY) {
		page_choose(o, index);
		world.worker->chosen--;
	}
	if (s == WIRED || s == BUSY)
		assert_true(vm_page_busy_only(page_at(o, index)));
	if (s == WIRED) {
		pageq_lock(o->daemon);
		pageq_wire_locked(o->daemon, o, slot_frame(load_relaxed(vm_object_slot(o, index))));
		pageq_unlock(o->daemon);
		vm_object_unbusy(o, index, page_at(o, index));
	}
}

/* --- the model --- */

static bool
flags_fit(unsigned flags)
{
	unsigned copyout = UPL_RET_ONLY_DIRTY | UPL_CLEAN_IN_PLACE,
		 fill = UPL_RET_ONLY_ABSENT | UPL_PRECIOUS;

	return !(flags & (flags & UPL_COPYOUT_FROM ? fill : copyout));
}

static bool
model_holds(enum subject s, unsigned flags)
{
	if (s == BUSY || s == LOST)
		return false;
	if (flags & UPL_COPYOUT_FROM)
		return is_resident(s) && (s != WIRED || flags & UPL_HOLD_WIRED) &&
		       !(has_copy(s) && flags & UPL_RET_ONLY_DIRTY);
	if (s == ABSENT)
		return true;
	return !(flags & UPL_RET_ONLY_ABSENT) && (s != WIRED || flags & UPL_HOLD_WIRED);
}

static enum upl_page
model_page(enum subject s)
{
	static const enum upl_page pages[SUBJECTS] = { UPL_PAGE_ABSENT, UPL_PAGE_STORED,
		UPL_PAGE_DIRTY, UPL_PAGE_CLEAN, UPL_PAGE_DIRTY, UPL_PAGE_CLEAN,
		UPL_PAGE_SPECULATIVE, UPL_PAGE_DIRTY, UPL_PAGE_WIRED, UPL_PAGE_BUSY,
		UPL_PAGE_LOST };

	return pages[s];
}

/* What a page is afterwards. */
struct after {
	enum page_state state;
	bool is_dirty;
};

static struct after
as_before(enum subject s)
{
	return (struct after){ state_of(s), is_resident(s) && !has_copy(s) };
}

static struct after
gone(enum page_state state)
{
	return (struct after){ state, false };
}

static struct after
model_commit(enum subject s, unsigned flags, unsigned how)
{
	struct after a = as_before(s);

	if (s == WIRED)
		return a;
	if (flags & UPL_COPYOUT_FROM && !(flags & UPL_CLEAN_IN_PLACE))
		return gone(PAGE_ABSENT);
	if (s == ABSENT && how & UPL_COMMIT_FREE_ABSENT)
		return gone(PAGE_ABSENT);
	if (!is_resident(s)) {
		a.state = how & UPL_COMMIT_SPECULATE    ? PAGE_SPECULATIVE
			  : how & UPL_COMMIT_INACTIVATE ? PAGE_INACTIVE
							: PAGE_ACTIVE;
		a.is_dirty = true;
		return a;
	}
	if (how & UPL_COMMIT_SET_DIRTY || !(flags & UPL_COPYOUT_FROM))
		a.is_dirty = true;
	if (!(flags & UPL_COPYOUT_FROM) && !(how & (UPL_COMMIT_INACTIVATE | UPL_COMMIT_SPECULATE)))
		a.state = PAGE_ACTIVE;
	if (how & UPL_COMMIT_INACTIVATE && a.state == PAGE_ACTIVE)
		a.state = PAGE_INACTIVE;
	return a;
}

static struct after
model_abort(enum subject s, unsigned flags, unsigned how, bool is_wanted)
{
	struct after a = as_before(s);

	if (s == WIRED)
		return a;
	if (how & UPL_ABORT_DUMP_PAGES)
		return gone(PAGE_ABSENT);
	if (s == ABSENT && how & UPL_ABORT_ERROR && is_wanted)
		return gone(PAGE_POISONED);
	if (is_resident(s) && how & UPL_ABORT_REFERENCE)
		a.state = PAGE_ACTIVE;
	/* It may have been written to. */
	if (is_resident(s) && !(flags & UPL_COPYOUT_FROM))
		a.is_dirty = true;
	return a;
}

/* --- and what there is --- */

static void
assert_after(enum subject s, struct after a, bool is_busy)
{
	struct vm_object *o = world.unit.object;
	uint64_t slot = load_relaxed(vm_object_slot(o, PAGE));
	bool copied;

	if (!page_state_is_resident(a.state)) {
		assert_int_equal(slot_kind(slot), a.state == PAGE_ABSENT   ? SLOT_ABSENT
						  : a.state == PAGE_STORED ? SLOT_STORED
									   : SLOT_POISONED);
		copied = slot_kind(slot) == SLOT_STORED;
	} else {
		assert_int_equal(page_state_at(o, PAGE), a.state);
		assert_int_equal(
		    page_at(o, PAGE)->word & (PAGE_BUSY | PAGE_WANTED | PAGE_DIRTY | PAGE_LISTED),
		    (a.is_dirty ? PAGE_DIRTY : 0) | (is_busy ? PAGE_BUSY : 0));
		copied = page_at(o, PAGE)->cref == world_copy(o, PAGE).v;
		assert_true(copied || page_at(o, PAGE)->cref == 0);
		assert_int_equal(copied, !a.is_dirty);
	}
	assert_int_equal(world.is_dropped[PAGE], has_copy(s) && !copied);
}

static void
assert_listed(const struct upl *u, enum subject s, bool holds)
{
	struct vm_object *o = world.unit.object;
	struct daemon *d = o->daemon;
	bool is_filling = s == ABSENT || s == STORED;

	assert_int_equal(u->gathered, 1);
	assert_int_equal(u->pages[0], model_page(s));
	assert_int_equal(upl_holds(u, 0), holds);
	assert_int_equal(u->held, holds);
	assert_int_equal(load_relaxed(&d->frames.listed), holds && s != WIRED);
	if (!holds) {
		assert_after(s, as_before(s), s == BUSY);
		return;
	}
	assert_int_equal(page_state_at(o, PAGE), is_filling ? PAGE_FILLING : state_of(s));
	assert_int_equal(page_at(o, PAGE)->word & (PAGE_BUSY | PAGE_LISTED),
	    s == WIRED ? 0 : PAGE_BUSY | PAGE_LISTED);
	/* It cannot be written to behind the list's back. */
	if (u->flags & UPL_COPYOUT_FROM && model_page(s) == UPL_PAGE_DIRTY)
		assert_true(world.is_read_only[PAGE]);
}

/* One row: a page, a list, its end. */
static void
row_try(enum subject s, unsigned flags, bool commits, unsigned how, bool is_wanted)
{
	struct vm_object *o = world.unit.object;
	bool holds = model_holds(s, flags), met = false;
	struct after a = as_before(s);
	struct upl *u = NULL;

	world.call_count = 0;
	world.is_woken[PAGE] = world.is_dropped[PAGE] = world.is_read_only[PAGE] = false;
	subject_make(o, PAGE, s);
	assert_int_equal(upl_create(o, world.unit.task, UNIT_BASE, PAGE, 1, flags, &u), 0);
	assert_int_equal(upl_gather(u, 10), UPL_ALL);
	assert_listed(u, s, holds);
	if (holds && s != WIRED && is_wanted)
		met = fault_meets(o, PAGE);
	if (holds)
		a = commits ? model_commit(s, flags, how) : model_abort(s, flags, how, met);
	assert_int_equal(commits ? upl_commit(u, 0, 1, how) : upl_abort(u, 0, 1, how), 0);
	assert_int_equal(u->held, 0);
	assert_int_equal(load_relaxed(&o->daemon->frames.listed), 0);
	assert_after(s, a, s == BUSY);
	assert_int_equal(world.is_woken[PAGE], met);
	upl_destroy(u);
	if (s == BUSY)
		vm_object_unbusy(o, PAGE, page_at(o, PAGE));
	vm_object_discard(o, PAGE, 1);
	assert_int_equal(unit_level(&world.unit, STAT_FRAMES_FREE), UNIT_FRAMES);
	assert_int_equal(load_relaxed(&o->references), 2);
}

static void
each_state_each_flag(void **state)
{
	struct upl *u = NULL;
	(void)state;

	world_start();
	watch_client(task_cookie(world.unit.task));
	for (unsigned flags = 0; flags <= UPL_FLAGS; flags++) {
		if (!flags_fit(flags)) {
			assert_int_equal(upl_create(world.unit.object, world.unit.task, UNIT_BASE,
					     PAGE, 1, flags, &u),
			    -EINVAL);
			continue;
		}
		for (enum subject s = 0; s < SUBJECTS; s++) {
			/* Without NOBLOCK it would be waited for. */
			if (s == BUSY && !(flags & UPL_NOBLOCK))
				continue;
			for (unsigned how = 0; how <= UPL_COMMIT_FLAGS; how++)
				row_try(s, flags, true, how, how % 2);
			for (unsigned how = 0; how <= UPL_ABORT_FLAGS; how++) {
				row_try(s, flags, false, how, false);
				row_try(s, flags, false, how, true);
			}
		}
	}
	assert_int_equal(
	    upl_create(world.unit.object, world.unit.task, UNIT_BASE, PAGE, 1, UPL_FLAGS + 1, &u),
	    -EINVAL);
	assert_null(u);
	world_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each_state_each_flag) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
