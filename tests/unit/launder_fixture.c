/* SPDX-License-Identifier: MIT */
#include "launder_fixture.h"

#include <errno.h>

#include "pageq/page_policy.h"
#include "pageq/pageq.h"
#include "pageq/side.h"
#include "pmap/uffd.h"
#include "transit/discard.h"
#include "transit/run.h"

struct launder_world world;

static uint64_t
slot_at(struct vm_object *o, uint64_t index)
{
	return load_relaxed(vm_object_slot(o, index));
}

struct vm_page *
page_at(struct vm_object *o, uint64_t index)
{
	assert_int_equal(slot_kind(slot_at(o, index)), SLOT_RESIDENT);
	return &o->daemon->frames.pages[slot_frame(slot_at(o, index))];
}

enum page_state
page_state_at(struct vm_object *o, uint64_t index)
{
	return page_word_state(load_relaxed(&page_at(o, index)->word));
}

static struct vm_object *
object_at(uint64_t address)
{
	struct vm_object *o = world.unit.object;

	if (address - o->mappings->base < o->page_count * 4096)
		return o;
	assert_non_null(world.other);
	assert_true(address - world.other->mappings->base < world.other->page_count * 4096);
	return world.other;
}

/* --- the calls --- */

/* Of no other object is a page busy: its client need not wait for this one's. */
static void
look_around(const struct vm_object *o)
{
	const struct daemon *d = world.unit.daemon;

	for (uint32_t i = 0; i < d->frames.count; i++)
		if (load_relaxed(&d->frames.pages[i].word) & PAGE_BUSY)
			assert_int_equal(d->frames.pages[i].object, o->index);
}

static void
look_at_put(struct vm_object *o, uint64_t index)
{
	const struct vm_page *p = page_at(o, index);

	assert_int_equal(page_state_at(o, index), PAGE_CLEANING);
	assert_int_equal(p->word & (PAGE_BUSY | PAGE_DIRTY), PAGE_BUSY | PAGE_DIRTY);
	if (o == world.unit.object)
		assert_true(world.is_read_only[index]);
}

/* Only what is stored or has a copy and is busy is taken away, and in a hole. */
static void
look_at_punch(struct vm_object *o, uint64_t low, uint64_t high)
{
	lock_acquire(&o->lock);
	for (uint64_t i = low; i < high; i++) {
		assert_non_null(vm_object_hole_at(o, i));
		if (slot_kind(slot_at(o, i)) == SLOT_STORED)
			continue;
		assert_int_equal(page_state_at(o, i), PAGE_CLEANING);
		assert_int_equal(page_at(o, i)->word & (PAGE_BUSY | PAGE_DIRTY), PAGE_BUSY);
		assert_true(page_at(o, i)->cref != 0);
	}
	lock_release(&o->lock);
}

/* A thread that is woken finds nothing in its way. */
static void
look_at_wake(struct vm_object *o, uint64_t low, uint64_t high)
{
	lock_acquire(&o->lock);
	for (uint64_t i = low; i < high; i++) {
		assert_null(vm_object_hole_at(o, i));
		if (slot_kind(slot_at(o, i)) == SLOT_RESIDENT)
			assert_int_equal(page_at(o, i)->word & (PAGE_BUSY | PAGE_WANTED), 0);
	}
	lock_release(&o->lock);
}

static void
note(enum call call, struct vm_object *o, uint64_t low, uint64_t high)
{
	assert_true(world.call_count < WORLD_CALLS && low < high && high <= o->page_count);
	locks_assert_none();
	world.calls[world.call_count++] = (struct call_made){ call, o, low, high };
	/* The watcher would take it for this client's. */
	assert_true(load_relaxed(&watch_own->client) == task_cookie(o->owner));
	look_around(o);
	switch (call) {
	case CALL_PROTECT:
		if (o == world.unit.object)
			memset(world.is_read_only + low, !world.protect_error, high - low);
		break;
	case CALL_PUT:
		look_at_put(o, low);
		break;
	case CALL_PUNCH:
		look_at_punch(o, low, high);
		break;
	case CALL_WAKE:
		look_at_wake(o, low, high);
		break;
	}
	if (world.on_call)
		world.on_call(call, o, low, high);
}

