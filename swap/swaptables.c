/* SPDX-License-Identifier: MIT
 *
 * Tables of swap in a memfd, and lines. Runs on: the thread that starts and stops swap, and the one
 * in swap_balance; rows are written by any thread, under M.
 */
#include "swaptables.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "own.h"

#define TABLES_VERSION 1
/* Content: identities of backends, a word of lines, sizes of servers' exports, rows, entries. */
#define ROWS_OFFSET    4096u
#define ENTRIES_OFFSET (ROWS_OFFSET + SWAP_FILES_MAX * 32u)
_Static_assert(sizeof(struct swap_row) <= 32, "rows have room");
_Static_assert(SWAP_LINES_MAX == 64, "a word has a bit for each");

/* --- what the tables are of ----------------------------------------------------------------- */

static uint64_t
mixed(uint64_t hash, uint64_t value)
{
	return (hash ^ value) * UINT64_C(0x100000001b3);
}

/* Two backends that differ in what a slot's handle means differ in this. */
static uint64_t
backend_identity(const struct swap_backend *b)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (const char *c = b->where; *c; c++)
		hash = mixed(hash, (unsigned char)*c);
	hash = mixed(hash, b->ops->kind);
	hash = mixed(hash, b->is_sealed);
	hash = mixed(hash, b->slots_per_file);
	return mixed(hash, b->stride_bytes) | 1;
}

static bool
identities_match(const struct swap *s)
{
	const uint64_t *identities = (const uint64_t *)s->kept->memory;

	for (unsigned i = 0; i < SWAP_BACKENDS_MAX; i++)
		if (identities[i] != (i < s->backend_count ? backend_identity(&s->backends[i]) : 0))
			return false;
	return true;
}

static void
shape_set(const struct swap *s, struct swap_kept_tables *k)
{
	for (unsigned i = 0; i < s->backend_count; i++)
		k->slots_most = (unsigned)max_u64(k->slots_most, s->backends[i].slots_per_file);
	k->shape = (struct arena_shape){
		.name = "swap",
		.version = TABLES_VERSION,
		.row_bytes = sizeof(struct swap_row) + sizeof(struct swap_entry),
		.bytes = ENTRIES_OFFSET +
			 (uint64_t)s->files_max * k->slots_most * sizeof(struct swap_entry),
	};
}

uint64_t
swap_kept_version(void)
{
	return (uint64_t)TABLES_VERSION << 32 |
	       (sizeof(struct swap_row) + sizeof(struct swap_entry));
}

static int
tables_map(struct swap *s)
{
	struct swap_kept_tables *k = s->kept;
	uint64_t *identities;
	int error;

	shape_set(s, k);
	k->fd = swap_tables_take(s, SWAP_KEPT_TABLES, 0);
	k->was_there = k->fd >= 0;
	error = k->was_there ? arena_check(k->fd, &k->shape) : 0;
	if (!k->was_there)
		k->fd = arena_make(&k->shape);
	if (error || k->fd < 0)
		return error ? error : k->fd;
	k->memory = arena_map(k->fd, &k->shape);
	if (!k->memory)
		return -errno;
	own_area_shared(OWN_SWAP, k->memory, k->shape.bytes);
	if (k->was_there)
		return identities_match(s) ? 0 : -EPROTO;
	identities = (uint64_t *)k->memory;
	for (unsigned i = 0; i < s->backend_count; i++)
		identities[i] = backend_identity(&s->backends[i]);
	swap_tables_keep(s, SWAP_KEPT_TABLES, 0, k->fd);
	return 0;
}

/* --- lines ---------------------------------------------------------------------------------- */

/* A bit for each line that somebody had: where it is set, and the line is not there, nobody knows
 * when the last transfer ends. */
static uint64_t *
lines_had(const struct swap *s)
{
	return (uint64_t *)s->kept->memory + SWAP_BACKENDS_MAX;
}

uint64_t *
swap_tables_export(const struct swap_backend *b)
{
	const struct swap *s = b->swap;

	return s->kept ? lines_had(s) + 1 + (b - s->backends) : NULL;
}

/* Lines that have hung up go. timeout_ms: -1: waits until one has. */
static void
lines_look(struct swap *s, int timeout_ms)
{
	struct swap_kept_tables *k = s->kept;
	struct pollfd polls[SWAP_LINES_MAX];

	for (unsigned i = 0; i < SWAP_LINES_MAX; i++)
		polls[i] = (struct pollfd){ .fd = k->lines[i] };
	if (poll(polls, SWAP_LINES_MAX, timeout_ms) <= 0)
		return;
	for (unsigned i = 0; i < SWAP_LINES_MAX; i++) {
		if (k->lines[i] < 0 || !(polls[i].revents & POLLHUP))
			continue;
		close(k->lines[i]);
		k->lines[i] = -1;
		k->line_count--;
		*lines_had(s) &= ~(UINT64_C(1) << i);
		swap_tables_drop(s, SWAP_KEPT_LINE, i);
	}
}

