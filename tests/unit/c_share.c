/* SPDX-License-Identifier: MIT
 *
 * Objects that several see: which pages nobody covers, who pays, what is wired, and what names
 * keep.
 */
#include "share_fixture.h"

#include <stdio.h>

#include "region/allocate.h"

/* The runs of [from, end) that nothing but `except` covers, as text. */
static void
expect_uncovered(struct vm_object *o, const struct vm_mapping *except, uint64_t from, uint64_t end,
    const char *want)
{
	char text[256] = "";
	uint64_t low, high;

	for (; vm_object_uncovered(o, except, from, end, &low, &high); from = high) {
		assert_true(from <= low && low < high && high <= end);
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%llu-%llu",
		    text[0] ? " " : "", (unsigned long long)low, (unsigned long long)high);
	}
	assert_string_equal(text, want);
}

/* Covers in every position: at an end, in the middle, side by side in either order, one over the
 * other, and none. */
static void
uncovered_runs(void **state)
{
	struct vm_object *o = share_make(100);
	struct vm_mapping *m = o->mappings;
	struct named_entry *a, *b, *c;

	(void)state;
	expect_uncovered(o, NULL, 0, 100, "");
	expect_uncovered(o, m, 0, 100, "0-100");
	expect_uncovered(o, m, 7, 7, "");
	assert_int_equal(share_map(1, o, 40, 50), 0);
	assert_int_equal(share_map(2, o, 30, 40), 0);
	expect_uncovered(o, m, 0, 100, "0-30 50-100");
	expect_uncovered(o, m, 35, 45, "");
	expect_uncovered(o, m, 49, 51, "50-51");
	a = share_name_make(o, 90, 100, 1);
	b = share_name_make(o, 0, 10, 2);
	c = share_name_make(o, 45, 60, 3);
	expect_uncovered(o, m, 0, 100, "10-30 60-90");
	expect_uncovered(o, m, 5, 20, "10-20");
	share_unmap(1, 40, 50);
	expect_uncovered(o, m, 0, 100, "10-30 40-45 60-90");
	expect_uncovered(o, NULL, 0, 100, "");
	share_unmap(0, 0, 100);
	expect_uncovered(o, NULL, 0, 100, "10-30 40-45 60-90");
	assert_int_equal(share_name_end(a), 0);
	assert_int_equal(share_name_end(c), 0);
	expect_uncovered(o, NULL, 0, 100, "10-30 40-100");
	assert_int_equal(share_name_end(b), 0);
	expect_uncovered(o, NULL, 0, 100, "0-30 40-100");
}

/* A mapping that has given all back stays on the list as long as somebody has a reference. No walk
 * meets it. */
static void
empty_mapping(void **state)
{
	struct vm_object *o = share_make(16);
	struct vm_mapping *empty;
	const struct mapper *found;
	struct mapper_walk w;
	unsigned count = 0;

	(void)state;
	assert_int_equal(share_map(1, o, 4, 8), 0);
	empty = vm_mapping_get(o->mappings->next);
	share_unmap(1, 4, 8);
	assert_ptr_equal(o->mappings->next, empty);
	assert_true(empty->first == empty->end && empty->first == 8);
	mapper_walk_begin(&w, o, 0, 16);
	while ((found = mapper_walk_next(&w)) != NULL) {
		assert_true(found->low < found->high);
		assert_ptr_equal(found->task, share.tasks[0]);
		count++;
	}
	mapper_walk_end(&w);
	assert_int_equal(count, 1);
	vm_mapping_put(empty);
	assert_null(o->mappings->next);
}

