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
#include "log.h"

static unsigned
slot_file(struct swap_slot slot)
{
	return (unsigned)(slot.v >> SWAP_FILE_SHIFT) & ((1u << (32 - SWAP_FILE_SHIFT)) - 1);
}

static unsigned
slot_index(struct swap_slot slot)
{
	return (unsigned)slot.v & (SWAP_SLOTS_MAX - 1);
}

static uint32_t
slot_generation(struct swap_slot slot)
{
	return (uint32_t)(slot.v >> SWAP_GENERATION_SHIFT);
}

static uint32_t
generation_after(uint32_t generation)
{
	return generation == UINT32_MAX ? 1 : generation + 1;
}

static bool
file_has_slots(const struct swap_file *f)
{
	return f->state == FILE_ACTIVE || f->state == FILE_DRAINING;
}

/* => the slot's entry and file, or NULL when the handle's use is over. => called with M held. */
static struct swap_entry *
slot_lookup(struct swap *s, struct swap_slot slot, struct swap_file **ret_file)
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
		s->files[i].fd = -1;
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

	lock_assert_held(&s->lock);
	if (swapmap_file_is_reservable(f))
		s->free_slots -= free_slots;
	f->state = state;
	f->error = error;
	if (swapmap_file_is_reservable(f))
		s->free_slots += free_slots;
}

int
swapmap_file_fill(struct swap_file *f, unsigned slots)
{
	unsigned words = (slots + 63) / 64;

	f->slots = slots;
	f->bits = calloc(words, sizeof(*f->bits));
	f->entries = calloc(slots, sizeof(*f->entries));
	if (!f->bits || !f->entries) {
		swapmap_file_empty(f);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < slots; i++)
		f->entries[i].generation = f->next_generation;
	for (unsigned i = slots; i < words * 64; i++)
		f->bits[i / 64] |= 1ull << (i % 64);
	f->hint = 0;
	return 0;
}

void
swapmap_file_empty(struct swap_file *f)
{
	CHECK(f->used == 0 && (f->state == FILE_CREATING || f->state == FILE_DELETING));
	for (unsigned i = 0; f->entries && i < f->slots; i++)
		if (f->entries[i].generation > f->next_generation)
			f->next_generation = f->entries[i].generation;
	free(f->bits);
	free(f->entries);
	f->bits = NULL;
	f->entries = NULL;
	f->slots = f->suspects = 0;
	f->written = false;
}

/* --- writes that failed --------------------------------------------------------------- */

/* => called with M held. */
static void
free_slots_change(struct swap *s, const struct swap_file *f, int by)
{
	lock_assert_held(&s->lock);
	if (swapmap_file_is_reservable(f))
		s->free_slots += (unsigned)by;
}

/* The disk has no blocks for slots that were never written: they become suspects. => called with M
 * held. */
static void
fresh_slots_withhold(struct swap *s, struct swap_file *f)
{
	lock_assert_held(&s->lock);
	for (unsigned i = 0; i < f->slots; i++) {
		struct swap_entry *e = &f->entries[i];

		if (e->state != SLOT_FREE || e->proven)
			continue;
		e->state = SLOT_SUSPECT;
		f->bits[i / 64] |= 1ull << (i % 64);
		f->suspects++;
		free_slots_change(s, f, -1);
	}
}

/* => called with M held. */
static void
file_mark(struct swap *s, struct swap_file *f, int error)
{
	lock_assert_held(&s->lock);
	if (file_has_slots(f) && f->error == 0)
		swapmap_file_switch(s, f, f->state, error);
}

/* => called with M held. */
static void
write_failed(struct swap *s, struct swap_file *f, struct swap_entry *e, int error)
{
	uint64_t later = clock_now_ns() + SWAP_RETRY_NS;
	bool no_blocks = swap_is_full_error(error) && !e->proven;
	/* Whether another file has failed before, with no success since. */
	bool all = s->probe_at_ns != 0 && f->error == 0;

	lock_assert_held(&s->lock);
	e->failed = true;
	e->proven = false;
	if (no_blocks) {
		fresh_slots_withhold(s, f);
	} else {
		s->probe_at_ns = later;
		file_mark(s, f, error);
		for (unsigned i = 0; all && i < s->file_limit; i++)
			file_mark(s, &s->files[i], error);
	}
	if (no_blocks || !f->written)
		s->create_at_ns = later;
}

void
swapmap_marks_expire(struct swap *s, uint64_t now_ns)
{
	bool all = s->probe_at_ns == 0;

	lock_assert_held(&s->lock);
	if (now_ns < s->probe_at_ns)
		return;
	for (unsigned n = 0; n < s->file_limit; n++) {
		unsigned i = (s->probe_hand + n) % s->file_limit;
		struct swap_file *f = &s->files[i];

		if (f->error == 0 || !file_has_slots(f))
			continue;
		swapmap_file_switch(s, f, f->state, 0);
		if (all)
			continue;
		/* If this file fails too, the next one is tried when the time is over again. */
		s->probe_hand = i + 1;
		s->probe_at_ns = now_ns + SWAP_RETRY_NS;
		return;
	}
}