static bool
any_line(const struct swap_kept_tables *k)
{
	for (unsigned i = 0; i < SWAP_LINES_MAX; i++)
		if (k->lines[i] >= 0)
			return true;
	return false;
}

static int
lines_open(struct swap *s)
{
	struct swap_kept_tables *k = s->kept;
	unsigned own = 0;
	int ends[2];

	for (unsigned i = 0; i < SWAP_LINES_MAX; i++) {
		k->lines[i] = swap_tables_take(s, SWAP_KEPT_LINE, i);
		k->line_count += k->lines[i] >= 0 || (*lines_had(s) >> i & 1);
	}
	lines_look(s, 0);
	/* So many have died, and a disk does not answer: without a line nobody would know. */
	while (k->line_count == SWAP_LINES_MAX && any_line(k))
		lines_look(s, -1);
	while (own < SWAP_LINES_MAX && (k->lines[own] >= 0 || (*lines_had(s) >> own & 1)))
		own++;
	if (own == SWAP_LINES_MAX)
		return -EMFILE;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	k->line = ends[1];
	swap_tables_keep(s, SWAP_KEPT_LINE, own, ends[0]);
	*lines_had(s) |= UINT64_C(1) << own;
	close(ends[0]);
	return 0;
}

int
swap_tables_line(const struct swap *s)
{
	return s->kept ? s->kept->line : -1;
}

bool
swap_tables_lines_look(struct swap *s)
{
	locks_assert_none();
	if (likely(!s->kept || s->kept->line_count == 0))
		return false;
	lines_look(s, 0);
	return s->kept->line_count == 0;
}

/* --- all of it ------------------------------------------------------------------------------ */

int
swap_tables_open(struct swap *s, const struct swap_keeper *keeper)
{
	struct swap_kept_tables *k = calloc(1, sizeof(*k));
	int error;

	CHECK(!s->kept && keeper->take && keeper->keep && keeper->drop);
	if (!k)
		return -ENOMEM;
	*k = (struct swap_kept_tables){ .keeper = *keeper, .fd = -1, .line = -1 };
	for (unsigned i = 0; i < SWAP_LINES_MAX; i++)
		k->lines[i] = -1;
	s->kept = k;
	error = tables_map(s);
	return error ? error : lines_open(s);
}

void
swap_tables_close(struct swap *s)
{
	struct swap_kept_tables *k = s->kept;

	if (!k)
		return;
	if (k->memory)
		own_area_forget(k->memory);
	arena_unmap(k->memory, &k->shape);
	if (k->fd >= 0)
		close(k->fd);
	if (k->line >= 0)
		close(k->line);
	for (unsigned i = 0; i < SWAP_LINES_MAX; i++)
		if (k->lines[i] >= 0)
			close(k->lines[i]);
	free(k);
	s->kept = NULL;
}

struct swap_row *
swap_tables_row(const struct swap *s, unsigned file)
{
	CHECK(file < s->files_max);
	return (struct swap_row *)(s->kept->memory + ROWS_OFFSET + file * 32u);
}

struct swap_entry *
swap_tables_entries(const struct swap *s, unsigned file)
{
	CHECK(file < s->files_max);
	return (struct swap_entry *)(s->kept->memory + ENTRIES_OFFSET) +
	       (size_t)file * s->kept->slots_most;
}

void
swap_tables_put(struct swap *s, const struct swap_file *f)
{
	struct swap_row *row;

	lock_assert_held(&s->lock);
	if (likely(!s->kept))
		return;
	row = swap_tables_row(s, (unsigned)(f - s->files));
	/* A reader of any part of this finds the right generation: what he counts is never less. */
	row->next_generation = f->next_generation;
	row->backend = f->backend;
	row->offset = f->extent.offset;
	row->slots = f->slots;
	store_release(&row->state, f->state);
}

/* --- descriptors ---------------------------------------------------------------------------- */

int
swap_tables_take(const struct swap *s, enum swap_kept kind, unsigned id)
{
	locks_assert_none();
	CHECK(kind < SWAP_KEPT_COUNT);
	return s->kept ? s->kept->keeper.take(s->kept->keeper.ctx, kind, id) : -1;
}

void
swap_tables_keep(const struct swap *s, enum swap_kept kind, unsigned id, int fd)
{
	locks_assert_none();
	CHECK(kind < SWAP_KEPT_COUNT && fd >= 0);
	if (s->kept)
		s->kept->keeper.keep(s->kept->keeper.ctx, kind, id, fd);
}

void
swap_tables_drop(const struct swap *s, enum swap_kept kind, unsigned id)
{
	locks_assert_none();
	CHECK(kind < SWAP_KEPT_COUNT);
	if (s->kept)
		s->kept->keeper.drop(s->kept->keeper.ctx, kind, id);
}