/* Pages go back at the front, at the end and in the middle; only what nobody keeps is discarded. */
static void
withdraw_and_split(void **state)
{
	struct vm_object *o = share_make(64);
	struct vm_mapping *m = o->mappings, *upper;

	(void)state;
	assert_int_equal(share_map(1, o, 0, 20), 0);
	share_fill(o, 0, 64);
	share_unmap(0, 0, 4);
	assert_true(m->first == 4 && m->end == 64);
	assert_int_equal(unit_level(&share.unit, STAT_PAGES_INTERNAL), 64);
	share_unmap(0, 60, 64);
	/* What has been above is a mapping of its own, for a moment. */
	assert_true(m->first == 4 && m->end == 60 && o->cover_count == 2);
	assert_int_equal(unit_level(&share.unit, STAT_PAGES_INTERNAL), 60);
	share_unmap(0, 16, 30);
	assert_int_equal(o->cover_count, 3);
	upper = o->mappings->next->next;
	assert_true(m->first == 4 && m->end == 16 && upper->first == 30 && upper->end == 60);
	assert_true(upper->base == m->base && upper->task == share.tasks[0]);
	assert_int_equal(load_relaxed(&upper->references), 1);
	assert_int_equal(load_relaxed(&m->references), 1);
	/* Task 1 keeps 16 to 20. */
	assert_int_equal(unit_level(&share.unit, STAT_PAGES_INTERNAL), 50);
	expect_uncovered(o, NULL, 0, 64, "20-30 60-64");
	share_task_end(1);
	assert_int_equal(unit_level(&share.unit, STAT_PAGES_INTERNAL), 42);
	share_task_end(0);
	assert_int_equal(unit_level(&share.unit, STAT_PAGES_INTERNAL), 0);
}

static void
expect_pays(unsigned n, struct vm_object *o, uint64_t pages, uint64_t shares)
{
	const struct bill *bill = &share.tasks[n]->bill;

	assert_ptr_equal(o->owner, share.tasks[n]);
	assert_ptr_equal(o->bill, bill);
	for (unsigned i = 0; i < ARRAY_LEN(share.tasks); i++) {
		if (!share.tasks[i])
			continue;
		assert_int_equal(load_relaxed(&share.tasks[i]->objects), i == n);
		assert_int_equal(ledger_pages(&share.tasks[i]->bill.ledger, PAGER_LEDGER_INTERNAL),
		    i == n ? pages : 0);
		assert_int_equal(
		    ledger_pages(&share.tasks[i]->bill.ledger, PAGER_LEDGER_PAGE_TABLE),
		    (i == n ? o->populated * TABLE_BLOCK_BYTES : 0) +
			share.tasks[i]->map.room * sizeof(struct vm_entry));
		/* The unit's object is of the first one's user. */
		assert_int_equal(load_relaxed(&share.tasks[i]->bill.account->used[SHARE_OBJECTS]),
		    (i == 0) + (i == n));
	}
	assert_int_equal(load_relaxed(&bill->account->used[SHARE_DESCRIPTORS]), shares);
	share_books_agree();
}

/* The maker ends first, with others that map; the one that pays is always one that maps. */
static void
owner_moves(void **state)
{
	struct vm_object *o = share_make(32);
	/* Task 0's user is the unit's, too, which has an object. */
	uint64_t other = SESSION_DESCRIPTORS + 1, maker = 2 * other;

	(void)state;
	share_fill(o, 0, 8);
	share_wire(0, 0, 2);
	expect_pays(0, o, 8, maker);
	assert_int_equal(share_map(1, o, 0, 32), 0);
	assert_int_equal(share_map(2, o, 2, 32), 0);
	expect_pays(0, o, 8, maker);
	share_unmap(0, 1, 32);
	expect_pays(0, o, 8, maker);
	share_task_end(0);
	expect_pays(1, o, 8, other);
	/* Nobody else has wired them. */
	assert_int_equal(unit_level(&share.unit, STAT_FRAMES_WIRED), 0);
	share_wire(2, 3, 5);
	share_task_end(1);
	expect_pays(2, o, 6, other);
	assert_int_equal(ledger_pages(&share.tasks[2]->bill.ledger, PAGER_LEDGER_WIRED_MEM), 2);
}

