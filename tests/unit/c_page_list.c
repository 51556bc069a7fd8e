/* SPDX-License-Identifier: MIT
 *
 * Page lists of clients: what of them is refused, what they take of shares, and when that is given
 * back.
 */
#include "c_unit.h"

#include <sys/mman.h>

#include "control/teardown.h"
#include "memorystatus/frame_wait.h"
#include "pageq/policies.h"
#include "region/allocate.h"
#include "region/behave.h"
#include "region/page_list.h"
#include "region/wire.h"
#include "upl/upl.h"

#define PAGE 4096ull

static struct unit u;
static uint64_t tables; /* of the map, which keeps them */

static int
start(void **state)
{
	struct range range;
	struct vm_entry e;

	(void)state;
	unit_start(&u);
	assert_int_equal(policies_create(u.daemon, u.daemon->options.policy), 0);
	assert_int_equal(park_create(u.daemon), 0);
	assert_int_equal(range_init(&range, u.task, UNIT_BASE, 512 * PAGE), 0);
	assert_int_equal(region_allocate(&range, 0, &e), 0);
	tables = ledger_pages(&u.task->bill.ledger, PAGER_LEDGER_PAGE_TABLE);
	return 0;
}

static uint64_t
wired_used(void)
{
	return share_used(&u.daemon->shares, SHARE_WIRED);
}

static int
stop(void **state)
{
	struct daemon *d = u.daemon;

	(void)state;
	store_release(&u.task->state, TASK_DEAD);
	while (task_teardown(u.task))
		continue;
	assert_null(u.task->lists);
	assert_int_equal(load_relaxed(&u.task->list_count), 0);
	assert_int_equal(wired_used(), 0);
	assert_int_equal(load_relaxed(&u.task->bill.process->wired_promised), 0);
	assert_int_equal(ledger_pages(&u.task->bill.ledger, PAGER_LEDGER_PAGE_TABLE), tables);
	assert_int_equal(load_relaxed(&d->frames.listed), 0);
	assert_int_equal(unit_level(&u, STAT_FRAMES_FREE), UNIT_FRAMES);
	store_relaxed(&u.task->state, TASK_ATTACHING);
	park_destroy(d);
	policies_destroy(d);
	unit_stop(&u);
	return 0;
}

static struct range
range_of(uint64_t first, uint64_t count)
{
	struct range range;

	assert_int_equal(range_init(&range, u.task, UNIT_BASE + first * PAGE, count * PAGE), 0);
	range.stats = stats_shard(&u.daemon->stats, 0);
	return range;
}

static int
begin(uint64_t first, uint64_t count, unsigned flags, struct page_list **ret)
{
	struct range range = range_of(first, count);

	return page_list_begin(&range, flags, ret);
}

/* With all of its pages. */
static struct page_list *
list_make(uint64_t first, uint64_t count, unsigned flags)
{
	struct page_list *l = NULL;
	bool more = true;

	assert_int_equal(begin(first, count, flags, &l), 0);
	while (more)
		assert_int_equal(page_list_gather(l, 0, &more), 0);
	return l;
}

/* What is taken before the pages are is given back as they turn out, and as they go. */
static void
shares_follow_pages(void **state)
{
	struct page_list *l = NULL;

	(void)state;
	assert_int_equal(begin(0, 100, 0, &l), 0);
	assert_int_equal(wired_used(), 100 * PAGE);
	assert_true(ledger_pages(&u.task->bill.ledger, PAGER_LEDGER_PAGE_TABLE) > tables);
	page_list_destroy(l);
	assert_int_equal(wired_used(), 0);
	assert_int_equal(ledger_pages(&u.task->bill.ledger, PAGER_LEDGER_PAGE_TABLE), tables);
	/* Nothing there is resident. */
	l = list_make(0, 100, UPL_COPYOUT_FROM);
	assert_int_equal(wired_used(), 0);
	page_list_destroy(l);
	l = list_make(0, 100, 0);
	assert_int_equal(wired_used(), 100 * PAGE);
	assert_int_equal(page_list_commit(l, 0, 30, 0), 0);
	assert_int_equal(wired_used(), 70 * PAGE);
	assert_int_equal(page_list_commit(l, 90, 11, 0), -EINVAL);
	assert_int_equal(wired_used(), 70 * PAGE);
	assert_int_equal(page_list_abort(l, 30, 30, 0), 0);
	assert_int_equal(wired_used(), 40 * PAGE);
	assert_int_equal(load_relaxed(&u.task->bill.process->wired_promised), 40);
	/* The rest is given up by the end of the task. */
}

