/* SPDX-License-Identifier: MIT
 *
 * The slot arena: one 8-byte slot per page of every object, in one sparse memfd, handed out in
 * runs. Runs on: control loop and jobs. The lock is a leaf.
 */
#include "vm/slot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arena.h"
#include "daemon.h"
#include "own.h"

const _Atomic uint64_t vm_slot_absent;

static size_t
blocks_bytes(uint64_t slot_count)
{
	return slot_count / SLOTS_PER_BLOCK * sizeof(atomic_ushort);
}

/* What the worker before this one has left, or a new one. => 0 or -errno */
static int
memory_open(struct daemon *d, uint64_t count)
{
	const struct arena_shape shape = { "slots", 1, sizeof(uint64_t), count * sizeof(uint64_t) };
	struct slot_table *t = &d->slots;

	CHECK(count > 0);
	t->fd = keeper_take(d->keeper, KEPT_SLOTS, 0);
	if (t->fd >= 0)
		return arena_check(t->fd, &shape);
	t->fd = d->keeper ? arena_make(&shape) : memfd_create("pagerd-slots", MFD_CLOEXEC);
	if (t->fd < 0)
		return d->keeper ? t->fd : -errno;
	if (d->keeper)
		keeper_keep(d->keeper, KEPT_SLOTS, 0, t->fd);
	else if (ftruncate(t->fd, (off_t)shape.bytes) < 0)
		return -errno;
	return 0;
}

