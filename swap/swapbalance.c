/* SPDX-License-Identifier: MIT
 *
 * Swap as a whole: start and stop, and how many files there are. In swap_balance:
 *
 *   free < low                          another file is made
 *   free without some file > high       that file (fewest used slots) is drained, then deleted
 *   free after the drain < (low+high)/2  the drain is given up
 *
 * The three counts differ, so that a deletion is not followed by a creation, nor a drain given up
 * as soon as it begins. A file in which writes failed is deleted as soon as it is empty, and is
 * drained before others.
 *
 * If the disk or max_bytes has no room for a whole file, one of half the size is tried, and so on.
 *
 * Runs on: swap_balance on one thread that may block; the file system is called without a lock.
 */
#include "swap_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "clock.h"
#include "log.h"
#include "swapfile.h"
#include "swapmap.h"

static unsigned
file_slots_min(uint64_t slots_per_file)
{
	return (unsigned)min_u64(SWAP_FILE_SLOTS_MIN, slots_per_file);
}

uint64_t
swap_file_bytes_min(const struct swap_config *config)
{
	return file_slots_min(config->file_bytes / config->slot_bytes) *
	       (uint64_t)config->slot_bytes;
}

int
swap_create(const struct swap_config *config, struct swap **ret)
{
	uint64_t slots = config->slot_bytes ? config->file_bytes / config->slot_bytes : 0;

	if (slots == 0 || slots > SWAP_SLOTS_MAX || config->slot_bytes % SWAP_ALIGN != 0 ||
	    config->low_free_slots > config->high_free_slots)
		return -EINVAL;
	if (config->max_bytes != 0 && config->max_bytes < swap_file_bytes_min(config))
		return -ERANGE;
	struct swap *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->magic = SWAP_MAGIC;
	s->slot_bytes = config->slot_bytes;
	s->max_bytes = config->max_bytes;
	s->slots_per_file = (unsigned)slots;
	s->low_free_slots = config->low_free_slots;
	s->high_free_slots = config->high_free_slots;
	s->force_sync = config->force_sync;
	s->files_max = SWAP_FILES_MAX;
	if (s->max_bytes != 0)
		s->files_max =
		    (unsigned)min_u64(SWAP_FILES_MAX, s->max_bytes / swap_file_bytes_min(config));
	s->stats.uses_io_uring = !config->force_sync;
	s->directory = strdup(config->directory);
	int error = s->directory ? swapmap_init(s) : -ENOMEM;
	if (error) {
		free(s->directory);
		free(s);
		return error;
	}
	error = swapdir_open(s->directory, &s->dir);
	if (error) {
		swapmap_fini(s);
		free(s->directory);
		free(s);
		return error;
	}
	*ret = s;
	return 0;
}

/* => called without locks; the file is DELETING. */
static void
file_delete(struct swap *s, struct swap_file *f)
{
	locks_assert_none();
	swapfile_delete(&s->dir, (unsigned)(f - s->files), f->fd);
	swapmap_file_empty(f);
	lock_acquire(&s->lock);
	f->fd = -1;
	swapmap_file_switch(s, f, FILE_NONE, 0);
	while (s->file_limit > 0 && s->files[s->file_limit - 1].state == FILE_NONE)
		s->file_limit--;
	s->stats.files_deleted++;
	lock_release(&s->lock);
}

void
swap_destroy(struct swap *s)
{
	if (!s)
		return;
	CHECK_OBJ(s, SWAP_MAGIC);
	CHECKF(s->channels == 0, "swap destroyed with %u channels open", s->channels);
	for (unsigned i = 0; i < s->files_max; i++) {
		struct swap_file *f = &s->files[i];

		if (f->state == FILE_NONE)
			continue;
		lock_acquire(&s->lock);
		/* The content is lost here, and its handles are not used again. */
		f->used = 0;
		swapmap_file_switch(s, f, FILE_DELETING, f->error);
		lock_release(&s->lock);
		file_delete(s, f);
	}
	swapdir_close(&s->dir);
	swapmap_fini(s);
	free(s->directory);
	s->magic = 0;
	free(s);
}

