/* SPDX-License-Identifier: MIT
 *
 * Blocks: memory of the tables that grow with use. A block is SLOTS_PER_BLOCK slots, which are one
 * hardware page of the slot arena, and as many entries of the page-out policy. It gets memory
 * before its first page comes (populate), is billed to its client, and gives it back when its last
 * page has gone (transit/blocks.c). Without memory nobody looks at its slots (slot_look), since
 * reading a hole of the arena would fill it. Runs on: any thread that has O.
 */
#include "vm/block.h"

#include "check.h"

static const bool arrows[1u << SLOT_KIND_BITS][1u << SLOT_KIND_BITS] = {
#define SLOT_ARROW(FROM, TO, when) [SLOT_##FROM][SLOT_##TO] = true,
#include "tbl/slot_kind.h"
};

/* So many more of the object's blocks have memory, but no page. => O held, or it ends */
static void
idle_add(struct vm_object *o, unsigned blocks)
{
	store_relaxed(&o->idle_blocks, load_relaxed(&o->idle_blocks) + blocks);
	fetch_add_relaxed(&o->daemon->slots.idle, blocks);
}

static void
idle_sub(struct vm_object *o, unsigned blocks)
{
	CHECK(load_relaxed(&o->idle_blocks) >= blocks);
	store_relaxed(&o->idle_blocks, load_relaxed(&o->idle_blocks) - blocks);
	fetch_sub_relaxed(&o->daemon->slots.idle, blocks);
}

/* The block has been paid for. */
static void
block_begin(struct vm_object *o, atomic_ushort *word)
{
	lock_assert_held(&o->lock);
	o->populated++;
	if (!o->bill)
		fetch_add_relaxed(&o->daemon->slots.own, 1);
	fetch_add_relaxed(&o->daemon->slots.populated, 1);
	CHECK(load_relaxed(word) == 0);
	idle_add(o, 1);
	store_relaxed(word, BLOCK_POPULATED);
}

static bool
block_populate(struct vm_object *o, uint64_t block)
{
	atomic_ushort *word = &o->blocks[block];

	lock_assert_held(&o->lock);
	CHECK(block < vm_object_block_count(o));
	if (likely(load_relaxed(word) & BLOCK_POPULATED))
		return true;
	if (o->bill && bill_tables_take(o->daemon, o->bill, TABLE_BLOCK_BYTES) != 0)
		return false;
	block_begin(o, word);
	return true;
}

void
vm_object_populate_over(struct vm_object *o, uint64_t index)
{
	atomic_ushort *word = &o->blocks[index / SLOTS_PER_BLOCK];

	lock_assert_held(&o->lock);
	CHECK(index < o->page_count);
	if (load_relaxed(word) & BLOCK_POPULATED)
		return;
	if (o->bill)
		bill_tables_take_over(o->daemon, o->bill, TABLE_BLOCK_BYTES);
	block_begin(o, word);
}

unsigned
vm_object_populate(struct vm_object *o, uint64_t index, unsigned count, int direction)
{
	unsigned n = 0;

	CHECK(index < o->page_count && (direction == 1 || direction == -1));
	lock_assert_held(&o->lock);
	while (n < count) {
		uint64_t at = direction > 0 ? index + n : index - n, within = at % SLOTS_PER_BLOCK;

		if (!block_populate(o, at / SLOTS_PER_BLOCK))
			break;
		n += (unsigned)(direction > 0 ? SLOTS_PER_BLOCK - within : within + 1);
	}
	return n < count ? n : count;
}

static void
blocks_give(struct vm_object *o, unsigned blocks)
{
	CHECK(blocks <= load_relaxed(&o->daemon->slots.populated) && blocks <= o->populated);
	o->populated -= blocks;
	fetch_sub_relaxed(&o->daemon->slots.populated, blocks);
	if (o->bill)
		bill_tables_give(o->daemon, o->bill, (uint64_t)blocks * TABLE_BLOCK_BYTES);
	else
		fetch_sub_relaxed(&o->daemon->slots.own, blocks);
}

