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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "clock.h"
#include "failpt.h"
#include "log.h"
#include "swapmap.h"
#include "swapadopt.h"
#include "swapseal.h"
#include "swaptables.h"

/* From slot to slot on a backend. */
static size_t
stride_of(size_t slot_bytes, bool is_sealed)
{
	return is_sealed ? seal_blocks(slot_bytes) * SEAL_BLOCK : slot_bytes;
}

static unsigned
file_slots_min(uint64_t slots_per_file)
{
	return (unsigned)min_u64(SWAP_FILE_SLOTS_MIN, slots_per_file);
}

uint64_t
swap_file_bytes_min(const struct swap_config *config)
{
	bool is_sealed = false;

	for (unsigned i = 0; i < config->backend_count; i++)
		is_sealed |=
		    config->backends[i].kind == SWAP_DIRECTORY && config->backends[i].encrypt;
	size_t stride = stride_of(config->slot_bytes, is_sealed);
	return file_slots_min(config->file_bytes / stride) * (uint64_t)stride;
}

static const struct swap_backend_ops *const kinds[] = {
	[SWAP_DIRECTORY] = &swapfile_ops,
	[SWAP_DEVICE] = &swapdevice_ops,
	[SWAP_NBD] = &swapnbd_ops,
};

static void
swap_free(struct swap *s)
{
	for (unsigned i = 0; i < s->backend_count; i++)
		free(s->backends[i].where);
	swap_key_destroy(s->key);
	swap_tables_close(s);
	free(s);
}

/* Puts the backends in the order of their priorities; equal ones stay as they were given. order[i]:
 * the index in the configuration of the i-th. */
static int
backends_fill(struct swap *s, const struct swap_config *config, unsigned *order)
{
	for (unsigned i = 0; i < config->backend_count; i++) {
		const struct swap_backend_config *c = &config->backends[i];
		unsigned at = i;

		for (; at > 0 && config->backends[order[at - 1]].priority < c->priority; at--)
			order[at] = order[at - 1];
		order[at] = i;
	}
	for (unsigned i = 0; i < config->backend_count; i++) {
		const struct swap_backend_config *c = &config->backends[order[i]];
		struct swap_backend *b = &s->backends[i];

		b->ops = kinds[c->kind];
		b->swap = s;
		b->priority = c->priority;
		b->is_sealed = c->encrypt;
		b->stride_bytes = stride_of(config->slot_bytes, c->encrypt);
		b->slots_per_file = (unsigned)max_u64(1, config->file_bytes / b->stride_bytes);
		b->where = strdup(c->where);
		if (!b->where)
			return -ENOMEM;
		s->backend_count++;
	}
	return 0;
}

static int
key_make(struct swap *s, const struct swap_config *config, struct swap_fault *fault)
{
	bool wanted = false;

	for (unsigned i = 0; i < s->backend_count; i++)
		wanted |= s->backends[i].is_sealed;
	int error = wanted ? swap_adopt_key(s, config->key_file) : 0;
	if (error && config->key_file)
		snprintf(fault->why, sizeof(fault->why), "the key in %s: %s", config->key_file,
		    error == -EINVAL ? "it has less than 32 bytes" : strerror(-error));
	else if (error)
		snprintf(
		    fault->why, sizeof(fault->why), "no key can be made: %s", strerror(-error));
	return error;
}

static int
backends_open(struct swap *s, const struct swap_config *config, const unsigned *order,
    struct swap_fault *fault)
{
	unsigned opened = 0;
	int error = 0;

	while (!error && opened < s->backend_count) {
		error = s->backends[opened].ops->open(&s->backends[opened], fault);
		opened += error == 0;
	}
	if (error) {
		fault->kind = s->backends[opened].ops->kind;
		fault->where = config->backends[order[opened]].where;
	} else {
		error = swap_adopt_files(s);
		if (!error)
			return 0;
	}
	while (opened-- > 0)
		s->backends[opened].ops->close(&s->backends[opened]);
	return error;
}

static int
config_check(const struct swap_config *config)
{
	uint64_t slots = config->slot_bytes ? config->file_bytes / config->slot_bytes : 0;

	if (slots == 0 || slots > SWAP_SLOTS_MAX || config->slot_bytes % SWAP_ALIGN != 0 ||
	    config->low_free_slots > config->high_free_slots || config->backend_count == 0 ||
	    config->backend_count > SWAP_BACKENDS_MAX)
		return -EINVAL;
	if (config->max_bytes != 0 && config->max_bytes < swap_file_bytes_min(config))
		return -ERANGE;
	return 0;
}