void
swap_abandon(struct swap *s)
{
	CHECK_OBJ(s, SWAP_MAGIC);
	/* The process ends, so this once the lock is held across file system calls: no other thread
	 * may make a directory again that has vanished. */
	lock_acquire(&s->lock);
	swapdir_abandon(&s->dir);
	lock_release(&s->lock);
}

/* => the file's place, CREATING, and how many slots it may have, or -errno. => called with M held.
 */
static int
file_place(struct swap *s, struct swap_file **ret, unsigned *ret_slots)
{
	uint64_t slots = s->slots_per_file, taken = 0;
	struct swap_file *place = NULL;

	lock_assert_held(&s->lock);
	for (unsigned i = 0; i < s->files_max; i++) {
		if (s->files[i].state != FILE_NONE)
			taken += s->files[i].slots * (uint64_t)s->slot_bytes;
		else if (!place)
			place = &s->files[i];
	}
	if (s->max_bytes != 0)
		slots = min_u64(slots, (s->max_bytes - taken) / s->slot_bytes);
	if (!place || slots < file_slots_min(s->slots_per_file))
		return -EDQUOT;
	if (place >= s->files + s->file_limit)
		s->file_limit = (unsigned)(place - s->files) + 1;
	swapmap_file_switch(s, place, FILE_CREATING, 0);
	*ret = place;
	*ret_slots = (unsigned)slots;
	return 0;
}

/* Makes a file on disk with *slots slots, or as many as there is room for. A directory that has
 * vanished is made again.
 * => called without locks. */
static int
file_make(struct swap *s, unsigned number, unsigned *slots, int *ret_fd, bool *ret_direct)
{
	bool reopened = false;
	int error;

	for (;;) {
		error = swapfile_create(
		    &s->dir, number, *slots * (uint64_t)s->slot_bytes, ret_fd, ret_direct);
		if (swap_is_full_error(error) && *slots / 2 >= file_slots_min(s->slots_per_file)) {
			*slots /= 2;
		} else if (error == -ENOENT && !reopened) {
			struct swap_dir dir;

			error = swapdir_open(s->directory, &dir);
			if (error)
				return error;
			lock_acquire(&s->lock);
			struct swap_dir old = s->dir;
			s->dir = dir;
			lock_release(&s->lock);
			swapdir_close(&old);
			reopened = true;
		} else {
			return error;
		}
	}
}

/* => called without locks. */
static int
file_create(struct swap *s)
{
	struct swap_file *f = NULL;
	unsigned slots = 0;
	int fd = -1;
	bool direct = false;

	locks_assert_none();
	lock_acquire(&s->lock);
	int error = file_place(s, &f, &slots);
	lock_release(&s->lock);
	if (error)
		return error;
	error = file_make(s, (unsigned)(f - s->files), &slots, &fd, &direct);
	if (error == 0) {
		error = swapmap_file_fill(f, slots);
		if (error)
			swapfile_delete(&s->dir, (unsigned)(f - s->files), fd);
	}
	lock_acquire(&s->lock);
	if (error == 0) {
		f->fd = fd;
		f->direct = direct;
		f->epoch++;
		s->stats.files_created++;
	}
	swapmap_file_switch(s, f, error ? FILE_NONE : FILE_ACTIVE, 0);
	lock_release(&s->lock);
	return error;
}

/* The free slots that will be left when the file has been emptied into others and deleted; may be
 * negative.
 * => called with M held. */
static long long
free_without(const struct swap *s, const struct swap_file *f)
{
	long long lost = f->used;

	lock_assert_held(&s->lock);
	if (swapmap_file_is_reservable(f))
		lost = f->slots - f->suspects;
	return (long long)s->free_slots - lost;
}

/* => the file to drain next, or NULL. => called with M held. */
static struct swap_file *
drain_candidate(struct swap *s, uint64_t now_ns)
{
	struct swap_file *best = NULL;
	bool best_failed = false;

	lock_assert_held(&s->lock);
	for (unsigned i = 0; i < s->file_limit; i++) {
		struct swap_file *f = &s->files[i];
		bool failed = swapmap_file_has_failed(f), empty_loss = failed && f->used == 0;

		if (f->state != FILE_ACTIVE || (f->used > 0 && now_ns < s->drain_at_ns) ||
		    (!empty_loss && free_without(s, f) <= s->high_free_slots))
			continue;
		/* Of equals the last is taken, because reservations go to the first. */
		if (!best || failed > best_failed ||
		    (failed == best_failed && f->used <= best->used)) {
			best = f;
			best_failed = failed;
		}
	}
	return best;
}