/* Who sees a page of it does not come to pay for what another uses. */
static void
owner_sees_most(void **state)
{
	struct vm_object *o = share_make(32);

	(void)state;
	share_fill(o, 0, 8);
	assert_int_equal(share_map(1, o, 0, 1), 0);
	assert_int_equal(share_map(2, o, 0, 8), 0);
	share_task_end(0);
	expect_pays(2, o, 8, SESSION_DESCRIPTORS + 1);
	/* As long as it sees anything, though another sees more. */
	assert_int_equal(share_map_at(1, o, 0, 8, 64), 0);
	share_unmap(2, 1, 8);
	expect_pays(2, o, 8, SESSION_DESCRIPTORS + 1);
	share_task_end(2);
	expect_pays(1, o, 8, SESSION_DESCRIPTORS + 1);
}

/* Covers side by side, the last one first: each look leads over one. */
static void
covers_backwards(void **state)
{
	struct vm_object *o = share_make(32);

	(void)state;
	for (unsigned i = 16; i-- > 8;)
		assert_int_equal(share_map_at(1, o, i, i + 1, 64 + i), 0);
	expect_uncovered(o, o->mappings, 0, 32, "0-8 16-32");
	expect_uncovered(o, o->mappings, 8, 16, "");
	expect_uncovered(o, o->mappings, 10, 17, "16-17");
}

/* The maker ends last: it has paid all the time. */
static void
owner_stays(void **state)
{
	struct vm_object *o = share_make(32);

	(void)state;
	share_fill(o, 0, 8);
	assert_int_equal(share_map(1, o, 0, 8), 0);
	share_task_end(1);
	expect_pays(0, o, 8, 2 * (SESSION_DESCRIPTORS + 1));
}

/* With only a name left the maker pays, dead as it is, until somebody maps. */
static void
owner_is_dead(void **state)
{
	struct vm_object *o = share_make(32);
	struct task *maker = task_get(share.tasks[0]);
	struct named_entry *n = share_name_make(o, 0, 16, 7);

	(void)state;
	share_fill(o, 0, 32);
	share_task_end(0);
	assert_ptr_equal(o->owner, maker);
	assert_int_equal(ledger_pages(&maker->bill.ledger, PAGER_LEDGER_INTERNAL), 16);
	assert_int_equal(share_map(1, o, 0, 16), 0);
	expect_pays(1, o, 16, SESSION_DESCRIPTORS + 1);
	assert_int_equal(load_relaxed(&maker->objects), 0);
	assert_int_equal(load_relaxed(&maker->references), 1);
	task_put(maker);
	assert_int_equal(share_name_end(n), 0);
	share_task_end(1);
	assert_int_equal(unit_level(&share.unit, STAT_PAGES_INTERNAL), 0);
}

/* Names and mappings together are no more than that, and a refusal leaves all as it is. */
static void
covers_max(void **state)
{
	static struct named_entry *names[COVERS_MAX];
	struct vm_object *o = share_make(32);
	struct range middle = share_pages_of(0, 8, 16);
	struct named_range range = { o, 0, 8, true, false };
	struct named_entry *n;
	unsigned references;
	uint64_t used;

	(void)state;
	for (unsigned i = 0; i + 1 < COVERS_MAX; i++)
		names[i] = share_name_make(o, 0, 8, i);
	assert_int_equal(o->cover_count, COVERS_MAX);
	references = load_relaxed(&o->references);
	used = share_used(&share.unit.daemon->shares, SHARE_DESCRIPTORS);
	assert_int_equal(
	    named_entry_create(share.unit.daemon, &range, -1,
		&(struct named_identity){ 1u << 20, 1 }, share.tasks[1]->bill.account, &n),
	    -EMFILE);
	assert_int_equal(share_map(1, o, 0, 8), -ENOMEM);
	assert_int_equal(region_deallocate_begin(&middle), -ENOMEM);
	assert_int_equal(share.tasks[0]->map.count, 1);
	assert_int_equal(share.tasks[1]->map.count, 0);
	assert_true(o->mappings->first == 0 && o->mappings->end == 32);
	assert_int_equal(load_relaxed(&o->references), references);
	assert_int_equal(share_used(&share.unit.daemon->shares, SHARE_DESCRIPTORS), used);
	for (unsigned i = 0; i + 1 < COVERS_MAX; i++)
		assert_int_equal(share_name_end(names[i]), 0);
	assert_int_equal(share_map(1, o, 0, 8), 0);
}

