/* SPDX-License-Identifier: MIT
 *
 * The memory of empty blocks (vm/block.h) is given back. That is a punch, so no lock is held across
 * it: meanwhile the blocks are a hole (struct hole), in which no page gets content. Runs on: jobs,
 * the cleaner's hands.
 */
#include "transit/blocks.h"

#include <fcntl.h>
#include <unistd.h>

#include "memorystatus/frame_wait.h"
#include "pageq/page_policy.h"
#include "pageq/pageq.h"
#include "transit/release.h"
#include "vm/task.h"

/* The most blocks of one release. A fault on any of their pages waits until it has ended. */
#define RELEASE_MAX 512u
/* A release is extended downwards over empty neighbours, to a multiple of this many blocks at most,
 * so that a policy's entries of one byte a page make up whole pages of memory. */
#define RELEASE_ALIGN (SLOTS_PER_RUN / SLOTS_PER_BLOCK)

/* The first block of [block, end) that has memory but no page; end if there is none. => O held */
static uint64_t
next_idle(const struct vm_object *o, uint64_t block, uint64_t end)
{
	lock_assert_held(&o->lock);
	while (block < end && load_relaxed(&o->blocks[block]) != BLOCK_POPULATED)
		block++;
	return block;
}

/* The run of empty blocks around an empty one, with or without memory. => O held */
static void
empty_around(const struct vm_object *o, uint64_t block, uint64_t *ret_low, uint64_t *ret_high)
{
	uint64_t low = block, high = block + 1, count = vm_object_block_count(o);

	lock_assert_held(&o->lock);
	CHECK(vm_object_block_is_empty(o, block));
	while (low % RELEASE_ALIGN != 0 && vm_object_block_is_empty(o, low - 1))
		low--;
	while (high < count && high - low < RELEASE_MAX && vm_object_block_is_empty(o, high))
		high++;
	*ret_low = low;
	*ret_high = high;
}

/* Pages forgotten while PAGEQ is held once. */
#define FORGET_STEP 64u

/* The pages of a file have not been discarded one by one: policies may remember them. => no lock
 * held */
static void
ghosts_forget(struct vm_object *o, uint64_t first, uint64_t end)
{
	struct daemon *d = o->daemon;

	locks_assert_none();
	for (uint64_t i = first; i < end;) {
		uint64_t step = min_u64(i + FORGET_STEP, end);

		pageq_lock(d);
		for (; i < step; i++)
			pageq_forget_locked(d, o, vm_object_pol_page(o, i));
		pageq_unlock(d);
	}
}

/* Gives back the memory of a run of empty blocks, which is a hole of the caller's. => no lock held
 */
static void
run_release(struct vm_object *o, uint64_t low, uint64_t high)
{
	struct daemon *d = o->daemon;
	struct page_policy *policies[2] = { NULL };
	uint32_t first = o->slot_base + (uint32_t)(low * SLOTS_PER_BLOCK);
	/* The slots behind the object's last block, up to the end of its run, are nobody's. */
	uint64_t end = high < vm_object_block_count(o) ? high * SLOTS_PER_BLOCK
						       : round_up_u64(o->page_count, SLOTS_PER_RUN);
	uint32_t count = (uint32_t)(end - low * SLOTS_PER_BLOCK);

	locks_assert_none();
	CHECK(low < high && high <= vm_object_block_count(o));
	if (o->external)
		ghosts_forget(o, low * SLOTS_PER_BLOCK, min_u64(end, o->page_count));
	/* A thread that looks at slots with PAGEQ alone sees that they have no memory once PAGEQ
	 * has been held after their words were cleared. */
	pageq_lock(d);
	policies[0] = page_policy_get(d->pageq.policies.common);
	policies[1] = page_policy_get(policies_own(&d->pageq.policies, vm_object_policy_task(o)));
	pageq_unlock(d);
	fallocate(d->slots.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)first * 8,
	    (off_t)count * 8);
	for (unsigned i = 0; i < ARRAY_LEN(policies); i++) {
		page_policy_release(policies[i], first, count);
		page_policy_destroy(policies[i]);
	}
}

unsigned
blocks_release(struct vm_object *o, uint64_t first, uint64_t last)
{
	uint64_t block = first / SLOTS_PER_BLOCK,
		 end = (last + SLOTS_PER_BLOCK - 1) / SLOTS_PER_BLOCK;
	unsigned given = 0;

	locks_assert_none();
	CHECK(end <= vm_object_block_count(o));
	lock_acquire(&o->lock);
	while ((block = next_idle(o, block, end)) < end) {
		uint64_t low, high;
		unsigned blocks;
		struct hole hole;

		empty_around(o, block, &low, &high);
		if (vm_object_wait_holes(o, low * SLOTS_PER_BLOCK, high * SLOTS_PER_BLOCK))
			continue;
		vm_object_hole_begin(o, &hole, low * SLOTS_PER_BLOCK, high * SLOTS_PER_BLOCK);
		blocks = vm_object_blocks_clear(o, low, high);
		lock_release(&o->lock);
		run_release(o, low, high);
		lock_acquire(&o->lock);
		vm_object_blocks_give(o, blocks);
		lock_release(&o->lock);
		vm_object_hole_close(o, &hole);
		given += blocks;
		block = high;
		lock_acquire(&o->lock);
	}
	lock_release(&o->lock);
	if (given > 0)
		refused_tables_freed(o->daemon);
	return given;
}