void
swap_drain_defer(struct swap *s)
{
	CHECK_OBJ(s, SWAP_MAGIC);
	lock_acquire(&s->lock);
	if (s->draining != SWAP_NO_FILE) {
		struct swap_file *f = &s->files[s->draining];

		swapmap_file_switch(s, f, FILE_ACTIVE, f->error);
		s->draining = SWAP_NO_FILE;
	}
	s->drain_at_ns = clock_now_ns() + SWAP_RETRY_NS;
	lock_release(&s->lock);
}

/* Looks at the file that is being drained, or for one to drain. => DELETED: the caller deletes
 * *ret_file, which is DELETING.
 * => called with M held. */
static enum swap_balance
drain_step(struct swap *s, uint64_t now_ns, struct swap_file **ret_file)
{
	struct swap_file *f = s->draining == SWAP_NO_FILE ? NULL : &s->files[s->draining];

	lock_assert_held(&s->lock);
	if (f && (f->used > 0 || !swapmap_file_has_failed(f)) &&
	    free_without(s, f) < ((long long)s->low_free_slots + s->high_free_slots) / 2) {
		swapmap_file_switch(s, f, FILE_ACTIVE, f->error);
		s->draining = SWAP_NO_FILE;
		return SWAP_BALANCE_IDLE;
	}
	if (!f) {
		f = drain_candidate(s, now_ns);
		if (!f)
			return SWAP_BALANCE_IDLE;
		swapmap_file_switch(s, f, FILE_DRAINING, f->error);
		s->draining = (uint32_t)(f - s->files);
	}
	*ret_file = f;
	if (f->used > 0)
		return SWAP_BALANCE_DRAIN;
	swapmap_file_switch(s, f, FILE_DELETING, f->error);
	s->draining = SWAP_NO_FILE;
	return SWAP_BALANCE_DELETED;
}

enum swap_balance
swap_balance(struct swap *s, unsigned *ret_draining, int *ret_error)
{
	struct swap_file *f = NULL;
	uint64_t now_ns = clock_now_ns();

	CHECK_OBJ(s, SWAP_MAGIC);
	lock_acquire(&s->lock);
	enum swap_balance outcome = drain_step(s, now_ns, &f);
	swapmap_marks_expire(s, now_ns);
	bool wants_file = s->free_slots < s->low_free_slots && now_ns >= s->create_at_ns;
	lock_release(&s->lock);

	if (outcome == SWAP_BALANCE_DELETED) {
		file_delete(s, f);
	} else if (outcome == SWAP_BALANCE_DRAIN) {
		*ret_draining = (unsigned)(f - s->files);
	} else if (wants_file) {
		int error = file_create(s);

		if (error == 0)
			return SWAP_BALANCE_CREATED;
		lock_acquire(&s->lock);
		s->create_at_ns = clock_now_ns() + SWAP_RETRY_NS;
		(void)swapmap_suspects_release(s);
		lock_release(&s->lock);
		log_debug_limited("swap: no file created: error %d", error);
		*ret_error = error;
		return SWAP_BALANCE_FAILED;
	}
	return outcome;
}

void
swap_stats(struct swap *s, struct swap_stats *ret)
{
	CHECK_OBJ(s, SWAP_MAGIC);
	lock_acquire(&s->lock);
	struct swap_stats stats = s->stats;
	for (unsigned i = 0; i < s->file_limit; i++) {
		const struct swap_file *f = &s->files[i];

		if (f->state != FILE_ACTIVE && f->state != FILE_DRAINING)
			continue;
		stats.files++;
		stats.files_buffered += !f->direct;
		stats.files_failed += swapmap_file_has_failed(f);
		stats.slots_total += f->slots;
		stats.slots_used += f->used;
		stats.slots_suspect += f->suspects;
		stats.bytes_allocated += f->slots * (uint64_t)s->slot_bytes;
	}
	stats.slots_free = s->free_slots;
	lock_release(&s->lock);
	*ret = stats;
}
