/* SPDX-License-Identifier: MIT
 *
 * Memory of blocks: none before the first page, none after the last, billed in between, refused
 * beyond a user's share.
 */
#include "c_unit.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include "audit/audit_priv.h"
#include "fault/fault.h"
#include "pageq/page_policy.h"
#include "pageq/pageq.h"
#include "transit/blocks.h"

enum { BLOCKS = UNIT_PAGES / SLOTS_PER_BLOCK };

static void
blocks_start(struct unit *u)
{
	struct daemon *d;

	unit_start(u);
	d = u->daemon;
	assert_int_equal(page_policy_create(d, "default", &d->pageq.policies.common), 0);
	assert_int_equal(park_create(d), 0);
}

static void
blocks_stop(struct unit *u)
{
	park_destroy(u->daemon);
	page_policy_destroy(u->daemon->pageq.policies.common);
	unit_stop(u);
}

static uint64_t
slots_bytes(const struct unit *u)
{
	struct stat st;

	assert_int_equal(fstat(u->daemon->slots.fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

/* Hardware pages of the policy's memory behind its head. */
static unsigned
policy_pages(const struct unit *u)
{
	const struct page_policy *policy = u->daemon->pageq.policies.common;
	uintptr_t mapping = (uintptr_t)policy->own_memory.mapping;
	uintptr_t entries = (uintptr_t)policy->memory + policy->ops->arrays[0].offset;
	size_t pages = (policy->own_memory.bytes + 4095) / 4096;
	unsigned char *present = calloc(pages, 1);
	unsigned count = 0;

	assert_non_null(present);
	assert_int_equal(mincore(policy->own_memory.mapping, policy->own_memory.bytes, present), 0);
	for (size_t i = 0; i < pages; i++)
		count += (present[i] & 1) && mapping + i * 4096 >= entries;
	free(present);
	return count;
}

static uint64_t
billed(const struct unit *u)
{
	uint64_t used = share_used(&u->daemon->shares, SHARE_TABLES);

	assert_int_equal(used, ledger_pages(&u->task->bill.ledger, PAGER_LEDGER_PAGE_TABLE));
	assert_int_equal(used, load_relaxed(&u->task->bill.account->used[SHARE_TABLES]));
	assert_int_equal(used, load_relaxed(&u->daemon->slots.populated) * TABLE_BLOCK_BYTES);
	return used / TABLE_BLOCK_BYTES;
}

static unsigned
populate(struct unit *u, uint64_t index, unsigned count, int direction)
{
	unsigned n;

	lock_acquire(&u->object->lock);
	n = vm_object_populate(u->object, index, count, direction);
	lock_release(&u->object->lock);
	return n;
}

/* A page comes and the policy is told, as far as the tables see it. */
static void
come(struct unit *u, uint64_t index)
{
	struct daemon *d = u->daemon;

	assert_int_equal(populate(u, index, 1, 1), 1);
	lock_acquire(&u->object->lock);
	pageq_lock(d);
	page_policy_fault(d->pageq.policies.common, vm_object_pol_page(u->object, index), 0);
	pageq_unlock(d);
	vm_object_slot_set(u->object, index, slot_resident(0));
	vm_object_slot_set(u->object, index, SLOT_POISONED);
	lock_release(&u->object->lock);
}

static void
go(struct unit *u, uint64_t index)
{
	struct daemon *d = u->daemon;

	lock_acquire(&u->object->lock);
	pageq_lock(d);
	page_policy_forget(d->pageq.policies.common, vm_object_pol_page(u->object, index), true);
	pageq_unlock(d);
	vm_object_slot_set(u->object, index, 0);
	lock_release(&u->object->lock);
}

static void
looking_takes_no_memory(void **state)
{
	struct unit u;

	(void)state;
	blocks_start(&u);
	for (uint64_t i = 0; i < UNIT_PAGES; i += 7)
		assert_int_equal(slot_kind(load_relaxed(vm_object_slot(u.object, i))), SLOT_ABSENT);
	assert_int_equal(slots_bytes(&u), 0);
	come(&u, 700);
	for (uint64_t i = 0; i < UNIT_PAGES; i += 7)
		assert_int_equal(slot_kind(load_relaxed(vm_object_slot(u.object, i))),
		    i == 700 ? SLOT_POISONED : SLOT_ABSENT);
	assert_int_equal(slots_bytes(&u), 4096);
	assert_int_equal(billed(&u), 1);
	go(&u, 700);
	blocks_release(u.object, 0, UNIT_PAGES);
	assert_int_equal(slots_bytes(&u), 0);
	assert_int_equal(billed(&u), 0);
	blocks_stop(&u);
}

static void
memory_goes_with_the_last_page(void **state)
{
	struct unit u;

	(void)state;
	blocks_start(&u);
	assert_int_equal(policy_pages(&u), 0);
	for (uint64_t b = 0; b < BLOCKS; b++) {
		come(&u, b * SLOTS_PER_BLOCK);
		come(&u, b * SLOTS_PER_BLOCK + 511);
	}
	assert_int_equal(billed(&u), BLOCKS);
	/* A page of nodes for each block; and one of bytes for all of them, which the first
	 * forgotten page brings. */
	assert_int_equal(policy_pages(&u), BLOCKS);
	for (uint64_t b = 0; b < BLOCKS; b++) {
		go(&u, b * SLOTS_PER_BLOCK);
		blocks_release(u.object, b * SLOTS_PER_BLOCK, b * SLOTS_PER_BLOCK + 1);
		assert_int_equal(billed(&u), BLOCKS - b);
		go(&u, b * SLOTS_PER_BLOCK + 511);
		/* The range need not be whole blocks. */
		blocks_release(u.object, b * SLOTS_PER_BLOCK + 511, b * SLOTS_PER_BLOCK + 512);
		assert_int_equal(billed(&u), BLOCKS - b - 1);
		assert_int_equal(slots_bytes(&u), (BLOCKS - b - 1) * 4096);
		assert_int_equal(policy_pages(&u), b + 1 < BLOCKS ? BLOCKS - b - 1 + 1 : 0);
	}
	/* And comes again. */
	come(&u, 0);
	assert_null(
	    u.daemon->pageq.policies.common->ops->check(u.daemon->pageq.policies.common->memory));
	go(&u, 0);
	assert_null(u.object->holes);
	/* Populated empty blocks go with the object at the latest. */
	assert_int_equal(populate(&u, 600, 1, 1), 1);
	blocks_stop(&u);
}

/* --- somebody looks while blocks are being given back, and no lock is held --- */

static struct daemon *looked_at;
static unsigned looks;

void __real_page_policy_release(struct page_policy *policy, uint32_t first, uint32_t count);
void __wrap_page_policy_release(struct page_policy *policy, uint32_t first, uint32_t count);

void
__wrap_page_policy_release(struct page_policy *policy, uint32_t first, uint32_t count)
{
	char text[2000] = "";
	struct report r = report_begin(text, sizeof(text));

	if (looked_at && policy) {
		check_objects(looked_at, &r);
		report_end(&r);
		if (r.failures > 0)
			fail_msg("%s", text);
		looks++;
	}
	__real_page_policy_release(policy, first, count);
}

static void
the_check_may_look_meanwhile(void **state)
{
	struct unit u;

	(void)state;
	blocks_start(&u);
	for (uint64_t b = 0; b < BLOCKS; b++)
		come(&u, b * SLOTS_PER_BLOCK);
	/* One, several, and one that never had a page. */
	go(&u, 0);
	for (uint64_t b = 2; b < BLOCKS; b++)
		go(&u, b * SLOTS_PER_BLOCK);
	looked_at = u.daemon;
	assert_int_equal(blocks_release(u.object, 0, 1), 1);
	assert_int_equal(looks, 1);
	assert_int_equal(blocks_release(u.object, 0, UNIT_PAGES), BLOCKS - 2);
	assert_int_equal(looks, 2);
	assert_int_equal(populate(&u, 0, 1, 1), 1);
	assert_int_equal(blocks_release(u.object, 0, UNIT_PAGES), 1);
	assert_int_equal(looks, 3);
	looked_at = NULL;
	go(&u, SLOTS_PER_BLOCK);
	blocks_stop(&u);
}

static void
runs_end_where_the_share_does(void **state)
{
	struct fill fill;
	struct unit u;

	(void)state;
	blocks_start(&u);
	fill = (struct fill)UNIT_FILL(&u);
	u.task->bill.account->is_privileged = false;
	store_relaxed(&u.daemon->params.user_percent, 50);
	store_relaxed(&u.daemon->params.max_table_bytes, 4 * TABLE_BLOCK_BYTES);
	assert_int_equal(populate(&u, 510, 4, 1), 4);
	assert_int_equal(billed(&u), 2);
	/* Two of two: upwards and downwards a run ends at the block that is refused. */
	assert_int_equal(populate(&u, 1020, 32, 1), 4);
	assert_int_equal(populate(&u, 1024, 32, -1), 0);
	assert_int_equal(populate(&u, 515, 32, -1), 32);
	assert_int_equal(billed(&u), 2);
	assert_int_equal(share_room(u.daemon, u.task->bill.account, SHARE_TABLES), 0);
	lock_acquire(&u.object->lock);
	assert_int_equal(
	    fill_begin(u.daemon, u.object, 2000, 8, 1, FRAME_FIRST, &fill), RUN_NO_TABLE);
	lock_release(&u.object->lock);
	assert_int_equal(unit_level(&u, STAT_FRAMES_FREE), UNIT_FRAMES);
	/* Another object has a block of all that is not kept. */
	store_relaxed(&u.daemon->params.user_percent, 100);
	store_relaxed(&u.daemon->params.reserve_percent, 25);
	assert_int_equal(populate(&u, 2000, 1, 1), 1);
	assert_int_equal(populate(&u, 3000, 1, 1), 0);
	/* That is for these. */
	u.task->bill.account->is_privileged = true;
	assert_int_equal(populate(&u, 3000, 1, 1), 1);
	assert_int_equal(populate(&u, 4000, 1, 1), 0);
	blocks_release(u.object, 0, UNIT_PAGES);
	assert_int_equal(billed(&u), 0);
	blocks_stop(&u);
}

/* Whoever has kept the number of a page looks at it later, when its object has ended. */
static void
numbers_outlive_objects(void **state)
{
	struct vm_object *o;
	struct victim victim;
	struct daemon *d;
	struct unit u;

	(void)state;
	blocks_start(&u);
	d = u.daemon;
	assert_int_equal(vm_object_create(d, u.task, UNIT_PAGES, OBJECT_CHUNK, &o), 0);
	victim = (struct victim){ .page = vm_object_pol_page(o, 700), .frame = 0, .object = o };
	lock_acquire(&o->lock);
	assert_int_equal(vm_object_populate(o, 700, 1, 1), 1);
	vm_object_slot_set(o, 700, slot_resident(0));
	vm_object_slot_set(o, 700, 0);
	lock_release(&o->lock);
	assert_int_equal(slots_bytes(&u), 4096);
	vm_object_put(o);
	assert_int_equal(slots_bytes(&u), 0);
	assert_int_equal(billed(&u), 0);
	pageq_lock(d);
	assert_false(pageq_launder_begin_locked(d, &victim));
	assert_null(pageq_victim_object_locked(d, &victim));
	pageq_victim_stays_locked(d, &victim);
	assert_int_equal(pageq_deactivate_slot_locked(d, victim.page, &victim), DEACTIVATION_NONE);
	pageq_unlock(d);
	assert_int_equal(slots_bytes(&u), 0);
	blocks_stop(&u);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(looking_takes_no_memory),
		cmocka_unit_test(numbers_outlive_objects),
		cmocka_unit_test(memory_goes_with_the_last_page),
		cmocka_unit_test(the_check_may_look_meanwhile),
		cmocka_unit_test(runs_end_where_the_share_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
