/* SPDX-License-Identifier: MIT
 *
 * Objects that several see: which pages nobody covers, who pays, what is wired, and what names
 * keep.
 */
#include "c_unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>

#include "control/teardown.h"
#include "memorystatus/frame_wait.h"
#include "pageq/policies.h"
#include "region/allocate.h"
#include "region/map.h"
#include "region/wire.h"
#include "transit/run.h"
#include "vm/vm_share.h"

#define PAGE 4096ull

static struct unit u;
/* Tasks of three processes, and of three users. */
static struct task *tasks[3];

static int
start(void **state)
{
	(void)state;
	unit_start(&u);
	assert_int_equal(policies_create(u.daemon, u.daemon->options.policy), 0);
	assert_int_equal(frame_wait_create(u.daemon), 0);
	for (unsigned i = 0; i < ARRAY_LEN(tasks); i++)
		tasks[i] = unit_task_of(u.daemon, getuid() + i);
	return 0;
}

/* Pages of all ledgers are the pages of the gauges, whoever pays. */
static void
books_agree(void)
{
	uint64_t internal = 0, wired = 0;

	for (unsigned i = 0; i < ARRAY_LEN(tasks); i++) {
		if (!tasks[i])
			continue;
		internal += ledger_pages(&tasks[i]->bill.ledger, PAGER_LEDGER_INTERNAL);
		wired += ledger_pages(&tasks[i]->bill.ledger, PAGER_LEDGER_WIRED_MEM);
		assert_true((uint64_t)load_relaxed(&tasks[i]->bill.process->resident) ==
			    ledger_pages(&tasks[i]->bill.ledger, PAGER_LEDGER_INTERNAL));
	}
	assert_int_equal(internal, unit_level(&u, STAT_PAGES_INTERNAL));
	assert_int_equal(wired, unit_level(&u, STAT_FRAMES_WIRED));
}

/* Takes a task's memory apart, as at the end of its session, and drops it. */
static void
task_end(unsigned n)
{
	store_release(&tasks[n]->state, TASK_DEAD);
	while (task_teardown(tasks[n]))
		continue;
	assert_int_equal(tasks[n]->map.count, 0);
	task_put(tasks[n]);
	tasks[n] = NULL;
}

static int
stop(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(tasks); i++)
		if (tasks[i])
			task_end(i);
	books_agree();
	assert_int_equal(unit_level(&u, STAT_FRAMES_FREE), UNIT_FRAMES);
	assert_int_equal(u.daemon->tasks.count, 1);
	frame_wait_destroy(u.daemon);
	policies_destroy(u.daemon);
	unit_stop(&u);
	return 0;
}

static struct range
pages_of(unsigned n, uint64_t first, uint64_t last)
{
	struct range range;

	assert_int_equal(
	    range_init(&range, tasks[n], UNIT_BASE + first * PAGE, (last - first) * PAGE), 0);
	range.stats = stats_shard(&u.daemon->stats, 0);
	return range;
}

/* Task 0 gets an object of that many pages, at the unit's base. */
static struct vm_object *
make(uint64_t pages)
{
	struct range range = pages_of(0, 0, pages);
	struct vm_entry e;

	assert_int_equal(region_allocate(&range, true, &e), 0);
	assert_int_equal(e.mapping->object->page_count, pages);
	return e.mapping->object;
}

/* The task maps pages [first, last) where task 0 has them. => 0 or -errno */
static int
map(unsigned n, struct vm_object *o, uint64_t first, uint64_t last)
{
	struct named_range name = { o, first, last, true };
	struct range range = pages_of(n, first, last);
	struct vm_entry e;

	return region_map(&range, &name, first, false, &e);
}

static void
unmap(unsigned n, uint64_t first, uint64_t last)
{
	struct range range = pages_of(n, first, last);

	assert_int_equal(region_deallocate_begin(&range), 0);
	while (!range_is_done(&range))
		region_deallocate(&range);
	books_agree();
}

static void
wire(unsigned n, uint64_t first, uint64_t last)
{
	struct range range = pages_of(n, first, last);

	assert_int_equal(region_wire_begin(&range), 0);
	while (!range_is_done(&range))
		region_wire(&range);
	books_agree();
}

static void
unwire(unsigned n, uint64_t first, uint64_t last)
{
	struct range range = pages_of(n, first, last);

	assert_int_equal(region_unwire_begin(&range), 0);
	while (!range_is_done(&range))
		region_unwire(&range);
	books_agree();
}

