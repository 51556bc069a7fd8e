/* SPDX-License-Identifier: MIT
 *
 * swap_is_valid: the bullets and equations of swap_priv.h as code. Runs on: any thread.
 */
#include "swap_priv.h"

#include <stdio.h>

#include "check.h"

#define EXPECT(cond)                                                                               \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			snprintf(msg, msg_size, "file %u: %s", number, #cond);                     \
			return false;                                                              \
		}                                                                                  \
	} while (0)

static bool
file_is_valid(const struct swap *s, unsigned number, char *msg, size_t msg_size)
{
	const struct swap_file *f = &s->files[number];
	unsigned used = 0, suspects = 0;

	EXPECT((f->state == FILE_DRAINING) == (s->draining == number));
	if (f->state != FILE_ACTIVE && f->state != FILE_DRAINING) {
		EXPECT(f->used == 0 && (f->state == FILE_DELETING || f->suspects == 0));
		return true;
	}
	EXPECT(number < s->file_limit);
	EXPECT(f->backend < s->backend_count);
	EXPECT((f->extent.fd >= 0) == (s->backends[f->backend].ops->kind != SWAP_NBD));
	EXPECT(f->entries != NULL && f->bits != NULL);
	EXPECT(f->slots > 0 && f->slots <= s->backends[f->backend].slots_per_file);
	for (unsigned i = 0; i < f->slots; i++) {
		const struct swap_entry *e = &f->entries[i];
		bool bit = (f->bits[i / 64] >> (i % 64) & 1) != 0;

		EXPECT(bit == (e->state != SLOT_FREE));
		EXPECT(bit || i / 64 >= f->hint);
		EXPECT(e->state != SLOT_FREE || e->in_flight == 0);
		EXPECT(e->state != SLOT_LEAVING || e->in_flight > 0);
		EXPECT(e->state != SLOT_SUSPECT || (e->in_flight == 0 && !e->proven));
		EXPECT(e->state != SLOT_FREE || !e->failed);
		EXPECT(e->generation != 0);
		used += bit && e->state != SLOT_SUSPECT;
		suspects += e->state == SLOT_SUSPECT;
	}
	EXPECT(used == f->used);
	EXPECT(suspects == f->suspects);
	return true;
}

bool
swap_is_valid(struct swap *s, char *msg, size_t msg_size)
{
	unsigned free_slots[SWAP_BACKENDS_MAX] = { 0 };
	bool valid = true;

	CHECK_OBJ(s, SWAP_MAGIC);
	lock_acquire(&s->lock);
	for (unsigned i = 0; valid && i < s->files_max; i++) {
		const struct swap_file *f = &s->files[i];

		valid = file_is_valid(s, i, msg, msg_size);
		if (swapmap_file_is_reservable(f))
			free_slots[f->backend] += f->slots - f->used - f->suspects;
	}
	for (unsigned i = 0; valid && i < s->backend_count; i++) {
		if (free_slots[i] == s->backends[i].free_slots)
			continue;
		snprintf(msg, msg_size, "%s: free slots: %u counted, %u in the books",
		    s->backends[i].where, free_slots[i], s->backends[i].free_slots);
		valid = false;
	}
	lock_release(&s->lock);
	return valid;
}