int __wrap_uffd_protect(int uffd, uint64_t address, size_t bytes, int mode);
void __wrap_uffd_wake(int uffd, uint64_t address, size_t bytes);
int __real_uffd_punch(int memfd, uint64_t offset, uint64_t bytes);
int __wrap_uffd_punch(int memfd, uint64_t offset, uint64_t bytes);
ssize_t __real_pread64(int fd, void *buffer, size_t bytes, off_t offset);
ssize_t __wrap_pread64(int fd, void *buffer, size_t bytes, off_t offset);
enum pager_result __wrap_pager_data_return(struct vm_object *o, uint64_t index, unsigned worker,
    const void *page, int press, struct cref *ret_copy);
void __wrap_pager_drop(const struct vm_object *o, struct cref copy);
enum pager_room __wrap_pager_room_take(struct vm_object *o, size_t pages);
bool __wrap_store_compaction_worth(struct daemon *d, bool started);
void __wrap_writeback_want(struct daemon *d);
unsigned __wrap_pins_find(struct daemon *d, const struct vm_object *o, const uint64_t *indexes,
    unsigned count, bool *ret_pinned);

int
__wrap_uffd_protect(int uffd, uint64_t address, size_t bytes, int mode)
{
	(void)mode;
	struct vm_object *o = object_at(address);
	uint64_t low = (address - o->mappings->base) / 4096;

	(void)uffd;
	note(CALL_PROTECT, o, low, low + bytes / 4096);
	return world.protect_error;
}

void
__wrap_uffd_wake(int uffd, uint64_t address, size_t bytes)
{
	struct vm_object *o = object_at(address);
	uint64_t low = (address - o->mappings->base) / 4096;

	(void)uffd;
	if (world.is_laundering)
		note(CALL_WAKE, o, low, low + bytes / 4096);
	else if (o == world.unit.object)
		memset(world.is_woken + low, true, bytes / 4096);
}

int
__wrap_uffd_punch(int memfd, uint64_t offset, uint64_t bytes)
{
	struct vm_object *o =
	    memfd == world.unit.object->backing.memfd ? world.unit.object : world.other;

	if (world.is_laundering)
		note(CALL_PUNCH, o, offset / 4096, (offset + bytes) / 4096);
	else if (world.on_punch)
		world.on_punch(o, offset / 4096, (offset + bytes) / 4096);
	return __real_uffd_punch(memfd, offset, bytes);
}

/* As the kernel may: less than was asked for, or a signal first. */
ssize_t
__wrap_pread64(int fd, void *buffer, size_t bytes, off_t offset)
{
	if (!world.is_laundering)
		return __real_pread64(fd, buffer, bytes, offset);
	if (world.interruptions > 0 || world.read_most == 0) {
		errno = world.interruptions > 0 ? EINTR : EIO;
		world.interruptions -= world.interruptions > 0;
		return -1;
	}
	return __real_pread64(fd, buffer, min_u64(bytes, world.read_most), offset);
}

enum pager_result
__wrap_pager_data_return(struct vm_object *o, uint64_t index, unsigned worker, const void *page,
    int press, struct cref *ret_copy)
{
	const uint64_t *words = page;

	(void)press;
	assert_int_equal(worker, world.worker->index);
	note(CALL_PUT, o, index, index + 1);
	for (unsigned i = 0; i < 4096 / sizeof(*words); i++)
		assert_true(words[i] == world_content(o, index) + i);
	if (world.room == 0)
		return PAGER_AGAIN;
	world.room--;
	*ret_copy = world_copy(o, index);
	return PAGER_OK;
}

void
__wrap_pager_drop(const struct vm_object *o, struct cref copy)
{
	uint64_t index = (copy.v & UINT32_MAX) / 256 - 1;

	assert_true(copy.v != 0 && !world.is_laundering);
	if (o->external) {
		assert_true(copy.v == CREF_PLACE.v);
		return;
	}
	assert_true(index < o->page_count && copy.v == world_copy(o, index).v);
	if (o == world.unit.object)
		world.is_dropped[index] = true;
}

enum pager_room
__wrap_pager_room_take(struct vm_object *o, size_t pages)
{
	assert_non_null(o);
	world.credit_asked += pages;
	return world.credit;
}

bool
__wrap_store_compaction_worth(struct daemon *d, bool started)
{
	(void)d, (void)started;
	return false;
}

void
__wrap_writeback_want(struct daemon *d)
{
	(void)d;
	world.writer_wanted++;
}