unsigned
vm_object_blocks_clear(struct vm_object *o, uint64_t low, uint64_t high)
{
	unsigned blocks = 0;

	lock_assert_held(&o->lock);
	for (uint64_t b = low; b < high; b++) {
		CHECK(vm_object_block_is_empty(o, b));
		blocks += load_relaxed(&o->blocks[b]) == BLOCK_POPULATED;
		store_relaxed(&o->blocks[b], 0);
	}
	idle_sub(o, blocks);
	return blocks;
}

void
vm_object_blocks_give(struct vm_object *o, unsigned blocks)
{
	lock_assert_held(&o->lock);
	blocks_give(o, blocks);
}

void
vm_object_slot_set(struct vm_object *o, uint64_t index, uint64_t slot)
{
	_Atomic uint64_t *p = &o->daemon->slots.slots[o->slot_base + index];
	atomic_ushort *block = &o->blocks[index / SLOTS_PER_BLOCK];
	uint64_t old = load_relaxed(p);

	lock_assert_held(&o->lock);
	CHECK(index < o->page_count);
	INVARIANT(load_relaxed(block) & BLOCK_POPULATED);
	CHECKF(arrows[slot_kind(old)][slot_kind(slot)], "object %llu page %llu: slot %llx -> %llx",
	    (unsigned long long)o->id, (unsigned long long)index, (unsigned long long)old,
	    (unsigned long long)slot);
	if ((slot_kind(old) == SLOT_ABSENT) != (slot_kind(slot) == SLOT_ABSENT)) {
		bool goes = slot_kind(slot) == SLOT_ABSENT;
		unsigned short word = load_relaxed(block);

		store_relaxed(block, (unsigned short)(goes ? word - 1 : word + 1));
		if (goes && word == (BLOCK_POPULATED | 1))
			idle_add(o, 1);
		else if (!goes && word == BLOCK_POPULATED)
			idle_sub(o, 1);
	}
	store_release(p, slot);
}

void
vm_object_block_restore(struct vm_object *o, uint64_t block, unsigned live)
{
	lock_assert_held(&o->lock);
	CHECK(live <= SLOTS_PER_BLOCK && load_relaxed(&o->blocks[block]) == 0);
	vm_object_populate_over(o, block * SLOTS_PER_BLOCK);
	store_relaxed(&o->blocks[block], (unsigned short)(BLOCK_POPULATED | live));
	if (live > 0)
		idle_sub(o, 1);
}

void
vm_object_slot_restore(struct vm_object *o, uint64_t index, uint64_t slot)
{
	lock_assert_held(&o->lock);
	CHECK(index < o->page_count);
	store_release(&o->daemon->slots.slots[o->slot_base + index], slot);
}

uint64_t
vm_object_next_live(const struct vm_object *o, uint64_t index, uint64_t end)
{
	CHECK(end <= o->page_count);
	while (index < end) {
		if (load_relaxed(&o->blocks[index / SLOTS_PER_BLOCK]) & ~BLOCK_POPULATED)
			return index;
		index = round_down_u64(index, SLOTS_PER_BLOCK) + SLOTS_PER_BLOCK;
	}
	return end;
}

void
vm_object_slots_end(struct vm_object *o)
{
	struct daemon *d = o->daemon;
	unsigned blocks = 0;

	locks_assert_none();
	CHECK(load_relaxed(&o->references) == 0);
	for (uint64_t b = 0; b < vm_object_block_count(o); b++) {
		blocks += (load_relaxed(&o->blocks[b]) & BLOCK_POPULATED) != 0;
		store_relaxed(&o->blocks[b], 0);
	}
	/* Threads that go by slots' numbers have no reference to the object, but PAGEQ. */
	if (blocks > 0) {
		pageq_lock(d);
		pageq_unlock(d);
	}
	slots_put(d, o->slot_base, o->page_count);
	idle_sub(o, load_relaxed(&o->idle_blocks));
	blocks_give(o, blocks);
}
