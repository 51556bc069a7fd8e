/* SPDX-License-Identifier: MIT
 *
 * The map of slots: which are taken, by which generation of use, and with how much I/O in flight.
 * The states are in swap_priv.h. Runs on: any thread. Locks: SWAPMAP, never across a system call.
 * Allocates only when a file is created.
 */
#include "swapmap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "clock.h"
#include "failpt.h"
#include "log.h"
#include "swaptables.h"

struct swap_entry *
swapmap_lookup(struct swap *s, struct swap_slot slot, struct swap_file **ret_file)
{
	unsigned file = slot_file(slot), index = slot_index(slot);

	lock_assert_held(&s->lock);
	if (file >= s->file_limit || !file_has_slots(&s->files[file]) ||
	    index >= s->files[file].slots)
		return NULL;
	struct swap_entry *e = &s->files[file].entries[index];
	if (e->generation != slot_generation(slot) || e->state == SLOT_FREE ||
	    e->state == SLOT_LEAVING || e->state == SLOT_SUSPECT)
		return NULL;
	*ret_file = &s->files[file];
	return e;
}

int
swapmap_init(struct swap *s)
{
	s->files = calloc(s->files_max, sizeof(*s->files));
	if (!s->files)
		return -ENOMEM;
	for (unsigned i = 0; i < s->files_max; i++) {
		s->files[i].extent.fd = -1;
		s->files[i].next_generation = 1;
	}
	s->draining = SWAP_NO_FILE;
	lock_init(&s->lock, RANK_SWAPMAP);
	return 0;
}

void
swapmap_fini(struct swap *s)
{
	lock_fini(&s->lock);
	free(s->files);
}

void
swapmap_file_switch(struct swap *s, struct swap_file *f, enum swap_file_state state, int error)
{
	unsigned free_slots = f->slots - f->used - f->suspects;
	struct swap_backend *b = &s->backends[f->backend];

	lock_assert_held(&s->lock);
	if (swapmap_file_is_reservable(f))
		b->free_slots -= free_slots;
	f->state = state;
	f->error = error;
	if (swapmap_file_is_reservable(f))
		b->free_slots += free_slots;
	swap_tables_put(s, f);
}

int
swapmap_file_room(struct swap *s, struct swap_file *f, unsigned slots)
{
	unsigned words = (slots + 63) / 64;

	f->slots = slots;
	f->bits = calloc(words, sizeof(*f->bits));
	f->entries = s->kept ? swap_tables_entries(s, (unsigned)(f - s->files))
			     : calloc(slots, sizeof(*f->entries));
	if (!f->bits || !f->entries) {
		swapmap_file_empty(s, f);
		return -ENOMEM;
	}
	for (unsigned i = slots; i < words * 64; i++)
		f->bits[i / 64] |= 1ull << (i % 64);
	f->hint = 0;
	return 0;
}

int
swapmap_file_fill(struct swap *s, struct swap_file *f, unsigned slots)
{
	int error = swapmap_file_room(s, f, slots);

	for (unsigned i = 0; !error && i < slots; i++)
		f->entries[i] = (struct swap_entry){ .generation = f->next_generation };
	return error;
}

void
swapmap_file_empty(struct swap *s, struct swap_file *f)
{
	CHECK(f->used == 0 && (f->state == FILE_CREATING || f->state == FILE_DELETING));
	for (unsigned i = 0; f->entries && i < f->slots; i++)
		if (f->entries[i].generation > f->next_generation)
			f->next_generation = f->entries[i].generation;
	free(f->bits);
	if (!s->kept)
		free(f->entries);
	f->bits = NULL;
	f->entries = NULL;
	f->slots = f->suspects = 0;
	f->written = f->has_stray = f->has_left = false;
}

/* --- slots ---------------------------------------------------------------------------- */

/* Takes the first free slot. => called with M held; there is one. */
static unsigned
file_take(struct swap *s, struct swap_file *f)
{
	unsigned word = f->hint;

	lock_assert_held(&s->lock);
	while (f->bits[word] == UINT64_MAX)
		word++;
	f->hint = word;
	unsigned bit = (unsigned)__builtin_ctzll(~f->bits[word]);
	f->bits[word] |= 1ull << bit;
	f->used++;
	return word * 64 + bit;
}

/* Ends a slot's use. => called with M held; no I/O is in flight. */
static void
slot_free(struct swap *s, struct swap_file *f, struct swap_entry *e)
{
	unsigned index = (unsigned)(e - f->entries), word = index / 64;

	lock_assert_held(&s->lock);
	CHECK(f->used > 0 && e->in_flight == 0);
	e->generation = generation_after(e->generation);
	/* Whoever takes over never finds a slot that is FREE and has the generation of before. */
	atomic_signal_fence(memory_order_release);
	failpt_die(FAIL_DIE_SWAP_FREED);
	f->used--;
	if (e->failed || e->stray) {
		e->failed = e->proven = false;
		e->state = SLOT_SUSPECT;
		f->suspects++;
		return;
	}
	e->state = SLOT_FREE;
	f->bits[word] &= ~(1ull << (index % 64));
	if (word < f->hint)
		f->hint = word;
	swapmap_free_change(s, f, 1);
}

