/* SPDX-License-Identifier: MIT
 *
 * The compressor's tables in memfds that outlive the process. Runs on: the thread that creates the
 * compressor; pages are put aside by the thread that slides or renames them.
 */
#include "ckept.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arena.h"
#include "check.h"
#include "cpage.h"
#include "own.h"

struct caside *
ckept_aside(struct compressor *c, unsigned lock)
{
	struct ckept *k = c->kept;

	CHECK(lock < SLIDE_LOCKS);
	return (struct caside *)(k->memory + k->rows_bytes + k->directory_bytes +
				 lock * k->aside_bytes);
}

/* --- the memfds ----------------------------------------------------------------------------- */

static void
shape_set(struct compressor *c, struct ckept *k)
{
	size_t hw = c->hw_page_bytes, rows = (size_t)c->rows_max + 1;

	k->rows_bytes = round_up_u64(rows * sizeof(struct cseg), hw);
	k->directory_bytes = round_up_u64(rows * c->slots_max * sizeof(uint64_t), hw);
	k->aside_bytes = round_up_u64(sizeof(struct caside) + cpage_padded(c, c->page_bytes), hw);
	k->shape = (struct arena_shape){
		.name = "tables",
		.version = CSEG_VERSION,
		.row_bytes = (uint32_t)(sizeof(struct cseg) + c->slots_max * sizeof(uint64_t)),
		.bytes = k->rows_bytes + k->directory_bytes + SLIDE_LOCKS * k->aside_bytes,
	};
}

int
ckept_open(struct compressor *c, struct compressor_kept *kept)
{
	struct ckept *k = calloc(1, sizeof(*k));
	int error = 0;

	CHECK((kept->tables < 0) == (kept->segments < 0));
	if (!k)
		return -ENOMEM;
	c->kept = k;
	shape_set(c, k);
	k->was_there = kept->tables >= 0;
	if (k->was_there)
		error = arena_check(kept->tables, &k->shape);
	else
		kept->tables = arena_make(&k->shape);
	if (error || kept->tables < 0) {
		k->fd = -1;
		return error ? error : kept->tables;
	}
	k->fd = kept->tables;
	k->memory = arena_map(k->fd, &k->shape);
	if (!k->memory)
		return -errno;
	own_area_shared(OWN_COMPRESSOR, k->memory, k->shape.bytes);
	c->rows = (struct cseg *)k->memory;
	c->directory = (atomic_uint_least64_t *)(k->memory + k->rows_bytes);
	return 0;
}

void
ckept_close(struct compressor *c)
{
	struct ckept *k = c->kept;

	if (k->memory)
		own_area_forget(k->memory);
	arena_unmap(k->memory, &k->shape);
	if (k->fd >= 0)
		close(k->fd);
	free(k->named);
	free(k);
	c->kept = NULL;
	c->rows = NULL;
	c->directory = NULL;
}

/* --- slides --------------------------------------------------------------------------------- */

void
ckept_aside_begin(struct compressor *c, uint32_t segment, uint32_t slot, uint64_t from, uint64_t to)
{
	struct caside *a = ckept_aside(c, segment % SLIDE_LOCKS);

	lock_assert_held(&c->slide[segment % SLIDE_LOCKS]);
	CHECK(load_relaxed(&a->used) == ASIDE_NONE);
	memcpy(a->bytes, cseg_bytes(c, &c->rows[segment]) + entry_offset(from),
	    cpage_padded(c, entry_length(from)));
	a->segment = segment;
	a->slot = slot;
	a->from = from;
	a->to = to;
	store_release(&a->used, ASIDE_SLIDES);
}

/* The slide lock's holders wait for no pin. */
void
ckept_rename(struct compressor *c, uint32_t segment, uint32_t slot, uint64_t entry,
    const struct cpage_header *h)
{
	struct caside *a = ckept_aside(c, segment % SLIDE_LOCKS);

	lock_acquire(&c->slide[segment % SLIDE_LOCKS]);
	CHECK(load_relaxed(&a->used) == ASIDE_NONE);
	memcpy(a->bytes, h, sizeof(*h));
	a->segment = segment;
	a->slot = slot;
	a->from = a->to = entry;
	store_release(&a->used, ASIDE_RENAMED);
	cpage_header_put(cseg_bytes(c, &c->rows[segment]) + entry_offset(entry), h);
	store_release(&a->used, ASIDE_NONE);
	lock_release(&c->slide[segment % SLIDE_LOCKS]);
}

void
ckept_aside_end(struct compressor *c, uint32_t segment)
{
	lock_assert_held(&c->slide[segment % SLIDE_LOCKS]);
	store_release(&ckept_aside(c, segment % SLIDE_LOCKS)->used, ASIDE_NONE);
}
