/* SPDX-License-Identifier: MIT
 *
 * Writes that failed, or that a process before this one may still be making: which slots and files
 * are not used for how long (swap_priv.h). Runs on: any thread. Locks: SWAPMAP, never across a
 * system call.
 */
#include "swapmap.h"

#include "check.h"
#include "clock.h"
#include "log.h"

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
		swapmap_free_change(s, f, -1);
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
	struct swap_backend *b = &s->backends[f->backend];
	uint64_t later = clock_now_ns() + SWAP_RETRY_NS;
	bool no_blocks = swap_is_full_error(error) && !e->proven;
	/* Whether another file has failed before, with no success since. */
	bool all = b->probe_at_ns != 0 && f->error == 0;

	lock_assert_held(&s->lock);
	e->failed = true;
	e->proven = false;
	if (no_blocks) {
		fresh_slots_withhold(s, f);
	} else {
		b->probe_at_ns = later;
		file_mark(s, f, error);
		for (unsigned i = 0; all && i < s->file_limit; i++)
			if (s->files[i].backend == f->backend)
				file_mark(s, &s->files[i], error);
	}
	if (no_blocks || !f->written)
		b->create_at_ns = later;
}

/* => called with M held. */
static void
marks_expire_on(struct swap *s, unsigned backend, uint64_t now_ns)
{
	struct swap_backend *b = &s->backends[backend];
	bool all = b->probe_at_ns == 0;

	lock_assert_held(&s->lock);
	if (now_ns < b->probe_at_ns)
		return;
	for (unsigned n = 0; n < s->file_limit; n++) {
		unsigned i = (b->probe_hand + n) % s->file_limit;
		struct swap_file *f = &s->files[i];

		if (f->error == 0 || f->backend != backend || !file_has_slots(f))
			continue;
		swapmap_file_switch(s, f, f->state, 0);
		if (all)
			continue;
		/* If this file fails too, the next one is tried when the time is over again. */
		b->probe_hand = i + 1;
		b->probe_at_ns = now_ns + SWAP_RETRY_NS;
		return;
	}
}

void
swapmap_marks_expire(struct swap *s, uint64_t now_ns)
{
	lock_assert_held(&s->lock);
	for (unsigned i = 0; i < s->backend_count; i++)
		marks_expire_on(s, i, now_ns);
}

/* => called with M held. */
static void
suspect_release(struct swap *s, struct swap_file *f, unsigned i)
{
	lock_assert_held(&s->lock);
	f->entries[i].state = SLOT_FREE;
	f->bits[i / 64] &= ~(1ull << (i % 64));
	f->hint = 0;
	f->suspects--;
	swapmap_free_change(s, f, 1);
}

unsigned
swapmap_suspects_release(struct swap *s)
{
	unsigned released = 0;

	lock_assert_held(&s->lock);
	for (unsigned n = 0; n < s->file_limit; n++) {
		struct swap_file *f = &s->files[n];

		for (unsigned i = 0; f->suspects > 0 && i < f->slots; i++) {
			if (f->entries[i].state != SLOT_SUSPECT || f->entries[i].stray ||
			    f->entries[i].left)
				continue;
			suspect_release(s, f, i);
			released++;
		}
	}
	return released;
}

void
swapmap_left_release(struct swap *s)
{
	lock_assert_held(&s->lock);
	for (unsigned n = 0; n < s->file_limit; n++) {
		struct swap_file *f = &s->files[n];

		for (unsigned i = 0; f->has_left && i < f->slots; i++)
			if (f->entries[i].left) {
				CHECK(f->entries[i].state == SLOT_SUSPECT);
				f->entries[i].left = false;
				suspect_release(s, f, i);
			}
		f->has_left = false;
	}
}

void
swap_mark_error(struct swap *s, struct swap_slot slot, int error)
{
	struct swap_file *f = NULL;

	CHECK_OBJ(s, SWAP_MAGIC);
	lock_acquire(&s->lock);
	struct swap_entry *e = swapmap_lookup(s, slot, &f);
	/* Only a slot that is not VALID yet can have been written. A failed read says nothing about
	 * writes. */
	if (e && e->state == SLOT_RESERVED)
		write_failed(s, f, e, error);
	lock_release(&s->lock);
	log_debug_limited("swap: slot %#llx: error %d", (unsigned long long)slot.v, error);
}