int
slots_create(struct daemon *d)
{
	struct slot_table *t = &d->slots;
	uint64_t count = param(d, max_virtual_bytes) >> d->page_shift;
	void *memory;
	int error;

	if (count > POL_PAGES_MAX)
		count = POL_PAGES_MAX;
	count = round_down_u64(count, SLOTS_PER_RUN);
	error = memory_open(d, count);
	if (error)
		return error;
	memory = mmap(NULL, count * sizeof(uint64_t), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_NORESERVE, t->fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	own_area_shared(OWN_SLOTS, memory, count * sizeof(uint64_t));
	t->slots = memory;
	t->count = (uint32_t)count;
	memory = mmap(NULL, blocks_bytes(count), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return -errno;
	own_area(OWN_BLOCKS, memory, blocks_bytes(count));
	t->blocks = memory;
	share_tell(d, SHARE_VIRTUAL, count << d->page_shift);
	lock_init(&t->lock, RANK_JOBS);
	t->extents = malloc(sizeof(*t->extents) * 16);
	if (!t->extents)
		return -ENOMEM;
	t->extent_room = 16;
	t->extent_count = 1;
	t->extents[0] = (struct slot_extent){ 0, (uint32_t)count };
	return 0;
}

void
slots_destroy(struct daemon *d)
{
	CHECK(d->slots.runs == 0);
	own_area_forget(d->slots.slots);
	own_area_forget(d->slots.blocks);
	munmap(d->slots.slots, (size_t)d->slots.count * sizeof(uint64_t));
	munmap(d->slots.blocks, blocks_bytes(d->slots.count));
	close(d->slots.fd);
	free(d->slots.extents);
	lock_fini(&d->slots.lock);
}

/* Room in the list for what one more run can make of it: between n runs lie at most n + 1 extents,
 * and for a moment there is one without length. With that slots_put cannot fail. => lock held; 0 or
 * -ENOMEM */
static int
extent_room_make(struct slot_table *t)
{
	struct slot_extent *bigger;

	lock_assert_held(&t->lock);
	if (t->runs + 3 <= t->extent_room)
		return 0;
	bigger = realloc(t->extents, sizeof(*bigger) * t->extent_room * 2);
	if (!bigger)
		return -ENOMEM;
	t->extents = bigger;
	t->extent_room *= 2;
	return 0;
}

/* => lock held */
static void
extent_remove(struct slot_table *t, unsigned i)
{
	lock_assert_held(&t->lock);
	memmove(
	    &t->extents[i], &t->extents[i + 1], (t->extent_count - i - 1) * sizeof(t->extents[0]));
	t->extent_count--;
}

int
slots_take(struct daemon *d, uint64_t count, uint32_t *ret_start)
{
	struct slot_table *t = &d->slots;
	int error;

	CHECK(count > 0);
	count = round_up_u64(count, SLOTS_PER_RUN);
	lock_acquire(&t->lock);
	error = extent_room_make(t);
	if (error) {
		lock_release(&t->lock);
		return error;
	}
	error = -ENOSPC;
	for (unsigned i = 0; i < t->extent_count; i++) {
		struct slot_extent *e = &t->extents[i];

		if (e->count < count)
			continue;
		CHECK(e->start % SLOTS_PER_RUN == 0);
		*ret_start = e->start;
		e->start += (uint32_t)count;
		e->count -= (uint32_t)count;
		if (e->count == 0)
			extent_remove(t, i);
		t->runs++;
		error = 0;
		break;
	}
	lock_release(&t->lock);
	return error;
}

int
slots_take_at(struct daemon *d, uint32_t start, uint64_t count)
{
	struct slot_table *t = &d->slots;
	uint32_t end = start + (uint32_t)round_up_u64(count, SLOTS_PER_RUN);
	int error;

	CHECK(count > 0);
	lock_acquire(&t->lock);
	error = extent_room_make(t);
	if (error) {
		lock_release(&t->lock);
		return error;
	}
	error = -EINVAL;
	for (unsigned i = 0; i < t->extent_count && error; i++) {
		struct slot_extent *e = &t->extents[i], whole = *e;

		if (start < whole.start || end > whole.start + whole.count)
			continue;
		memmove(e + 2, e + 1, (t->extent_count - i - 1) * sizeof(*e));
		e[0] = (struct slot_extent){ whole.start, start - whole.start };
		e[1] = (struct slot_extent){ end, whole.start + whole.count - end };
		t->extent_count++;
		t->runs++;
		error = 0;
	}
	/* Extents of no length. */
	for (unsigned i = t->extent_count; i-- > 0;)
		if (t->extents[i].count == 0)
			extent_remove(t, i);
	lock_release(&t->lock);
	return error;
}

void
slots_clear_rest(struct daemon *d)
{
	struct slot_table *t = &d->slots;

	lock_acquire(&t->lock);
	for (unsigned i = 0; i < t->extent_count; i++)
		fallocate(t->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		    (off_t)t->extents[i].start * 8, (off_t)t->extents[i].count * 8);
	lock_release(&t->lock);
}

void
slots_put(struct daemon *d, uint32_t start, uint64_t count)
{
	struct slot_table *t = &d->slots;
	unsigned i = 0;

	CHECK(count > 0 && start % SLOTS_PER_RUN == 0 && start + count <= t->count);
	count = round_up_u64(count, SLOTS_PER_RUN);
	/* All slots are ABSENT (zero) by now: only the memory is given back. */
	fallocate(
	    t->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)start * 8, (off_t)count * 8);
	lock_acquire(&t->lock);
	while (i < t->extent_count && t->extents[i].start < start)
		i++;
	if (i > 0 && t->extents[i - 1].start + t->extents[i - 1].count == start) {
		t->extents[i - 1].count += (uint32_t)count;
		if (i < t->extent_count && start + count == t->extents[i].start) {
			t->extents[i - 1].count += t->extents[i].count;
			extent_remove(t, i);
		}
	} else if (i < t->extent_count && start + count == t->extents[i].start) {
		t->extents[i].start = start;
		t->extents[i].count += (uint32_t)count;
	} else {
		CHECK(t->extent_count < t->extent_room);
		memmove(&t->extents[i + 1], &t->extents[i],
		    (t->extent_count - i) * sizeof(t->extents[0]));
		t->extents[i] = (struct slot_extent){ start, (uint32_t)count };
		t->extent_count++;
	}
	CHECK(t->runs > 0);
	t->runs--;
	lock_release(&t->lock);
}