int
swap_create(const struct swap_config *config, struct swap **ret, struct swap_fault *ret_fault)
{
	struct swap_fault fault = { 0 };
	unsigned order[SWAP_BACKENDS_MAX];
	int error = config_check(config);
	struct swap *s = error ? NULL : calloc(1, sizeof(*s));

	if (!error && !s)
		error = -ENOMEM;
	if (!error) {
		s->magic = SWAP_MAGIC;
		s->slot_bytes = config->slot_bytes;
		s->max_bytes = config->max_bytes;
		s->low_free_slots = config->low_free_slots;
		s->high_free_slots = config->high_free_slots;
		s->force_sync = config->force_sync;
		s->server_timeout_ns = config->server_timeout_ns;
		s->files_max = SWAP_FILES_MAX;
		s->stats.uses_io_uring = !config->force_sync;
		error = backends_fill(s, config, order);
		if (!error && config->keeper)
			error = swap_tables_open(s, config->keeper);
		if (!error)
			error = key_make(s, config, &fault);
		if (!error)
			error = swapmap_init(s);
		if (error)
			swap_free(s);
	}
	if (!error) {
		error = backends_open(s, config, order, &fault);
		if (error) {
			swapmap_fini(s);
			swap_free(s);
		}
	}
	fault.error = error;
	if (ret_fault)
		*ret_fault = fault;
	if (!error)
		*ret = s;
	return error;
}

/* => called without locks; the file is DELETING. */
static void
file_delete(struct swap *s, struct swap_file *f)
{
	struct swap_backend *b = &s->backends[f->backend];

	locks_assert_none();
	b->ops->file_delete(
	    b, (unsigned)(f - s->files), f->slots * (uint64_t)b->stride_bytes, f->extent);
	failpt_die(FAIL_DIE_SWAP_FILE_GONE);
	swapmap_file_empty(s, f);
	if (b->ops->kind == SWAP_DIRECTORY)
		swap_tables_drop(s, SWAP_KEPT_FILE, (unsigned)(f - s->files));
	lock_acquire(&s->lock);
	f->extent.fd = -1;
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
	for (unsigned i = 0; i < s->backend_count; i++)
		s->backends[i].ops->close(&s->backends[i]);
	swapmap_fini(s);
	s->magic = 0;
	swap_free(s);
}

void
swap_abandon(struct swap *s)
{
	CHECK_OBJ(s, SWAP_MAGIC);
	/* The process ends, so this once the lock is held across file system calls: no other thread
	 * may make a directory again that has vanished. */
	lock_acquire(&s->lock);
	for (unsigned i = 0; i < s->backend_count; i++)
		if (s->backends[i].ops->abandon)
			s->backends[i].ops->abandon(&s->backends[i]);
	lock_release(&s->lock);
}

/* => the file's place, CREATING, and how many slots it may have, or -errno. => called with M held.
 */
static int
file_place(struct swap *s, unsigned backend, struct swap_file **ret, unsigned *ret_slots)
{
	struct swap_backend *b = &s->backends[backend];
	uint64_t slots = b->slots_per_file, taken = 0;
	struct swap_file *place = NULL;

	lock_assert_held(&s->lock);
	for (unsigned i = 0; i < s->files_max; i++) {
		const struct swap_file *f = &s->files[i];

		if (f->state == FILE_NONE)
			place = place ? place : &s->files[i];
		else if (s->backends[f->backend].ops->kind == SWAP_DIRECTORY)
			taken += f->slots * (uint64_t)s->backends[f->backend].stride_bytes;
	}
	if (s->max_bytes != 0 && b->ops->kind == SWAP_DIRECTORY)
		slots = min_u64(slots, (s->max_bytes - taken) / b->stride_bytes);
	if (!place || slots < file_slots_min(b->slots_per_file))
		return -EDQUOT;
	if (place >= s->files + s->file_limit)
		s->file_limit = (unsigned)(place - s->files) + 1;
	place->backend = backend;
	swapmap_file_switch(s, place, FILE_CREATING, 0);
	*ret = place;
	*ret_slots = (unsigned)slots;
	return 0;
}