static void
fill(struct vm_object *o, uint64_t first, uint64_t last)
{
	for (uint64_t i = first; i < last; i++) {
		struct fill fill = { .task = tasks[0], .base = UNIT_BASE };

		lock_acquire(&o->lock);
		assert_int_equal(fill_begin(u.daemon, o, i, 1, 1, FRAME_FIRST, &fill), RUN_BEGUN);
		lock_release(&o->lock);
		fill_finish(NULL, &fill, 1, PAGE_ACTIVE, false);
	}
	books_agree();
}

static struct named_entry *
name_make(struct vm_object *o, uint64_t first, uint64_t last, uint64_t cookie)
{
	struct named_entry *n = NULL;

	assert_int_equal(named_entry_create(u.daemon, &(struct named_range){ o, first, last, true },
			     -1, cookie, tasks[0]->bill.account, &n),
	    0);
	return n;
}

/* => pages that nobody else keeps */
static uint64_t
name_end(struct named_entry *n)
{
	struct named_range left;
	uint64_t at, gone = 0, pages;
	bool more;

	named_entry_end(u.daemon, n, &left);
	at = left.first;
	do {
		more = region_name_gone(&left, &at, &pages);
		gone += pages;
	} while (more);
	vm_object_put(left.object);
	books_agree();
	return gone;
}

/* The runs of [from, end) that nothing but `except` covers, as text. */
static void
expect_uncovered(struct vm_object *o, const struct vm_mapping *except, uint64_t from, uint64_t end,
    const char *want)
{
	char text[256] = "";
	uint64_t low, high;

	lock_acquire(&o->lock);
	for (; vm_object_uncovered_locked(o, except, from, end, &low, &high); from = high) {
		assert_true(from <= low && low < high && high <= end);
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%llu-%llu",
		    text[0] ? " " : "", (unsigned long long)low, (unsigned long long)high);
	}
	lock_release(&o->lock);
	assert_string_equal(text, want);
}

/* Covers in every position: at an end, in the middle, side by side in either order, one over the
 * other, and none. */
static void
uncovered_runs(void **state)
{
	struct vm_object *o = make(100);
	struct vm_mapping *m = o->mappings;
	struct named_entry *a, *b, *c;

	(void)state;
	expect_uncovered(o, NULL, 0, 100, "");
	expect_uncovered(o, m, 0, 100, "0-100");
	expect_uncovered(o, m, 7, 7, "");
	assert_int_equal(map(1, o, 40, 50), 0);
	assert_int_equal(map(2, o, 30, 40), 0);
	expect_uncovered(o, m, 0, 100, "0-30 50-100");
	expect_uncovered(o, m, 35, 45, "");
	expect_uncovered(o, m, 49, 51, "50-51");
	a = name_make(o, 90, 100, 1);
	b = name_make(o, 0, 10, 2);
	c = name_make(o, 45, 60, 3);
	expect_uncovered(o, m, 0, 100, "10-30 60-90");
	expect_uncovered(o, m, 5, 20, "10-20");
	unmap(1, 40, 50);
	expect_uncovered(o, m, 0, 100, "10-30 40-45 60-90");
	expect_uncovered(o, NULL, 0, 100, "");
	unmap(0, 0, 100);
	expect_uncovered(o, NULL, 0, 100, "10-30 40-45 60-90");
	assert_int_equal(name_end(a), 0);
	assert_int_equal(name_end(c), 0);
	expect_uncovered(o, NULL, 0, 100, "10-30 40-100");
	assert_int_equal(name_end(b), 0);
	expect_uncovered(o, NULL, 0, 100, "0-30 40-100");
}

/* A mapping that has given all back stays on the list as long as somebody has a reference. No walk
 * meets it. */