unsigned
swapmap_suspects_release(struct swap *s)
{
	unsigned released = 0;

	lock_assert_held(&s->lock);
	for (unsigned n = 0; n < s->file_limit; n++) {
		struct swap_file *f = &s->files[n];

		for (unsigned i = 0; f->suspects > 0 && i < f->slots; i++) {
			if (f->entries[i].state != SLOT_SUSPECT)
				continue;
			f->entries[i].state = SLOT_FREE;
			f->bits[i / 64] &= ~(1ull << (i % 64));
			f->hint = 0;
			f->suspects--;
			free_slots_change(s, f, 1);
			released++;
		}
	}
	return released;
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
	f->used--;
	if (e->failed) {
		e->failed = false;
		e->state = SLOT_SUSPECT;
		f->suspects++;
		return;
	}
	e->state = SLOT_FREE;
	f->bits[word] &= ~(1ull << (index % 64));
	if (word < f->hint)
		f->hint = word;
	free_slots_change(s, f, 1);
}

int
swap_reserve(struct swap *s, struct swap_slot *ret)
{
	int error = -ENOSPC;

	CHECK_OBJ(s, SWAP_MAGIC);
	lock_acquire(&s->lock);
	/* The first file with room is taken, so that the last files stay empty and can be deleted.
	 */
	for (unsigned i = 0; s->free_slots > 0 && i < s->file_limit; i++) {
		struct swap_file *f = &s->files[i];

		if (!swapmap_file_is_reservable(f) || f->used + f->suspects == f->slots)
			continue;
		unsigned index = file_take(s, f);
		CHECK(f->entries[index].state == SLOT_FREE);
		f->entries[index].state = SLOT_RESERVED;
		s->free_slots--;
		ret->v = (uint64_t)f->entries[index].generation << SWAP_GENERATION_SHIFT |
			 (uint64_t)i << SWAP_FILE_SHIFT | index;
		error = 0;
		break;
	}
	lock_release(&s->lock);
	return error;
}

bool
swap_has_free(struct swap *s)
{
	bool any;

	CHECK_OBJ(s, SWAP_MAGIC);
	lock_acquire(&s->lock);
	any = s->free_slots > 0;
	lock_release(&s->lock);
	return any;
}

void
swap_commit(struct swap *s, struct swap_slot slot)
{
	struct swap_file *f = NULL;

	CHECK_OBJ(s, SWAP_MAGIC);
	lock_acquire(&s->lock);
	struct swap_entry *e = slot_lookup(s, slot, &f);
	CHECKF(e != NULL && e->state == SLOT_RESERVED,
	    "slot %#llx committed, but it is not reserved", (unsigned long long)slot.v);
	CHECKF(e->in_flight == 0, "slot %#llx committed while it is written",
	    (unsigned long long)slot.v);
	e->state = SLOT_VALID;
	e->proven = true;
	f->written = true;
	s->probe_at_ns = 0;
	lock_release(&s->lock);
}

void
swap_release(struct swap *s, struct swap_slot slot)
{
	struct swap_file *f = NULL;

	CHECK_OBJ(s, SWAP_MAGIC);
	lock_acquire(&s->lock);
	struct swap_entry *e = slot_lookup(s, slot, &f);
	CHECKF(e != NULL, "slot %#llx released, but its use is over", (unsigned long long)slot.v);
	if (e->in_flight > 0)
		e->state = SLOT_LEAVING;
	else
		slot_free(s, f, e);
	lock_release(&s->lock);
}

void
swap_mark_error(struct swap *s, struct swap_slot slot, int error)
{
	struct swap_file *f = NULL;

	CHECK_OBJ(s, SWAP_MAGIC);
	lock_acquire(&s->lock);
	struct swap_entry *e = slot_lookup(s, slot, &f);
	/* Only a slot that is not VALID yet can have been written. A failed read says nothing about
	 * writes. */
	if (e && e->state == SLOT_RESERVED)
		write_failed(s, f, e, error);
	lock_release(&s->lock);
	log_debug_limited("swap: slot %#llx: error %d", (unsigned long long)slot.v, error);
}

bool
swap_slot_is_draining(struct swap *s, struct swap_slot slot)
{
	struct swap_file *f = NULL;

	CHECK_OBJ(s, SWAP_MAGIC);
	lock_acquire(&s->lock);
	bool draining = slot_lookup(s, slot, &f) != NULL && f->state == FILE_DRAINING;
	lock_release(&s->lock);
	return draining;
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
	struct swap_entry *e = slot_lookup(s, slot, &f);
	if (!e) {
		error = -ESTALE;
	} else if (e->state != (direction == SWAP_WRITE ? SLOT_RESERVED : SLOT_VALID) ||
		   e->in_flight == UINT16_MAX) {
		error = -EINVAL;
	} else {
		e->in_flight++;
		ret->fd = f->fd;
		ret->file = (unsigned)(f - s->files);
		ret->epoch = f->epoch;
		ret->offset = (uint64_t)slot_index(slot) * s->slot_bytes + offset;
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
	CHECK(e->in_flight > 0 && e->generation == slot_generation(slot));
	if (--e->in_flight == 0 && e->state == SLOT_LEAVING)
		slot_free(s, f, e);
	if (result != 0) {
		*(write ? &s->stats.write_errors : &s->stats.read_errors) += 1;
	} else {
		*(write ? &s->stats.writes : &s->stats.reads) += 1;
		*(write ? &s->stats.write_bytes : &s->stats.read_bytes) += length;
	}
	lock_release(&s->lock);
}