/* Makes a file with *slots slots, or as many as there is room for.
 * => called without locks. */
static int
file_make(struct swap_backend *b, unsigned number, unsigned *slots, struct swap_extent *ret)
{
	int error;

	for (;;) {
		error = b->ops->file_create(b, number, *slots * (uint64_t)b->stride_bytes, ret);
		if (!swap_is_full_error(error) || *slots / 2 < file_slots_min(b->slots_per_file))
			return error;
		*slots /= 2;
	}
}

/* => called without locks. */
static int
file_create(struct swap *s, unsigned backend)
{
	struct swap_backend *b = &s->backends[backend];
	struct swap_extent extent = { .fd = -1 };
	struct swap_file *f = NULL;
	unsigned slots = 0;

	locks_assert_none();
	lock_acquire(&s->lock);
	int error = file_place(s, backend, &f, &slots);
	lock_release(&s->lock);
	if (error)
		return error;
	error = file_make(b, (unsigned)(f - s->files), &slots, &extent);
	if (error == 0) {
		error = swapmap_file_fill(s, f, slots);
		if (error)
			b->ops->file_delete(
			    b, (unsigned)(f - s->files), slots * (uint64_t)b->stride_bytes, extent);
	}
	failpt_die(FAIL_DIE_SWAP_FILE_MADE);
	if (error == 0 && b->ops->kind == SWAP_DIRECTORY)
		swap_tables_keep(s, SWAP_KEPT_FILE, (unsigned)(f - s->files), extent.fd);
	failpt_die(FAIL_DIE_SWAP_FILE_KEPT);
	lock_acquire(&s->lock);
	if (error == 0) {
		f->extent = extent;
		f->epoch++;
		s->stats.files_created++;
	}
	swapmap_file_switch(s, f, error ? FILE_NONE : FILE_ACTIVE, 0);
	lock_release(&s->lock);
	return error;
}

/* The free slots that will be left when the file has been emptied into others and deleted; may be
 * negative. Its segments move to files of the same backend.
 * => called with M held. */
static long long
free_without(const struct swap *s, const struct swap_file *f, uint64_t now_ns)
{
	long long lost = f->used;

	lock_assert_held(&s->lock);
	if (swapmap_file_is_reservable(f))
		lost = f->slots - f->suspects;
	return (f->used > 0 ? (long long)s->backends[f->backend].free_slots
			    : (long long)swapmap_free_slots(s, now_ns)) -
	       lost;
}

/* Segments are moved off a file only in a directory, where that gives blocks back that others want,
 * and while it answers: whoever moves them waits for it. => called with M held. */