/* Whether it has a slot for a new use, and answers. => called with M held. */
static bool
backend_is_reservable(const struct swap_backend *b, uint64_t now_ns)
{
	lock_assert_held(&b->swap->lock);
	return b->free_slots > 0 && !swap_backend_is_stalled(b, now_ns);
}

unsigned
swapmap_free_slots(const struct swap *s, uint64_t now_ns)
{
	unsigned free_slots = 0;

	lock_assert_held(&s->lock);
	for (unsigned i = 0; i < s->backend_count; i++)
		if (backend_is_reservable(&s->backends[i], now_ns))
			free_slots += s->backends[i].free_slots;
	return free_slots;
}

/* Of several with the highest priority, the one with the least under way: they share the work. =>
 * its index, or backend_count. => called with M held. */
static unsigned
backend_choose(const struct swap *s, uint64_t now_ns)
{
	unsigned best = s->backend_count;

	lock_assert_held(&s->lock);
	for (unsigned i = 0; i < s->backend_count; i++) {
		const struct swap_backend *b = &s->backends[i];

		if (best < s->backend_count && b->priority < s->backends[best].priority)
			break;
		if (backend_is_reservable(b, now_ns) &&
		    (best == s->backend_count || b->in_flight < s->backends[best].in_flight))
			best = i;
	}
	return best;
}

/* => called with M held; it has a free slot. */
static struct swap_slot
slot_take(struct swap *s, unsigned backend)
{
	unsigned i = 0;

	lock_assert_held(&s->lock);
	/* The first file with room is taken, so that the last files stay empty and can be deleted.
	 */
	for (; i < s->file_limit; i++)
		if (s->files[i].backend == backend && swapmap_file_is_reservable(&s->files[i]) &&
		    s->files[i].used + s->files[i].suspects < s->files[i].slots)
			break;
	CHECK(i < s->file_limit);
	struct swap_file *f = &s->files[i];
	unsigned index = file_take(s, f);
	CHECK(f->entries[index].state == SLOT_FREE);
	f->entries[index].state = SLOT_RESERVED;
	f->entries[index].sealed = false;
	s->backends[backend].free_slots--;
	return (struct swap_slot){ (uint64_t)f->entries[index].generation << SWAP_GENERATION_SHIFT |
				   (uint64_t)i << SWAP_FILE_SHIFT | index };
}

int
swap_reserve(struct swap *s, struct swap_slot *ret)
{
	CHECK_OBJ(s, SWAP_MAGIC);
	lock_acquire(&s->lock);
	unsigned backend = backend_choose(s, clock_now_ns());
	bool found = backend < s->backend_count;
	if (found)
		*ret = slot_take(s, backend);
	lock_release(&s->lock);
	return found ? 0 : -ENOSPC;
}

int
swap_reserve_beside(struct swap *s, struct swap_slot other, struct swap_slot *ret)
{
	bool found;

	CHECK_OBJ(s, SWAP_MAGIC);
	lock_acquire(&s->lock);
	unsigned backend = s->files[slot_file(other)].backend;
	found = backend_is_reservable(&s->backends[backend], clock_now_ns());
	if (found)
		*ret = slot_take(s, backend);
	lock_release(&s->lock);
	return found ? 0 : -ENOSPC;
}

bool
swap_has_free(struct swap *s)
{
	bool any = false;

	CHECK_OBJ(s, SWAP_MAGIC);
	lock_acquire(&s->lock);
	for (unsigned i = 0; i < s->backend_count; i++)
		any |= s->backends[i].free_slots > 0;
	lock_release(&s->lock);
	return any;
}

struct swap_fault
swap_fault_of(struct swap *s, struct swap_slot slot, int error)
{
	const struct swap_backend *b;

	CHECK_OBJ(s, SWAP_MAGIC);
	CHECK(slot_file(slot) < s->files_max);
	lock_acquire(&s->lock);
	b = &s->backends[s->files[slot_file(slot)].backend];
	lock_release(&s->lock);
	return (struct swap_fault){ .error = error, .kind = b->ops->kind, .where = b->where };
}

void
swap_commit(struct swap *s, struct swap_slot slot)
{
	struct swap_file *f = NULL;

	CHECK_OBJ(s, SWAP_MAGIC);
	lock_acquire(&s->lock);
	struct swap_entry *e = swapmap_lookup(s, slot, &f);
	CHECKF(e != NULL && e->state == SLOT_RESERVED,
	    "slot %#llx committed, but it is not reserved", (unsigned long long)slot.v);
	CHECKF(e->in_flight == 0, "slot %#llx committed while it is written",
	    (unsigned long long)slot.v);
	e->state = SLOT_VALID;
	e->proven = true;
	f->written = true;
	s->backends[f->backend].probe_at_ns = 0;
	lock_release(&s->lock);
}