static bool
name_find(uint64_t inode, uint64_t born_ns, struct named_range *ret)
{
	return named_entry_find(share.unit.daemon, &(struct named_identity){ inode, born_ns }, ret);
}

/* A name is found by its identity as long as it is there, and keeps its pages. */
static void
names(void **state)
{
	struct vm_object *o = share_make(32);
	struct named_range found;
	struct named_entry *a = share_name_make(o, 4, 8, 1),
			   *b = share_name_make(o, 0, 32, 1 + NAMED_CHAINS);

	(void)state;
	assert_int_equal(share.unit.daemon->named.count, 2);
	assert_true(name_find(1, 1, &found));
	assert_true(found.object == o && found.first == 4 && found.end == 8 && found.is_writable);
	vm_object_put(found.object);
	assert_true(name_find(1 + NAMED_CHAINS, 1, &found));
	assert_true(found.first == 0 && found.end == 32);
	vm_object_put(found.object);
	assert_false(name_find(1 + 2 * NAMED_CHAINS, 1, &found));
	/* Of a later pipe, when inode numbers have wrapped. */
	assert_false(name_find(1, 2, &found));
	share_fill(o, 0, 32);
	assert_int_equal(share_name_end(a), 0);
	assert_false(name_find(1, 1, &found));
	assert_true(name_find(1 + NAMED_CHAINS, 1, &found));
	vm_object_put(found.object);
	share_unmap(0, 8, 32);
	assert_int_equal(unit_level(&share.unit, STAT_PAGES_INTERNAL), 32);
	assert_int_equal(share_name_end(b), 24);
	assert_int_equal(share.unit.daemon->named.count, 0);
	assert_int_equal(unit_level(&share.unit, STAT_PAGES_INTERNAL), 8);
}

/* A name may end while another thread maps by it: the daemon ends. Pages that nothing covers may be
 * about to be discarded: they are not mapped again, not even for the time that a refusal takes. */
static void
map_after_the_end(void **state)
{
	struct vm_object *o = share_make(32);
	struct named_entry *n = share_name_make(o, 8, 16, 1);
	struct named_range found;
	unsigned covers;

	(void)state;
	share_fill(o, 0, 32);
	assert_true(name_find(1, 1, &found));
	share_unmap(0, 10, 32);
	assert_int_equal(unit_level(&share.unit, STAT_PAGES_INTERNAL), 16);
	assert_int_equal(share_name_end(n), 6);
	covers = o->cover_count;
	assert_int_equal(share_map(1, o, 8, 16), -EBADF);
	assert_int_equal(share_map(1, o, 12, 16), -EBADF);
	assert_int_equal(o->cover_count, covers);
	assert_int_equal(share.tasks[1]->map.count, 0);
	/* What the maker still has can be seen. */
	assert_int_equal(share_map(1, o, 8, 10), 0);
	assert_int_equal(share_map(1, o, 8, 10), -EEXIST);
	vm_object_put(found.object);
}

/* Pages that two have wired stay wired until the second unwires. */
static void
two_wirers(void **state)
{
	struct vm_object *o = share_make(16);

	(void)state;
	share_fill(o, 0, 16);
	assert_int_equal(share_map(1, o, 0, 16), 0);
	share_wire(0, 0, 16);
	share_wire(1, 0, 4);
	assert_int_equal(unit_level(&share.unit, STAT_FRAMES_WIRED), 16);
	/* Task 1 may have any of them wired, for all that is looked at. */
	share_unwire(0, 0, 16);
	assert_int_equal(unit_level(&share.unit, STAT_FRAMES_WIRED), 16);
	share_unwire(1, 0, 2);
	assert_int_equal(unit_level(&share.unit, STAT_FRAMES_WIRED), 14);
	/* With its last wired page the leftovers go. */
	share_unwire(1, 2, 4);
	assert_int_equal(unit_level(&share.unit, STAT_FRAMES_WIRED), 0);
}

/* Pages that are wired for the sake of another entry do not stay wired when their mapping leaves
 * them: at its front, and where it is split. */