static bool
may_empty(const struct swap *s, const struct swap_file *f, uint64_t now_ns)
{
	const struct swap_backend *b = &s->backends[f->backend];

	lock_assert_held(&s->lock);
	return !f->has_stray && !f->has_left &&
	       (f->used == 0 || (b->ops->kind == SWAP_DIRECTORY && now_ns >= s->drain_at_ns &&
				    !swap_backend_is_stalled(b, now_ns)));
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

		if (f->state != FILE_ACTIVE || !may_empty(s, f, now_ns) ||
		    (!empty_loss && free_without(s, f, now_ns) <= s->high_free_slots))
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
	    free_without(s, f, now_ns) < ((long long)s->low_free_slots + s->high_free_slots) / 2) {
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

/* On the backend with the highest priority that has room; with equal ones, on the one with the
 * fewest free slots. => whether there is none, with what the last one lacks; ret_fault->error 0:
 * all have failed a moment ago, or do not answer. => called without locks. */
static bool
file_create_somewhere(struct swap *s, uint64_t now_ns, struct swap_fault *ret_fault)
{
	bool tried[SWAP_BACKENDS_MAX] = { false };

	for (unsigned n = 0; n < s->backend_count; n++) {
		struct swap_backend *b = NULL;

		lock_acquire(&s->lock);
		for (unsigned i = 0; i < s->backend_count; i++) {
			struct swap_backend *at = &s->backends[i];

			if (tried[i] || now_ns < at->create_at_ns ||
			    swap_backend_is_stalled(at, now_ns))
				continue;
			if (!b || (at->priority == b->priority && at->free_slots < b->free_slots))
				b = at;
		}
		lock_release(&s->lock);
		if (!b)
			break;
		tried[b - s->backends] = true;
		int error = file_create(s, (unsigned)(b - s->backends));

		if (error == 0)
			return false;
		lock_acquire(&s->lock);
		b->create_at_ns = clock_now_ns() + SWAP_RETRY_NS;
		lock_release(&s->lock);
		log_debug_limited("swap: no file created on %s: error %d", b->where, error);
		*ret_fault =
		    (struct swap_fault){ .error = error, .kind = b->ops->kind, .where = b->where };
	}
	return true;
}

enum swap_balance
swap_balance(struct swap *s, unsigned *ret_draining, struct swap_fault *ret_fault)
{
	struct swap_file *f = NULL;
	struct swap_fault fault = { 0 };
	uint64_t now_ns = clock_now_ns();
	bool left = swap_tables_lines_look(s);

	CHECK_OBJ(s, SWAP_MAGIC);
	lock_acquire(&s->lock);
	if (left)
		swapmap_left_release(s);
	enum swap_balance outcome = drain_step(s, now_ns, &f);
	swapmap_marks_expire(s, now_ns);
	bool wants_file = swapmap_free_slots(s, now_ns) < s->low_free_slots;
	lock_release(&s->lock);

	if (outcome == SWAP_BALANCE_DELETED) {
		file_delete(s, f);
	} else if (outcome == SWAP_BALANCE_DRAIN) {
		*ret_draining = (unsigned)(f - s->files);
	} else if (wants_file) {
		if (!file_create_somewhere(s, now_ns, &fault))
			return SWAP_BALANCE_CREATED;
		if (fault.error == 0)
			return SWAP_BALANCE_IDLE;
		lock_acquire(&s->lock);
		(void)swapmap_suspects_release(s);
		lock_release(&s->lock);
		*ret_fault = fault;
		return SWAP_BALANCE_FAILED;
	}
	return outcome;
}

/* The levels of one backend's files. => called with M held. */
static void
stats_levels(const struct swap *s, unsigned backend, uint64_t now_ns, struct swap_stats *stats)
{
	const struct swap_backend *b = &s->backends[backend];
	const struct swap_traffic *t = &b->traffic;

	lock_assert_held(&s->lock);
	for (unsigned i = 0; i < s->file_limit; i++) {
		const struct swap_file *f = &s->files[i];

		if (f->backend != backend || (f->state != FILE_ACTIVE && f->state != FILE_DRAINING))
			continue;
		stats->files++;
		stats->files_buffered += !f->extent.direct;
		stats->files_failed += swapmap_file_has_failed(f);
		stats->slots_total += f->slots;
		stats->slots_used += f->used;
		stats->slots_suspect += f->suspects;
		stats->bytes_allocated += f->slots * (uint64_t)b->stride_bytes;
	}
	stats->slots_free += swap_backend_is_stalled(b, now_ns) ? 0 : b->free_slots;
	stats->traffic.reads += t->reads;
	stats->traffic.read_bytes += t->read_bytes;
	stats->traffic.writes += t->writes;
	stats->traffic.write_bytes += t->write_bytes;
	stats->traffic.read_errors += t->read_errors;
	stats->traffic.write_errors += t->write_errors;
	stats->traffic.damaged += t->damaged;
}

void
swap_stats(struct swap *s, struct swap_stats *ret)
{
	CHECK_OBJ(s, SWAP_MAGIC);
	lock_acquire(&s->lock);
	struct swap_stats stats = s->stats;
	for (unsigned i = 0; i < s->backend_count; i++)
		stats_levels(s, i, clock_now_ns(), &stats);
	lock_release(&s->lock);
	*ret = stats;
}

bool
swap_backend_stats(struct swap *s, unsigned index, struct swap_backend_stats *ret)
{
	CHECK_OBJ(s, SWAP_MAGIC);
	if (index >= s->backend_count)
		return false;
	const struct swap_backend *b = &s->backends[index];
	uint64_t now_ns = clock_now_ns();

	lock_acquire(&s->lock);
	*ret = (struct swap_backend_stats){ .of = s->stats,
		.config = { .kind = b->ops->kind,
		    .where = b->where,
		    .priority = b->priority,
		    .encrypt = b->is_sealed },
		.is_stalled = swap_backend_is_stalled(b, now_ns) };
	stats_levels(s, index, now_ns, &ret->of);
	lock_release(&s->lock);
	return true;
}
