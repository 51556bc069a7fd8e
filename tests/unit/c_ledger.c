/* SPDX-License-Identifier: MIT
 *
 * Ledgers: each class of page is in the entries that XNU's equations want, whatever moves; credits
 * and maxima; objects that stand on the bill in another way, and pages that are reusable.
 */
#include "c_unit.h"

static long long
pages(const struct ledger *l, enum pager_ledger_entry entry)
{
	return (long long)ledger_pages(l, entry);
}

static void
equations_hold(const struct ledger *l)
{
	long long footprint = pages(l, PAGER_LEDGER_PHYS_FOOTPRINT);

	footprint -= pages(l, PAGER_LEDGER_INTERNAL) + pages(l, PAGER_LEDGER_INTERNAL_COMPRESSED);
	footprint += pages(l, PAGER_LEDGER_ALTERNATE_ACCOUNTING) +
		     pages(l, PAGER_LEDGER_ALTERNATE_ACCOUNTING_COMPRESSED);
	footprint -= pages(l, PAGER_LEDGER_PURGEABLE_NONVOLATILE) +
		     pages(l, PAGER_LEDGER_PURGEABLE_NONVOLATILE_COMPRESSED);
	footprint -= pages(l, PAGER_LEDGER_TAGGED_FOOTPRINT) +
		     pages(l, PAGER_LEDGER_TAGGED_FOOTPRINT_COMPRESSED);
	footprint -= pages(l, PAGER_LEDGER_IOKIT_MAPPED);
	assert_int_equal(footprint, 0);
	assert_int_equal(pages(l, PAGER_LEDGER_PHYS_MEM), pages(l, PAGER_LEDGER_INTERNAL) +
							      pages(l, PAGER_LEDGER_EXTERNAL) +
							      pages(l, PAGER_LEDGER_REUSABLE));
	/* What is accounted otherwise is in exactly one of these. */
	assert_int_equal(pages(l, PAGER_LEDGER_ALTERNATE_ACCOUNTING),
	    pages(l, PAGER_LEDGER_PURGEABLE_VOLATILE) +
		pages(l, PAGER_LEDGER_PURGEABLE_NONVOLATILE) +
		pages(l, PAGER_LEDGER_TAGGED_FOOTPRINT) +
		pages(l, PAGER_LEDGER_TAGGED_NOFOOTPRINT));
	assert_int_equal(pages(l, PAGER_LEDGER_ALTERNATE_ACCOUNTING_COMPRESSED),
	    pages(l, PAGER_LEDGER_PURGEABLE_VOLATILE_COMPRESSED) +
		pages(l, PAGER_LEDGER_PURGEABLE_NONVOLATILE_COMPRESSED) +
		pages(l, PAGER_LEDGER_TAGGED_FOOTPRINT_COMPRESSED) +
		pages(l, PAGER_LEDGER_TAGGED_NOFOOTPRINT_COMPRESSED));
}

/* Every move between two classes, and back. */
static void
all_moves(void **state)
{
	struct ledger l = { 0 };
	(void)state;

	for (unsigned from = 0; from < LEDGER_CLASS_COUNT; from++)
		for (unsigned to = 0; to < LEDGER_CLASS_COUNT; to++) {
			ledger_post(&l, LEDGER_CLASS_NONE, (enum ledger_class)from, 3);
			equations_hold(&l);
			ledger_post(&l, (enum ledger_class)from, (enum ledger_class)to, 3);
			equations_hold(&l);
			ledger_post(&l, (enum ledger_class)to, LEDGER_CLASS_NONE, 3);
			assert_true(ledger_is_zero(&l));
		}
}

static void
credits_and_maxima(void **state)
{
	struct ledger l = { 0 };
	struct ledger_entry *e = &l.entries[PAGER_LEDGER_PHYS_FOOTPRINT];
	(void)state;

	ledger_post(&l, LEDGER_CLASS_NONE, LEDGER_CLASS_INTERNAL, 10);
	/* Going to the compressor and back neither credits nor debits the footprint. */
	ledger_post(&l, LEDGER_CLASS_INTERNAL, LEDGER_CLASS_INTERNAL_COMPRESSED, 4);
	ledger_post(&l, LEDGER_CLASS_INTERNAL_COMPRESSED, LEDGER_CLASS_INTERNAL, 4);
	assert_int_equal(load_relaxed(&e->credit), 10);
	assert_int_equal(load_relaxed(&l.entries[PAGER_LEDGER_INTERNAL].credit), 14);
	ledger_post(&l, LEDGER_CLASS_INTERNAL, LEDGER_CLASS_NONE, 7);
	assert_int_equal(load_relaxed(&e->balance), 3);
	assert_int_equal(load_relaxed(&e->lifetime_most), 10);
	assert_int_equal(load_relaxed(&e->interval_most), 10);
	ledger_interval_begin(&l);
	assert_int_equal(load_relaxed(&e->interval_most), 3);
	ledger_post(&l, LEDGER_CLASS_NONE, LEDGER_CLASS_INTERNAL, 2);
	assert_int_equal(load_relaxed(&e->interval_most), 5);
	assert_int_equal(load_relaxed(&e->lifetime_most), 10);
	assert_int_equal(load_relaxed(&e->credit), 12);
}