static void
leftovers(void **state)
{
	struct vm_object *o = share_make(16);

	(void)state;
	share_fill(o, 0, 16);
	assert_int_equal(share_map(1, o, 0, 16), 0);
	share_wire(0, 0, 16);
	share_wire(1, 15, 16);
	share_unwire(0, 0, 16);
	assert_int_equal(unit_level(&share.unit, STAT_FRAMES_WIRED), 16);
	share_unmap(1, 0, 4);
	assert_int_equal(unit_level(&share.unit, STAT_FRAMES_WIRED), 12);
	/* The lower part has nothing wired any more. */
	share_unmap(1, 8, 9);
	assert_int_equal(unit_level(&share.unit, STAT_FRAMES_WIRED), 7);
	share_task_end(1);
	assert_int_equal(unit_level(&share.unit, STAT_FRAMES_WIRED), 0);
}

/* At no moment of a split does a part look as if nothing were wired in it. */
static void
split_keeps_wired(void **state)
{
	struct vm_object *o = share_make(16);
	struct vm_mapping *lower = o->mappings, *upper = vm_mapping_blank();
	struct vm_map *m = &share.tasks[0]->map;

	(void)state;
	share_fill(o, 0, 16);
	share_wire(0, 12, 16);
	lock_acquire(&m->lock);
	assert_int_equal(vm_map_wired_above(m, UNIT_BASE + 8 * PAGE, lower), 4 * PAGE);
	assert_int_equal(vm_map_wired_above(m, UNIT_BASE + 14 * PAGE, lower), 2 * PAGE);
	assert_int_equal(vm_map_wired_above(m, UNIT_BASE + 8 * PAGE, upper), 0);
	assert_int_equal(vm_map_reserve(m), 0);
	assert_true(vm_mapping_split_locked(lower, 8, 4 * PAGE, upper));
	lock_acquire(&o->lock);
	assert_true(vm_object_wired_elsewhere_locked(o, lower, 13));
	assert_false(vm_object_wired_elsewhere_locked(o, upper, 2));
	lock_release(&o->lock);
	vm_map_clip(m, UNIT_BASE + 8 * PAGE, UNIT_BASE + 16 * PAGE);
	vm_mapping_get(lower);
	vm_map_remap(m, UNIT_BASE + 8 * PAGE, UNIT_BASE + 16 * PAGE, lower, upper);
	lock_release(&m->lock);
	vm_mapping_put(lower);
	assert_int_equal(load_relaxed(&upper->wired_bytes), 4 * PAGE);
	assert_int_equal(load_relaxed(&lower->wired_bytes), 0);
	assert_int_equal(m->wired_bytes, 4 * PAGE);
	share_unmap(0, 13, 14);
	assert_int_equal(unit_level(&share.unit, STAT_FRAMES_WIRED), 3);
	assert_int_equal(m->wired_bytes, 3 * PAGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(uncovered_runs, share_start, share_stop),
		cmocka_unit_test_setup_teardown(empty_mapping, share_start, share_stop),
		cmocka_unit_test_setup_teardown(withdraw_and_split, share_start, share_stop),
		cmocka_unit_test_setup_teardown(owner_moves, share_start, share_stop),
		cmocka_unit_test_setup_teardown(owner_sees_most, share_start, share_stop),
		cmocka_unit_test_setup_teardown(covers_backwards, share_start, share_stop),
		cmocka_unit_test_setup_teardown(owner_stays, share_start, share_stop),
		cmocka_unit_test_setup_teardown(owner_is_dead, share_start, share_stop),
		cmocka_unit_test_setup_teardown(covers_max, share_start, share_stop),
		cmocka_unit_test_setup_teardown(names, share_start, share_stop),
		cmocka_unit_test_setup_teardown(map_after_the_end, share_start, share_stop),
		cmocka_unit_test_setup_teardown(two_wirers, share_start, share_stop),
		cmocka_unit_test_setup_teardown(leftovers, share_start, share_stop),
		cmocka_unit_test_setup_teardown(split_keeps_wired, share_start, share_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