static void
limits_are_kept(void **state)
{
	struct process *process = u.task->bill.process;
	struct page_list *l = NULL;

	(void)state;
	store_relaxed(&process->limit_pages, 100);
	assert_int_equal(begin(0, 51, 0, &l), -EAGAIN);
	l = list_make(0, 50, 0);
	assert_int_equal(begin(60, 1, 0, &l), -EAGAIN);
	store_relaxed(&process->limit_pages, 0);
	l = list_make(60, 1, 0);
	/* All frames cannot be wired, whatever the process may have. */
	assert_int_equal(begin(100, 412, 0, &l), 0);
	page_list_destroy(l);
	share_tell(u.daemon, SHARE_WIRED, 100 * PAGE);
	assert_int_equal(begin(100, 50, 0, &l), -EAGAIN);
	assert_int_equal(wired_used(), 51 * PAGE);
	assert_int_equal(load_relaxed(&process->wired_promised), 51);
}

static void
lists_are_counted(void **state)
{
	struct page_list *l;

	(void)state;
	for (unsigned i = 0; i < PAGE_LISTS_MAX; i++)
		list_make(0, 1, UPL_COPYOUT_FROM | UPL_NOBLOCK);
	assert_int_equal(begin(0, 1, UPL_COPYOUT_FROM | UPL_NOBLOCK, &l), -EAGAIN);
	assert_non_null(page_list_find(u.task, PAGE_LISTS_MAX));
	assert_null(page_list_find(u.task, PAGE_LISTS_MAX + 1));
	page_list_destroy(page_list_find(u.task, 7));
	assert_null(page_list_find(u.task, 7));
	assert_int_equal(begin(0, 1, UPL_COPYOUT_FROM | UPL_NOBLOCK, &l), 0);
	assert_int_equal(l->id, PAGE_LISTS_MAX + 1);
}

/* What would wait for pages of the client's own is refused. */
static void
nobody_waits_for_the_client(void **state)
{
	struct page_list *l = list_make(10, 10, 0), *other;
	struct range range;

	(void)state;
	for (uint64_t first = 0; first < 30; first += 5) {
		bool meets = first + 5 > 10 && first < 20;

		range = range_of(first, 5);
		assert_int_equal(page_list_around(&range), meets);
		assert_int_equal(region_may_leave(&range), meets ? -EBUSY : 0);
		if (meets) {
			assert_int_equal(region_wire_begin(&range), -EBUSY);
			assert_int_equal(region_unwire_begin(&range), -EBUSY);
			assert_int_equal(region_deallocate_begin(&range), -EBUSY);
			assert_int_equal(begin(first, 5, 0, &other), -EBUSY);
		}
	}
	other = list_make(15, 10, UPL_NOBLOCK);
	assert_int_equal(other->upl->held, 5);
	page_list_destroy(l);
	page_list_destroy(other);
	range = range_of(0, 30);
	assert_int_equal(region_deallocate_begin(&range), 0);
	while (!range_is_done(&range))
		region_deallocate(&range);
}

