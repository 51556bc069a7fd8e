/* SPDX-License-Identifier: MIT
 *
 * Swap that another process has left is taken over. Its tables say which files there are, and which
 * generation each slot has; that a slot holds something is said by whoever has its handle, since a
 * handle is given away only when the write has ended. A slot that the other may have been writing
 * gets the next generation, and is not used before no ring of the other's is left: a write that
 * comes late hits nobody's content. On a server it may come at any time: there the slot is never
 * used again. Any step may be the last one: the tables are such at each
 * moment that the next process can do the same again.
 *
 * Runs on: the thread that starts swap, while nobody else calls.
 */
#include "swapadopt.h"

#include <unistd.h>

#include "check.h"
#include "failpt.h"
#include "log.h"
#include "swapmap.h"
#include "swapseal.h"
#include "swaptables.h"

int
swap_adopt_key(struct swap *s, const char *file)
{
	int fd = swap_tables_take(s, SWAP_KEPT_KEY, 0), error;

	if (fd >= 0) {
		error = swap_key_restore(fd, &s->key);
		close(fd);
		return error;
	}
	error = swap_key_create(file, &s->key);
	if (error || !s->kept)
		return error;
	fd = swap_key_leave(s->key);
	if (fd < 0)
		return fd;
	swap_tables_keep(s, SWAP_KEPT_KEY, 0, fd);
	close(fd);
	return 0;
}

/* --- files ---------------------------------------------------------------------------------- */

/* It was being made or deleted: nobody has a handle of it. */
static void
file_clear(struct swap *s, struct swap_file *f, const struct swap_row *row)
{
	unsigned number = (unsigned)(f - s->files);
	const struct swap_entry *entries = swap_tables_entries(s, number);
	const struct swap_backend *b = &s->backends[row->backend];
	int fd = swap_tables_take(s, SWAP_KEPT_FILE, number);

	if (b->ops->file_clear)
		b->ops->file_clear(&s->backends[row->backend], number, fd);
	/* Its slots may have been made, or counted, or neither. */
	for (unsigned i = 0; i < s->kept->slots_most; i++)
		if (entries[i].generation > f->next_generation)
			f->next_generation = entries[i].generation;
	if (fd >= 0)
		swap_tables_drop(s, SWAP_KEPT_FILE, number);
	lock_acquire(&s->lock);
	swapmap_file_switch(s, f, FILE_NONE, 0);
	lock_release(&s->lock);
}

/* All slots count as used until swap_adopt_end; a bit says that somebody has the slot. */
static int
file_adopt(struct swap *s, struct swap_file *f, const struct swap_row *row)
{
	unsigned number = (unsigned)(f - s->files);
	struct swap_backend *b = &s->backends[row->backend];
	struct swap_extent extent = { .fd = swap_tables_take(s, SWAP_KEPT_FILE, number),
		.offset = row->offset };
	int error;

	if (row->slots == 0 || row->slots > b->slots_per_file)
		return -EPROTO;
	error = b->ops->file_adopt(b, number, &extent);
	if (error)
		return error;
	error = swapmap_file_room(s, f, row->slots);
	if (error)
		return error;
	for (unsigned i = 0; i < f->slots; i++) {
		f->entries[i].in_flight = 0;
		f->written |= f->entries[i].proven;
	}
	f->extent = extent;
	f->used = f->slots;
	f->epoch = 1;
	lock_acquire(&s->lock);
	s->file_limit = number + 1;
	swapmap_file_switch(s, f, FILE_ACTIVE, 0);
	lock_release(&s->lock);
	return 0;
}

int
swap_adopt_files(struct swap *s)
{
	int error = 0;

	locks_assert_none();
	if (!s->kept || !s->kept->was_there)
		return 0;
	for (unsigned i = 0; i < s->files_max && !error; i++) {
		struct swap_row *row = swap_tables_row(s, i);
		struct swap_file *f = &s->files[i];
		enum swap_file_state state = load_acquire(&row->state);

		if (row->next_generation > f->next_generation)
			f->next_generation = row->next_generation;
		if (state == FILE_NONE)
			continue;
		if (row->backend >= s->backend_count)
			return -EPROTO;
		f->backend = row->backend;
		if (state == FILE_ACTIVE || state == FILE_DRAINING)
			error = file_adopt(s, f, row);
		else
			file_clear(s, f, row);
	}
	return error;
}

/* --- slots ---------------------------------------------------------------------------------- */

bool
swap_adopt(struct swap *s, struct swap_slot slot)
{
	unsigned i = slot_index(slot);
	struct swap_file *f = NULL;
	struct swap_entry *e;
	bool is_there;

	CHECK_OBJ(s, SWAP_MAGIC);
	lock_acquire(&s->lock);
	e = swapmap_lookup(s, slot, &f);
	is_there = e && e->state == SLOT_VALID && !(f->bits[i / 64] >> i % 64 & 1);
	if (is_there)
		f->bits[i / 64] |= 1ull << i % 64;
	lock_release(&s->lock);
	return is_there;
}

/* Nobody has the slot. on_server: what was sent there is not heard of again */
static void
entry_end(struct swap_entry *e, bool on_server)
{
	bool may_be_written = e->state == SLOT_RESERVED || e->state == SLOT_LEAVING;

	if (e->state == SLOT_FREE || e->state == SLOT_SUSPECT)
		return;
	/* What was sealed with this generation is never sealed again with it: so it is the first to
	 * change. */
	e->generation = generation_after(e->generation);
	e->sealed = e->failed = false;
	if (may_be_written) {
		e->proven = false;
		e->left = !on_server;
		e->stray |= on_server;
	}
	atomic_signal_fence(memory_order_release);
	failpt_die(FAIL_DIE_SWAP_ADOPT);
	e->state = may_be_written ? SLOT_SUSPECT : SLOT_FREE;
}

/* => called with M held. */
static void
file_end(struct swap *s, struct swap_file *f)
{
	bool on_server = s->backends[f->backend].ops->kind == SWAP_NBD;
	unsigned used = 0, suspects = 0;

	lock_assert_held(&s->lock);
	for (unsigned i = 0; i < f->slots; i++) {
		struct swap_entry *e = &f->entries[i];

		if (f->bits[i / 64] >> i % 64 & 1) {
			used++;
			continue;
		}
		entry_end(e, on_server);
		f->has_stray |= e->stray;
		f->has_left |= e->left;
		suspects += e->state == SLOT_SUSPECT;
		if (e->state == SLOT_SUSPECT)
			f->bits[i / 64] |= 1ull << i % 64;
	}
	swapmap_free_change(s, f, (int)(f->used - used) - (int)suspects);
	f->used = used;
	f->suspects = suspects;
}

void
swap_adopt_end(struct swap *s)
{
	CHECK_OBJ(s, SWAP_MAGIC);
	if (!s->kept || !s->kept->was_there)
		return;
	(void)swap_tables_lines_look(s);
	lock_acquire(&s->lock);
	for (unsigned i = 0; i < s->file_limit; i++)
		if (file_has_slots(&s->files[i]))
			file_end(s, &s->files[i]);
	if (s->kept->line_count == 0)
		swapmap_left_release(s);
	lock_release(&s->lock);
}