/* --- objects --- */

/* Brings a page of the unit's object to a state without a frame, or to one with a frame. */
static uint32_t
page_fill(struct unit *u, enum page_state to)
{
	struct daemon *d = u->daemon;
	uint32_t frame;

	pageq_lock(d);
	frame = frame_take_locked(d, FRAME_FIRST);
	assert_int_not_equal(frame, FRAME_NONE);
	d->frames.pages[frame].object = u->object->index;
	store_release(&d->frames.pages[frame].word, FRAME_TAKEN | PAGE_BUSY);
	vm_page_commit(d, u->object, frame, PAGE_ABSENT, PAGE_FILLING);
	vm_page_commit(d, u->object, frame, PAGE_FILLING, to == PAGE_WIRED ? to : PAGE_ACTIVE);
	if (to == PAGE_STORED) {
		vm_page_commit(d, u->object, frame, PAGE_ACTIVE, PAGE_INACTIVE);
		vm_page_commit(d, u->object, frame, PAGE_INACTIVE, PAGE_LAUNDRY);
		vm_page_commit(d, u->object, frame, PAGE_LAUNDRY, PAGE_CLEANING);
		vm_page_commit(d, u->object, frame, PAGE_CLEANING, PAGE_STORED);
		frame = FRAME_NONE;
	}
	pageq_unlock(d);
	return frame;
}

static void
page_end(struct unit *u, uint32_t frame)
{
	pageq_lock(u->daemon);
	if (frame == FRAME_NONE)
		vm_page_commit_slot(u->daemon, u->object, PAGE_STORED, PAGE_ABSENT);
	else
		vm_page_commit(u->daemon, u->object, frame,
		    page_word_state(load_acquire(&u->daemon->frames.pages[frame].word)),
		    PAGE_ABSENT);
	pageq_unlock(u->daemon);
}

static void
standings(void **state)
{
	static const struct {
		enum ledger_standing standing;
		enum pager_ledger_entry resident, stored;
		/* Of an active, a wired and a stored page. */
		long long footprint, in_resident, in_stored;
	} rows[] = {
		{ STANDING_PLAIN, PAGER_LEDGER_INTERNAL, PAGER_LEDGER_INTERNAL_COMPRESSED, 3, 2,
		    1 },
		/* Wired pages of volatile memory are billed as nonvolatile. */
		{ STANDING_VOLATILE, PAGER_LEDGER_PURGEABLE_VOLATILE,
		    PAGER_LEDGER_PURGEABLE_VOLATILE_COMPRESSED, 1, 1, 1 },
		{ STANDING_NONVOLATILE, PAGER_LEDGER_PURGEABLE_NONVOLATILE,
		    PAGER_LEDGER_PURGEABLE_NONVOLATILE_COMPRESSED, 3, 2, 1 },
		{ STANDING_TAGGED, PAGER_LEDGER_TAGGED_FOOTPRINT,
		    PAGER_LEDGER_TAGGED_FOOTPRINT_COMPRESSED, 3, 2, 1 },
		{ STANDING_UNCOUNTED, PAGER_LEDGER_TAGGED_NOFOOTPRINT,
		    PAGER_LEDGER_TAGGED_NOFOOTPRINT_COMPRESSED, 0, 2, 1 },
	};
	uint32_t active, wired, stored;
	struct ledger *l;
	struct unit u;
	(void)state;

	unit_start(&u);
	l = &u.task->bill.ledger;
	active = page_fill(&u, PAGE_ACTIVE);
	wired = page_fill(&u, PAGE_WIRED);
	stored = page_fill(&u, PAGE_STORED);
	assert_int_equal(ledger_pages(l, PAGER_LEDGER_PAGES_GRABBED), 3);
	for (size_t from = 0; from < ARRAY_LEN(rows); from++)
		for (size_t to = 0; to < ARRAY_LEN(rows); to++) {
			pageq_lock(u.daemon);
			vm_object_standing_set_locked(u.object, rows[from].standing);
			vm_object_standing_set_locked(u.object, rows[to].standing);
			pageq_unlock(u.daemon);
			equations_hold(l);
			assert_int_equal(pages(l, PAGER_LEDGER_PHYS_FOOTPRINT), rows[to].footprint);
			assert_int_equal(
			    load_relaxed(&u.task->bill.process->footprint), rows[to].footprint);
			assert_int_equal(pages(l, rows[to].resident), rows[to].in_resident);
			assert_int_equal(pages(l, rows[to].stored), rows[to].in_stored);
			assert_int_equal(pages(l, PAGER_LEDGER_INTERNAL), 2);
			assert_int_equal(pages(l, PAGER_LEDGER_WIRED_MEM), 1);
			assert_int_equal(unit_level(&u, STAT_PAGES_VOLATILE),
			    pages(l, PAGER_LEDGER_PURGEABLE_VOLATILE));
		}
	/* Taken from the compressor and given back in another standing. */
	page_end(&u, active);
	page_end(&u, wired);
	page_end(&u, stored);
	assert_true(ledger_is_zero(l));
	for (unsigned c = 0; c < LEDGER_CLASS_COUNT; c++)
		assert_int_equal(u.object->class_pages[c], 0);
	unit_stop(&u);
}