/* Only pages that nobody can write to, busy and dirty, are looked at. */
unsigned
__wrap_pins_find(struct daemon *d, const struct vm_object *o, const uint64_t *indexes,
    unsigned count, bool *ret_pinned)
{
	unsigned found = 0;

	assert_ptr_equal(d, world.unit.daemon);
	assert_ptr_equal(o, world.unit.object);
	assert_true(count > 0);
	for (unsigned i = 0; i < count; i++) {
		uint32_t word = load_relaxed(&page_at(world.unit.object, indexes[i])->word);

		assert_true(world.is_read_only[indexes[i]]);
		assert_int_equal(word & (PAGE_BUSY | PAGE_DIRTY), PAGE_BUSY | PAGE_DIRTY);
		ret_pinned[i] = world.is_pinned[indexes[i]];
		found += ret_pinned[i];
	}
	world.looks++;
	return found;
}

/* --- the daemon --- */

void
world_start(void)
{
	static struct watch watch;
	struct pageout_worker *w = calloc(1, sizeof(*w));
	struct daemon *d;

	assert_non_null(w);
	memset(&world, 0, sizeof(world));
	memset(&watch, 0, sizeof(watch));
	watch_own = &watch;
	unit_start(&world.unit);
	d = world.unit.daemon;
	watch.pulse = &d->pulse;
	assert_int_equal(page_policy_create(d, "mach2q", &d->pageq.policies.common), 0);
	assert_int_equal(side_create(d), 0);
	assert_int_equal(park_create(d), 0);
	w->daemon = d;
	w->stats = stats_shard(&d->stats, shard_index_worker(d, 0));
	w->bounce = calloc(PAGEOUT_BATCH_MAX, 4096);
	assert_non_null(w->bounce);
	world.worker = w;
	world.room = WORLD_ROOM;
	world.credit = PAGER_ROOM_ALL;
	world.read_most = UINT32_MAX;
}

void
world_stop(void)
{
	struct daemon *d = world.unit.daemon;

	vm_object_discard(world.unit.object, 0, world.unit.object->page_count);
	if (world.other) {
		vm_object_discard(world.other, 0, world.other->page_count);
		vm_mapping_put(world.other->mappings);
	}
	assert_int_equal(unit_level(&world.unit, STAT_FRAMES_FREE), UNIT_FRAMES);
	assert_int_equal(load_relaxed(&world.unit.object->references), 2);
	park_destroy(d);
	side_destroy(d);
	page_policy_destroy(d->pageq.policies.common);
	free(world.worker->bounce);
	free(world.worker);
	watch_own = NULL;
	unit_stop(&world.unit);
}

struct vm_object *
world_object_make(uint64_t pages, uint64_t base)
{
	struct unit *u = &world.unit;
	struct vm_mapping *mapping;
	struct vm_object *o;

	assert_int_equal(vm_object_create(u->daemon, u->task, pages, OBJECT_CHUNK, &o), 0);
	assert_int_equal(vm_mapping_create(o, u->task, base, 0, pages, &mapping), 0);
	vm_object_put(o);
	return o;
}

uint64_t
world_content(const struct vm_object *o, uint64_t index)
{
	return (o->id << 40) + (index << 20);
}

struct cref
world_copy(const struct vm_object *o, uint64_t index)
{
	return (struct cref){ o->id << 32 | (index + 1) << 8 };
}

uint32_t
page_make(struct vm_object *o, uint64_t index, bool is_dirty)
{
	struct daemon *d = o->daemon;
	struct fill fill = { .task = world.unit.task, .base = o->mappings->base };
	uint64_t words[512];
	struct vm_page *p;

	lock_acquire(&o->lock);
	assert_int_equal(fill_begin(d, o, index, 1, 1, FRAME_FIRST, &fill), RUN_BEGUN);
	lock_release(&o->lock);
	for (unsigned i = 0; i < ARRAY_LEN(words); i++)
		words[i] = world_content(o, index) + i;
	assert_int_equal(
	    pwrite(o->backing.memfd, words, sizeof(words), (off_t)index * 4096), sizeof(words));
	fill_finish(NULL, &fill, 1, PAGE_ACTIVE, false);
	p = page_at(o, index);
	if (!is_dirty) {
		assert_true(vm_page_busy_only(p));
		vm_page_make_clean(o, p);
		p->cref = world_copy(o, index).v;
		assert_false(vm_page_unbusy(p));
	}
	return fill.frames[0];
}