/* What it has wired is held as it is. */
static void
wired_pages_are_not_taken(void **state)
{
	struct range range = range_of(0, 8);
	struct page_list *l;

	(void)state;
	assert_int_equal(region_wire_begin(&range), 0);
	region_wire(&range);
	/* The first touch of a wired range. */
	l = list_make(0, 8, UPL_HOLD_WIRED);
	assert_int_equal(page_list_commit(l, 0, 8, 0), 0);
	page_list_destroy(l);
	assert_int_equal(unit_level(&u, STAT_FRAMES_WIRED), 8);
	assert_int_equal(wired_used(), 8 * PAGE);
	l = list_make(0, 8, UPL_HOLD_WIRED);
	assert_int_equal(l->upl->held, 8);
	assert_int_equal(l->upl->busy, 0);
	assert_int_equal(wired_used(), 8 * PAGE);
	assert_int_equal(load_relaxed(&u.daemon->frames.listed), 0);
	assert_int_equal(page_list_abort(l, 0, 8, UPL_ABORT_DUMP_PAGES), 0);
	assert_int_equal(unit_level(&u, STAT_FRAMES_WIRED), 8);
}

static void
lists_end_with_memory(void **state)
{
	struct page_list *l = NULL, *rest = NULL;
	bool more = true;
	uint32_t room;

	(void)state;
	store_relaxed(&u.daemon->frames.free_count, u.daemon->frames.reserved + 20);
	room = frames_available(u.daemon);
	assert_int_equal(room, 20);
	assert_int_equal(begin(0, 30, 0, &l), 0);
	assert_int_equal(page_list_gather(l, 0, &more), 0);
	assert_false(more);
	assert_int_equal(l->upl->count, 20);
	assert_int_equal(l->end, UNIT_BASE + 20 * PAGE);
	assert_int_equal(wired_used(), 20 * PAGE);
	/* Not even one page: there is no list. */
	assert_int_equal(begin(20, 10, 0, &rest), 0);
	assert_int_equal(page_list_gather(rest, 0, &more), -ENOBUFS);
	assert_int_equal(load_relaxed(&u.task->list_count), 1);
	assert_int_equal(wired_used(), 20 * PAGE);
	page_list_destroy(l);
	store_relaxed(&u.daemon->frames.free_count, UNIT_FRAMES);
}

/* Who may not see or change the memory, and what others see, is no list. */
static void
memory_of_other_kinds(void **state)
{
	struct page_list_kind kind;
	struct page_list *l;
	struct range range;
	struct vm_entry e;

	(void)state;
	lock_acquire(&u.task->map.lock);
	u.task->map.entries[0].protection = PROT_READ;
	lock_release(&u.task->map.lock);
	assert_int_equal(begin(0, 4, 0, &l), -EACCES);
	list_make(0, 4, UPL_COPYOUT_FROM);
	assert_int_equal(begin(511, 4, UPL_COPYOUT_FROM, &l), 0);
	assert_int_equal(l->upl->count, 1);
	assert_int_equal(begin(512, 4, UPL_COPYOUT_FROM, &l), -EINVAL);
	assert_int_equal(range_init(&range, u.task, UNIT_BASE + (1ull << 40), 8 * PAGE), 0);
	assert_int_equal(region_allocate(&range, PAGER_WIRE_ALLOC_SHAREABLE, &e), 0);
	assert_int_equal(range_init(&range, u.task, UNIT_BASE + (1ull << 40), 80 * PAGE), 0);
	assert_int_equal(page_list_query(&range, &kind), 0);
	assert_int_equal(kind.size, 8 * PAGE);
	assert_false(kind.is_private);
	assert_int_equal(page_list_begin(&range, UPL_COPYOUT_FROM, &l), -ENOTSUP);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(shares_follow_pages, start, stop),
		cmocka_unit_test_setup_teardown(limits_are_kept, start, stop),
		cmocka_unit_test_setup_teardown(lists_are_counted, start, stop),
		cmocka_unit_test_setup_teardown(nobody_waits_for_the_client, start, stop),
		cmocka_unit_test_setup_teardown(wired_pages_are_not_taken, start, stop),
		cmocka_unit_test_setup_teardown(lists_end_with_memory, start, stop),
		cmocka_unit_test_setup_teardown(memory_of_other_kinds, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
