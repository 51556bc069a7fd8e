/* SPDX-License-Identifier: MIT
 *
 * Shared by the compressor's tests: pages that can be told from any other page, a budget that
 * counts and refuses, and a comparison of the compressor's figures with the arena's memfd.
 */
#ifndef TESTS_CT_H
#define TESTS_CT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "atomics.h"
#include "compressor.h"

/* A page's content and its kind (text-like, binary, random, single value) follow from these
 * three. */
struct ct_id {
	uint64_t object, page, generation;
};

/* Objects below 2^40, pages below 2^24. */
static inline struct cowner
ct_owner(uint64_t object, uint64_t page)
{
	return (struct cowner){ object << 24 | page };
}

static inline uint64_t
ct_owner_page(struct cowner owner)
{
	return owner.v & 0xffffff;
}

enum ct_kind { CT_TEXT, CT_BINARY, CT_RANDOM, CT_SINGLE, CT_ZERO, CT_KINDS };

uint64_t ct_random(uint64_t *state);
enum ct_kind ct_kind_of(struct ct_id id);
void ct_page(void *page, size_t bytes, struct ct_id id);
void ct_page_of_kind(void *page, size_t bytes, struct ct_id id, enum ct_kind kind);
/* Fails the test, naming the page found instead. */
void ct_check_page(const void *page, size_t bytes, struct ct_id id);
void ct_check_page_of_kind(const void *page, size_t bytes, struct ct_id id, enum ct_kind kind);

struct ct {
	struct compressor *c;
	struct compressor_config config;
	struct compressor_ops ops;
	atomic_llong held;  /* bytes taken - bytes given */
	atomic_llong limit; /* refuse beyond */
	atomic_ullong refused;
	uint32_t stored_bytes; /* that the page stored last takes */
	bool (*relocate)(struct ct *t, struct cowner owner, struct cref from, struct cref to);
	void *user;
};

/* Sets up but for the compressor. */
void ct_configure(struct ct *t, size_t page_bytes, size_t arena_bytes, unsigned workers);
/* Sets up with `arena_bytes` and no limit. */
void ct_create(struct ct *t, size_t page_bytes, size_t arena_bytes, unsigned workers);
void ct_destroy(struct ct *t);
/* Quiescent: the walk finds nothing, and budget == figures == st_blocks. */
void ct_check(struct ct *t);

/* Stores page `id` with worker 0 and expects success. */
struct cref ct_store(struct ct *t, struct ct_id id);
struct cref ct_store_kind(struct ct *t, struct ct_id id, enum ct_kind kind);
void ct_load(struct ct *t, struct cref cref, struct ct_id id);
void ct_load_kind(struct ct *t, struct cref cref, struct ct_id id, enum ct_kind kind);
struct compressor_stats ct_stats(struct ct *t);
/* The stored page of `owner` (its header) in the arena, through a mapping of the memfd; NULL: not
 * there. */
unsigned char *ct_find(struct ct *t, struct ct_id id);

/* A disk: places 1, 2, ... each hold a copy of what was written. Reading one that was freed is a
 * use after free, which the sanitizers see. */
struct ct_disk {
	struct ct_blob {
		char *bytes;
		size_t length;
	} blob[4096];
	unsigned used, free_head;
	unsigned next_free[4096];
	unsigned alive;
};
struct cplace ct_disk_write(struct ct_disk *d, const void *bytes, size_t length);
void ct_disk_free(struct ct_disk *d, struct cplace place);
/* Collects released places. => how many. */
unsigned ct_disk_collect(struct ct *t, struct ct_disk *d);
/* Swaps the oldest segment out. => its number, 0: nothing suitable. */
uint32_t ct_swapout(struct ct *t, struct ct_disk *d);
/* Reads an away page. => 0, -EIO, or -EAGAIN as compressor_read_begin. */
int ct_read(struct ct *t, struct ct_disk *d, struct cref cref, void *page);
/* Raw 4K pages of one object, stored in their order: CT_PER_SEGMENT of them, of 4112 bytes each,
 * fill a segment of 256K. */
#define CT_PER_SEGMENT  63
#define CT_PAGES        512
#define CT_PAGES_OBJECT 0xabcdef0123u
struct ct_pages {
	struct cref cref[CT_PAGES]; /* CREF_NONE: not stored */
	uint64_t generation[CT_PAGES];
	struct ct_disk disk; /* to which segments may go */
};
struct ct_id ct_pages_id(const struct ct_pages *p, uint64_t page);
/* Creates the compressor with `segments` full segments, and one page in another. */
void ct_pages_create(struct ct *t, struct ct_pages *p, unsigned segments);
/* Stores a new generation of the page. */
void ct_pages_store(struct ct *t, struct ct_pages *p, uint64_t page);
void ct_pages_drop(struct ct *t, struct ct_pages *p, uint64_t page);
/* The page has its content, in the arena or on the disk. */
void ct_pages_check_one(struct ct *t, struct ct_pages *p, uint64_t page);
/* All that are stored have, and ct_check. */
void ct_pages_check(struct ct *t, struct ct_pages *p);
/* Drops all that are stored, which leaves nothing anywhere, and ct_destroy. */
void ct_pages_destroy(struct ct *t, struct ct_pages *p);
/* Seed from CT_SEED or a fixed one; printed. */
uint64_t ct_seed(const char *test);

#define CT_PAGE_MAX 65536

#endif