void
swap_release(struct swap *s, struct swap_slot slot)
{
	struct swap_file *f = NULL;

	CHECK_OBJ(s, SWAP_MAGIC);
	lock_acquire(&s->lock);
	struct swap_entry *e = swapmap_lookup(s, slot, &f);
	CHECKF(e != NULL, "slot %#llx released, but its use is over", (unsigned long long)slot.v);
	if (e->in_flight > 0)
		e->state = SLOT_LEAVING;
	else
		slot_free(s, f, e);
	lock_release(&s->lock);
}

bool
swap_slot_is_draining(struct swap *s, struct swap_slot slot)
{
	struct swap_file *f = NULL;

	CHECK_OBJ(s, SWAP_MAGIC);
	lock_acquire(&s->lock);
	bool draining = swapmap_lookup(s, slot, &f) != NULL && f->state == FILE_DRAINING;
	lock_release(&s->lock);
	return draining;
}

/* => whether the transfer is one that the slot's state allows. A sealed slot is written once, from
 * its beginning on. => called with M held. */
static bool
io_is_allowed(
    const struct swap_backend *b, const struct swap_entry *e, int direction, size_t offset)
{
	lock_assert_held(&b->swap->lock);
	if (e->in_flight == UINT16_MAX)
		return false;
	if (direction != SWAP_WRITE)
		return e->state == SLOT_VALID;
	return e->state == SLOT_RESERVED && !(b->is_sealed && (offset != 0 || e->sealed));
}

int
swapmap_io_begin(struct swap *s, struct swap_slot slot, int direction, size_t offset, size_t length,
    struct swap_place *ret)
{
	struct swap_file *f = NULL;
	int error = 0;

	if (length == 0 || offset % SWAP_SECTOR != 0 || length % SWAP_SECTOR != 0 ||
	    offset > s->slot_bytes || length > s->slot_bytes - offset)
		return -EINVAL;
	lock_acquire(&s->lock);
	struct swap_entry *e = swapmap_lookup(s, slot, &f);
	struct swap_backend *b = e ? &s->backends[f->backend] : NULL;
	if (!e) {
		error = -ESTALE;
	} else if (!io_is_allowed(b, e, direction, offset)) {
		error = -EINVAL;
	} else {
		e->in_flight++;
		e->sealed |= direction == SWAP_WRITE && b->is_sealed;
		if (b->in_flight++ == 0)
			b->progress_ns = clock_now_ns();
		ret->server = b->ops->kind == SWAP_NBD ? b : NULL;
		ret->is_sealed = b->is_sealed;
		ret->fd = f->extent.fd;
		ret->file = (unsigned)(f - s->files);
		ret->epoch = f->epoch;
		ret->offset = f->extent.offset + slot_index(slot) * (uint64_t)b->stride_bytes +
			      (b->is_sealed ? 0 : offset);
	}
	lock_release(&s->lock);
	return error;
}

void
swapmap_io_end(struct swap *s, struct swap_slot slot, int direction, size_t length, int result)
{
	struct swap_file *f = &s->files[slot_file(slot)];
	bool write = direction == SWAP_WRITE;

	lock_acquire(&s->lock);
	struct swap_entry *e = &f->entries[slot_index(slot)];
	struct swap_backend *b = &s->backends[f->backend];
	struct swap_traffic *t = &b->traffic;
	CHECK(e->in_flight > 0 && b->in_flight > 0 && e->generation == slot_generation(slot));
	b->in_flight--;
	b->progress_ns = clock_now_ns();
	if (--e->in_flight == 0 && e->state == SLOT_LEAVING)
		slot_free(s, f, e);
	if (result != 0) {
		*(write ? &t->write_errors : &t->read_errors) += 1;
	} else {
		*(write ? &t->writes : &t->reads) += 1;
		*(write ? &t->write_bytes : &t->read_bytes) += length;
	}
	lock_release(&s->lock);
}

void
swapmap_io_stray(struct swap *s, struct swap_slot slot)
{
	struct swap_file *f = &s->files[slot_file(slot)];
	struct swap_entry *e;

	lock_acquire(&s->lock);
	e = &f->entries[slot_index(slot)];
	CHECK(e->in_flight > 0 && e->generation == slot_generation(slot));
	e->stray = true;
	f->has_stray = true;
	lock_release(&s->lock);
}

bool
swap_slot_is_stalled(struct swap *s, struct swap_slot slot)
{
	bool stalled;

	CHECK_OBJ(s, SWAP_MAGIC);
	lock_acquire(&s->lock);
	stalled = swap_backend_is_stalled(
	    &s->backends[s->files[slot_file(slot)].backend], clock_now_ns());
	lock_release(&s->lock);
	return stalled;
}

unsigned
swap_slot_backend(struct swap *s, struct swap_slot slot, enum swap_kind *ret_kind)
{
	unsigned backend;

	CHECK_OBJ(s, SWAP_MAGIC);
	lock_acquire(&s->lock);
	backend = s->files[slot_file(slot)].backend;
	lock_release(&s->lock);
	*ret_kind = s->backends[backend].ops->kind;
	return backend;
}

void
swapmap_io_damaged(struct swap *s, struct swap_slot slot, unsigned blocks)
{
	lock_acquire(&s->lock);
	s->backends[s->files[slot_file(slot)].backend].traffic.damaged += blocks;
	lock_release(&s->lock);
}