static void
empty_mapping(void **state)
{
	struct vm_object *o = make(16);
	struct vm_mapping *empty;
	const struct mapper *found;
	struct mapper_walk w;
	unsigned count = 0;

	(void)state;
	assert_int_equal(map(1, o, 4, 8), 0);
	empty = vm_mapping_get(o->mappings->next);
	unmap(1, 4, 8);
	assert_ptr_equal(o->mappings->next, empty);
	assert_true(empty->first == empty->end && empty->first == 8);
	mapper_walk_begin(&w, o, 0, 16);
	while ((found = mapper_walk_next(&w)) != NULL) {
		assert_true(found->low < found->high);
		assert_ptr_equal(found->task, tasks[0]);
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
	struct vm_object *o = make(64);
	struct vm_mapping *m = o->mappings, *upper;

	(void)state;
	assert_int_equal(map(1, o, 0, 20), 0);
	fill(o, 0, 64);
	unmap(0, 0, 4);
	assert_true(m->first == 4 && m->end == 64);
	assert_int_equal(unit_level(&u, STAT_PAGES_INTERNAL), 64);
	unmap(0, 60, 64);
	/* What has been above is a mapping of its own, for a moment. */
	assert_true(m->first == 4 && m->end == 60 && o->cover_count == 2);
	assert_int_equal(unit_level(&u, STAT_PAGES_INTERNAL), 60);
	unmap(0, 16, 30);
	assert_int_equal(o->cover_count, 3);
	upper = o->mappings->next->next;
	assert_true(m->first == 4 && m->end == 16 && upper->first == 30 && upper->end == 60);
	assert_true(upper->base == m->base && upper->task == tasks[0]);
	assert_int_equal(load_relaxed(&upper->references), 1);
	assert_int_equal(load_relaxed(&m->references), 1);
	/* Task 1 keeps 16 to 20. */
	assert_int_equal(unit_level(&u, STAT_PAGES_INTERNAL), 50);
	expect_uncovered(o, NULL, 0, 64, "20-30 60-64");
	task_end(1);
	assert_int_equal(unit_level(&u, STAT_PAGES_INTERNAL), 42);
	task_end(0);
	assert_int_equal(unit_level(&u, STAT_PAGES_INTERNAL), 0);
}

static void
expect_pays(unsigned n, struct vm_object *o, uint64_t pages, uint64_t shares)
{
	const struct bill *bill = &tasks[n]->bill;

	assert_ptr_equal(o->owner, tasks[n]);
	assert_ptr_equal(o->bill, bill);
	for (unsigned i = 0; i < ARRAY_LEN(tasks); i++) {
		if (!tasks[i])
			continue;
		assert_int_equal(load_relaxed(&tasks[i]->objects), i == n);
		assert_int_equal(ledger_pages(&tasks[i]->bill.ledger, PAGER_LEDGER_INTERNAL),
		    i == n ? pages : 0);
		assert_int_equal(ledger_pages(&tasks[i]->bill.ledger, PAGER_LEDGER_PAGE_TABLE),
		    (i == n ? o->populated * TABLE_BLOCK_BYTES : 0) +
			tasks[i]->map.room * sizeof(struct vm_entry));
		/* The unit's object is of the first one's user. */
		assert_int_equal(load_relaxed(&tasks[i]->bill.account->used[SHARE_OBJECTS]),
		    (i == 0) + (i == n));
	}
	assert_int_equal(load_relaxed(&bill->account->used[SHARE_DESCRIPTORS]), shares);
	books_agree();
}

/* The maker ends first, with others that map; the one that pays is always one that maps. */
static void
owner_moves(void **state)
{
	struct vm_object *o = make(32);
	/* Task 0's user is the unit's, too, which has an object. */
	uint64_t other = SESSION_DESCRIPTORS + 1, maker = 2 * other;

	(void)state;
	fill(o, 0, 8);
	wire(0, 0, 2);
	expect_pays(0, o, 8, maker);
	assert_int_equal(map(1, o, 0, 8), 0);
	assert_int_equal(map(2, o, 2, 32), 0);
	expect_pays(0, o, 8, maker);
	unmap(0, 1, 32);
	expect_pays(0, o, 8, maker);
	task_end(0);
	expect_pays(1, o, 8, other);
	/* Nobody else has wired them. */
	assert_int_equal(unit_level(&u, STAT_FRAMES_WIRED), 0);
	wire(2, 3, 5);
	task_end(1);
	expect_pays(2, o, 6, other);
	assert_int_equal(ledger_pages(&tasks[2]->bill.ledger, PAGER_LEDGER_WIRED_MEM), 2);
}

/* The maker ends last: it has paid all the time. */
static void
owner_stays(void **state)
{
	struct vm_object *o = make(32);

	(void)state;
	fill(o, 0, 8);
	assert_int_equal(map(1, o, 0, 8), 0);
	task_end(1);
	expect_pays(0, o, 8, 2 * (SESSION_DESCRIPTORS + 1));
}

/* With only a name left the maker pays, dead as it is, until somebody maps. */
static void
owner_is_dead(void **state)
{
	struct vm_object *o = make(32);
	struct task *maker = task_get(tasks[0]);
	struct named_entry *n = name_make(o, 0, 16, 7);

	(void)state;
	fill(o, 0, 32);
	task_end(0);
	assert_ptr_equal(o->owner, maker);
	assert_int_equal(ledger_pages(&maker->bill.ledger, PAGER_LEDGER_INTERNAL), 16);
	assert_int_equal(map(1, o, 0, 16), 0);
	expect_pays(1, o, 16, SESSION_DESCRIPTORS + 1);
	assert_int_equal(load_relaxed(&maker->objects), 0);
	assert_int_equal(load_relaxed(&maker->references), 1);
	task_put(maker);
	assert_int_equal(name_end(n), 0);
	task_end(1);
	assert_int_equal(unit_level(&u, STAT_PAGES_INTERNAL), 0);
}

/* Names and mappings together are no more than that, and a refusal leaves all as it is. */
static void
covers_max(void **state)
{
	static struct named_entry *names[COVERS_MAX];
	struct vm_object *o = make(32);
	struct range middle = pages_of(0, 8, 16);
	struct named_range range = { o, 0, 8, true };
	struct named_entry *n;
	unsigned references;
	uint64_t used;

	(void)state;
	for (unsigned i = 0; i + 1 < COVERS_MAX; i++)
		names[i] = name_make(o, 0, 8, i);
	assert_int_equal(o->cover_count, COVERS_MAX);
	references = load_relaxed(&o->references);
	used = share_used(&u.daemon->shares, SHARE_DESCRIPTORS);
	assert_int_equal(
	    named_entry_create(u.daemon, &range, -1, 1u << 20, tasks[1]->bill.account, &n),
	    -EMFILE);
	assert_int_equal(map(1, o, 0, 8), -ENOMEM);
	assert_int_equal(region_deallocate_begin(&middle), -ENOMEM);
	assert_int_equal(tasks[0]->map.count, 1);
	assert_int_equal(tasks[1]->map.count, 0);
	assert_true(o->mappings->first == 0 && o->mappings->end == 32);
	assert_int_equal(load_relaxed(&o->references), references);
	assert_int_equal(share_used(&u.daemon->shares, SHARE_DESCRIPTORS), used);
	for (unsigned i = 0; i + 1 < COVERS_MAX; i++)
		assert_int_equal(name_end(names[i]), 0);
	assert_int_equal(map(1, o, 0, 8), 0);
}

/* A name is found by its cookie as long as it is there, and keeps its pages. */
static void
names(void **state)
{
	struct vm_object *o = make(32);
	struct named_range found;
	struct named_entry *a = name_make(o, 4, 8, 1), *b = name_make(o, 0, 32, 1 + NAMED_CHAINS);
	uint64_t cookies[2];
	int pair[2], null;

	(void)state;
	assert_int_equal(u.daemon->named.count, 2);
	assert_true(named_entry_find(u.daemon, 1, &found));
	assert_true(found.object == o && found.first == 4 && found.end == 8 && found.is_writable);
	vm_object_put(found.object);
	assert_true(named_entry_find(u.daemon, 1 + NAMED_CHAINS, &found));
	assert_true(found.first == 0 && found.end == 32);
	vm_object_put(found.object);
	assert_false(named_entry_find(u.daemon, 1 + 2 * NAMED_CHAINS, &found));
	fill(o, 0, 32);
	assert_int_equal(name_end(a), 0);
	assert_false(named_entry_find(u.daemon, 1, &found));
	assert_true(named_entry_find(u.daemon, 1 + NAMED_CHAINS, &found));
	vm_object_put(found.object);
	unmap(0, 8, 32);
	assert_int_equal(unit_level(&u, STAT_PAGES_INTERNAL), 32);
	assert_int_equal(name_end(b), 24);
	assert_int_equal(u.daemon->named.count, 0);
	assert_int_equal(unit_level(&u, STAT_PAGES_INTERNAL), 8);
	/* Cookies are of sockets, and each has its own. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(named_cookie(pair[0], &cookies[0]), 0);
	assert_int_equal(named_cookie(pair[1], &cookies[1]), 0);
	assert_true(cookies[0] != cookies[1]);
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(named_cookie(null, &cookies[0]), -ENOTSOCK);
	close(null);
	close(pair[0]);
	close(pair[1]);
}

/* A holder can end a name with shutdown(2) while another maps it. Pages that nothing covers may be
 * about to be discarded: they are not mapped again, not even for the time that a refusal takes. */
static void
map_after_the_end(void **state)
{
	struct vm_object *o = make(32);
	struct named_entry *n = name_make(o, 8, 16, 1);
	struct named_range found;
	unsigned covers;

	(void)state;
	fill(o, 0, 32);
	assert_true(named_entry_find(u.daemon, 1, &found));
	unmap(0, 10, 32);
	assert_int_equal(unit_level(&u, STAT_PAGES_INTERNAL), 16);
	assert_int_equal(name_end(n), 6);
	covers = o->cover_count;
	assert_int_equal(map(1, o, 8, 16), -EBADF);
	assert_int_equal(map(1, o, 12, 16), -EBADF);
	assert_int_equal(o->cover_count, covers);
	assert_int_equal(tasks[1]->map.count, 0);
	/* What the maker still has can be seen. */
	assert_int_equal(map(1, o, 8, 10), 0);
	assert_int_equal(map(1, o, 8, 10), -EEXIST);
	vm_object_put(found.object);
}

/* Pages that two have wired stay wired until the second unwires. */
static void
two_wirers(void **state)
{
	struct vm_object *o = make(16);

	(void)state;
	fill(o, 0, 16);
	assert_int_equal(map(1, o, 0, 16), 0);
	wire(0, 0, 16);
	wire(1, 0, 4);
	assert_int_equal(unit_level(&u, STAT_FRAMES_WIRED), 16);
	/* Task 1 may have any of them wired, for all that is looked at. */
	unwire(0, 0, 16);
	assert_int_equal(unit_level(&u, STAT_FRAMES_WIRED), 16);
	unwire(1, 0, 2);
	assert_int_equal(unit_level(&u, STAT_FRAMES_WIRED), 14);
	/* With its last wired page the leftovers go. */
	unwire(1, 2, 4);
	assert_int_equal(unit_level(&u, STAT_FRAMES_WIRED), 0);
}

/* Pages that are wired for the sake of another entry do not stay wired when their mapping leaves
 * them: at its front, and where it is split. */
static void
leftovers(void **state)
{
	struct vm_object *o = make(16);

	(void)state;
	fill(o, 0, 16);
	assert_int_equal(map(1, o, 0, 16), 0);
	wire(0, 0, 16);
	wire(1, 15, 16);
	unwire(0, 0, 16);
	assert_int_equal(unit_level(&u, STAT_FRAMES_WIRED), 16);
	unmap(1, 0, 4);
	assert_int_equal(unit_level(&u, STAT_FRAMES_WIRED), 12);
	/* The lower part has nothing wired any more. */
	unmap(1, 8, 9);
	assert_int_equal(unit_level(&u, STAT_FRAMES_WIRED), 7);
	task_end(1);
	assert_int_equal(unit_level(&u, STAT_FRAMES_WIRED), 0);
}

/* At no moment of a split does a part look as if nothing were wired in it. */
static void
split_keeps_wired(void **state)
{
	struct vm_object *o = make(16);
	struct vm_mapping *lower = o->mappings, *upper = vm_mapping_blank();
	struct vm_map *m = &tasks[0]->map;

	(void)state;
	fill(o, 0, 16);
	wire(0, 12, 16);
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
	unmap(0, 13, 14);
	assert_int_equal(unit_level(&u, STAT_FRAMES_WIRED), 3);
	assert_int_equal(m->wired_bytes, 3 * PAGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(uncovered_runs, start, stop),
		cmocka_unit_test_setup_teardown(empty_mapping, start, stop),
		cmocka_unit_test_setup_teardown(withdraw_and_split, start, stop),
		cmocka_unit_test_setup_teardown(owner_moves, start, stop),
		cmocka_unit_test_setup_teardown(owner_stays, start, stop),
		cmocka_unit_test_setup_teardown(owner_is_dead, start, stop),
		cmocka_unit_test_setup_teardown(covers_max, start, stop),
		cmocka_unit_test_setup_teardown(names, start, stop),
		cmocka_unit_test_setup_teardown(map_after_the_end, start, stop),
		cmocka_unit_test_setup_teardown(two_wirers, start, stop),
		cmocka_unit_test_setup_teardown(leftovers, start, stop),
		cmocka_unit_test_setup_teardown(split_keeps_wired, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