void
page_begin(struct vm_object *o, uint64_t index)
{
	struct daemon *d = o->daemon;
	struct pageout_worker *w = world.worker;

	pageq_lock(d);
	assert_int_equal(
	    pageq_evict_page_locked(d, o, index, false, &w->victims[w->chosen++]), EVICTION_TAKEN);
	pageq_unlock(d);
}

void
page_store(struct vm_object *o, uint64_t index)
{
	struct daemon *d = o->daemon;
	struct pageout_worker *w = world.worker;

	page_make(o, index, false);
	page_begin(o, index);
	lock_acquire(&o->lock);
	pageq_lock(d);
	vm_object_slot_set(o, index, slot_stored(world_copy(o, index)));
	pageq_launder_finish_locked(d, &w->victims[--w->chosen]);
	pageq_unlock(d);
	lock_release(&o->lock);
	__real_uffd_punch(o->backing.memfd, index * 4096, 4096);
	vm_object_put(o);
}

void
page_choose(struct vm_object *o, uint64_t index)
{
	struct daemon *d = o->daemon;
	struct pageout_worker *w = world.worker;

	pageq_lock(d);
	assert_true(pageq_deactivate_page_locked(d, o, index));
	assert_true(pageq_choose_page_locked(d, o, index, &w->victims[w->chosen++]));
	pageq_unlock(d);
}

void
victims_make(struct vm_object *o, uint64_t low, uint64_t high, bool is_dirty)
{
	for (uint64_t i = low; i < high; i++) {
		page_make(o, i, is_dirty);
		page_choose(o, i);
	}
}

unsigned
world_launder(void)
{
	unsigned freed;

	world.call_count = 0;
	world.is_laundering = true;
	freed = launder(world.worker);
	world.is_laundering = false;
	return freed;
}

/* --- what is there afterwards --- */

bool
page_is_in_memfd(struct vm_object *o, uint64_t index)
{
	uint64_t words[512];
	bool is_there;

	assert_int_equal(
	    pread(o->backing.memfd, words, sizeof(words), (off_t)index * 4096), sizeof(words));
	is_there = words[1] != 0;
	for (unsigned i = 0; i < ARRAY_LEN(words); i++)
		assert_true(words[i] == (is_there ? world_content(o, index) + i : 0));
	return is_there;
}

void
assert_left(struct vm_object *o, uint64_t index)
{
	assert_true(slot_at(o, index) == slot_stored(world_copy(o, index)));
	assert_false(page_is_in_memfd(o, index));
}

void
assert_stayed(struct vm_object *o, uint64_t index, bool is_dirty)
{
	const struct vm_page *p = page_at(o, index);

	assert_int_equal(page_state_at(o, index), PAGE_ACTIVE);
	assert_int_equal(
	    p->word & (PAGE_BUSY | PAGE_WANTED | PAGE_DIRTY), is_dirty ? PAGE_DIRTY : 0);
	assert_true(p->cref == (is_dirty ? 0 : world_copy(o, index).v));
	assert_true(page_is_in_memfd(o, index));
}

void
assert_call(unsigned i, enum call call, struct vm_object *o, uint64_t low, uint64_t high)
{
	assert_in_range(i, 0, world.call_count - 1);
	assert_int_equal(world.calls[i].call, call);
	assert_ptr_equal(world.calls[i].object, o);
	assert_int_equal(world.calls[i].low, low);
	assert_int_equal(world.calls[i].high, high);
}

bool
fault_meets(struct vm_object *o, uint64_t index)
{
	bool is_busy;

	lock_acquire(&o->lock);
	is_busy = !vm_page_busy_try(page_at(o, index));
	lock_release(&o->lock);
	return is_busy;
}

uint64_t
world_counter(enum stat_index index)
{
	return stats_counter(&world.unit.daemon->stats, index);
}

void
assert_all_left(struct vm_object *o, uint64_t low, uint64_t high)
{
	for (uint64_t i = low; i < high; i++)
		assert_left(o, i);
}

void
assert_all_stayed(struct vm_object *o, uint64_t low, uint64_t high, bool are_dirty)
{
	for (uint64_t i = low; i < high; i++)
		assert_stayed(o, i, are_dirty);
}