static void
reusable_set(struct unit *u, uint32_t frame, bool is_reusable)
{
	pageq_lock(u->daemon);
	vm_page_reusable_set_locked(u->daemon, u->object, frame, is_reusable);
	pageq_unlock(u->daemon);
	equations_hold(&u->task->bill.ledger);
}

static void
reusable_pages(void **state)
{
	struct ledger *l;
	uint32_t frame;
	struct unit u;
	(void)state;

	unit_start(&u);
	l = &u.task->bill.ledger;
	frame = page_fill(&u, PAGE_ACTIVE);
	reusable_set(&u, frame, true);
	reusable_set(&u, frame, true);
	assert_int_equal(pages(l, PAGER_LEDGER_REUSABLE), 1);
	assert_int_equal(pages(l, PAGER_LEDGER_PHYS_MEM), 1);
	assert_int_equal(pages(l, PAGER_LEDGER_PHYS_FOOTPRINT), 0);
	assert_int_equal(unit_level(&u, STAT_PAGES_REUSABLE), 1);
	assert_int_equal(unit_level(&u, STAT_PAGES_INTERNAL), 0);
	reusable_set(&u, frame, false);
	assert_int_equal(pages(l, PAGER_LEDGER_PHYS_FOOTPRINT), 1);
	/* Stored it is in the footprint again, and so it is when it comes back. */
	reusable_set(&u, frame, true);
	pageq_lock(u.daemon);
	vm_page_commit(u.daemon, u.object, frame, PAGE_ACTIVE, PAGE_INACTIVE);
	vm_page_commit(u.daemon, u.object, frame, PAGE_INACTIVE, PAGE_WIRED);
	pageq_unlock(u.daemon);
	assert_int_equal(pages(l, PAGER_LEDGER_REUSABLE), 0);
	assert_int_equal(pages(l, PAGER_LEDGER_WIRED_MEM), 1);
	assert_int_equal(pages(l, PAGER_LEDGER_PHYS_FOOTPRINT), 1);
	pageq_lock(u.daemon);
	vm_page_commit(u.daemon, u.object, frame, PAGE_WIRED, PAGE_ACTIVE);
	pageq_unlock(u.daemon);
	assert_int_equal(pages(l, PAGER_LEDGER_REUSABLE), 0);
	reusable_set(&u, frame, true);
	pageq_lock(u.daemon);
	vm_page_commit(u.daemon, u.object, frame, PAGE_ACTIVE, PAGE_INACTIVE);
	vm_page_commit(u.daemon, u.object, frame, PAGE_INACTIVE, PAGE_LAUNDRY);
	vm_page_commit(u.daemon, u.object, frame, PAGE_LAUNDRY, PAGE_CLEANING);
	vm_page_commit(u.daemon, u.object, frame, PAGE_CLEANING, PAGE_STORED);
	pageq_unlock(u.daemon);
	equations_hold(l);
	assert_int_equal(pages(l, PAGER_LEDGER_INTERNAL_COMPRESSED), 1);
	assert_int_equal(pages(l, PAGER_LEDGER_PHYS_FOOTPRINT), 1);
	page_end(&u, FRAME_NONE);
	/* A reusable page that is given back is gone from all entries. */
	frame = page_fill(&u, PAGE_ACTIVE);
	assert_int_equal(pages(l, PAGER_LEDGER_REUSABLE), 0);
	reusable_set(&u, frame, true);
	page_end(&u, frame);
	assert_true(ledger_is_zero(l));
	assert_int_equal(unit_level(&u, STAT_PAGES_REUSABLE), 0);
	unit_stop(&u);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_moves),
		cmocka_unit_test(credits_and_maxima),
		cmocka_unit_test(standings),
		cmocka_unit_test(reusable_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
