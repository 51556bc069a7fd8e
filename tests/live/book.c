/* SPDX-License-Identifier: MIT */
#include "book.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"

#define BLOCK_BYTES 512u
#define BLOCK_WORDS (BLOCK_BYTES / 8)
#define POKE_WORD   3u

static const char *const kind_names[KIND_COUNT] = { "zero", "same", "text", "noise" };

/* object 16 | page 24 | generation 20 | kind 4 */
static uint64_t
tag_of(const struct book *b, uint32_t page, const struct page_note *n)
{
	return (uint64_t)(b->object & 0xffff) << 48 | (uint64_t)(page & 0xffffff) << 24 |
	       (uint64_t)(n->generation & 0xfffff) << 4 | n->kind;
}

static uint64_t
word_of(const struct page_note *n, uint64_t tag, uint32_t block, uint32_t word)
{
	switch (n->kind) {
	case KIND_ZERO:
		return 0;
	case KIND_SAME:
		return tag;
	case KIND_TEXT:
		return word == 0 ? tag : word == 1 ? block : mix64((word & 3) + 17);
	default:
		return word == 0   ? tag
		       : word == 1 ? block
				   : mix64(tag ^ ((uint64_t)block << 40) ^ ((uint64_t)word << 56));
	}
}

static uint32_t
poke_block(const struct book *b, uint32_t page)
{
	return page % (uint32_t)(b->page_bytes / BLOCK_BYTES);
}

static uint64_t
poke_word(uint64_t tag, uint32_t poke)
{
	return mix64(tag + poke) | 1;
}

void
book_open(struct book *b, void *base, size_t page_bytes, uint32_t count, uint32_t object)
{
	*b = (struct book){
		.base = base, .page_bytes = page_bytes, .count = count, .object = object
	};
	b->notes = calloc(count, sizeof(*b->notes));
	REQUIRE(b->notes, "no memory");
}

void
book_close(struct book *b)
{
	free(b->notes);
	b->notes = NULL;
}

const struct mixture mixture_usual = { 5, 10, 30 };

enum page_kind
mixture_draw(const struct mixture *m, uint64_t *rng)
{
	uint64_t n = rng_below(rng, 100);

	if (n < m->zero)
		return KIND_ZERO;
	if (n < m->zero + m->same)
		return KIND_SAME;
	if (n < m->zero + m->same + m->noise)
		return KIND_NOISE;
	return KIND_TEXT;
}

static void
fill(const struct book *b, uint32_t page, uint64_t *to)
{
	const struct page_note *n = &b->notes[page];
	uint64_t tag = tag_of(b, page, n);

	for (uint32_t block = 0; block < b->page_bytes / BLOCK_BYTES; block++)
		for (uint32_t word = 0; word < BLOCK_WORDS; word++)
			to[block * BLOCK_WORDS + word] = word_of(n, tag, block, word);
	if (n->poke)
		to[poke_block(b, page) * BLOCK_WORDS + POKE_WORD] = poke_word(tag, n->poke);
}

void
page_expect(const struct book *b, uint32_t page, void *to)
{
	fill(b, page, to);
}

void
book_note(struct book *b, uint32_t page, enum page_kind kind)
{
	b->notes[page].generation++;
	b->notes[page].kind = (uint8_t)kind;
	b->notes[page].poke = 0;
}

void
book_write(struct book *b, uint32_t page, enum page_kind kind)
{
	book_note(b, page, kind);
	fill(b, page, (uint64_t *)(void *)(b->base + page * b->page_bytes));
}

void
book_write_all(struct book *b, const struct mixture *m, uint64_t *rng)
{
	for (uint32_t i = 0; i < b->count; i++)
		book_write(b, i, mixture_draw(m, rng));
}

void
book_poke(struct book *b, uint32_t page, uint32_t value)
{
	struct page_note *n = &b->notes[page];
	volatile uint64_t *words = (volatile uint64_t *)(void *)(b->base + page * b->page_bytes);

	n->poke = value ? value : 1;
	words[poke_block(b, page) * BLOCK_WORDS + POKE_WORD] =
	    poke_word(tag_of(b, page, n), n->poke);
}

void
book_forget(struct book *b, uint32_t page)
{
	book_note(b, page, KIND_ZERO);
}

void
book_discard(struct pager *p, struct book *b, uint32_t from, uint32_t count)
{
	OK(pager_behavior(
	    p, b->base + from * b->page_bytes, count * b->page_bytes, PAGER_BEHAVIOR_FREE));
	for (uint32_t i = from; i < from + count; i++)
		book_forget(b, i);
}

/* Describes a wrong block. */
static void
name_block(const struct book *b, uint32_t page, const uint64_t *block, char *text, size_t size)
{
	uint64_t tag = block[0];
	unsigned kind = tag & 15;
	uint32_t generation = (uint32_t)(tag >> 4 & 0xfffff), at = (uint32_t)(tag >> 24 & 0xffffff),
		 object = (uint32_t)(tag >> 48);
	bool zero = true;

	for (uint32_t i = 0; i < BLOCK_WORDS; i++)
		zero = zero && block[i] == 0;
	if (zero)
		snprintf(text, size, "zeroes (lost)");
	else if (kind >= KIND_COUNT || kind == KIND_ZERO)
		snprintf(text, size, "no tag: %016" PRIx64, tag);
	else if (object != (b->object & 0xffff) || at != page)
		snprintf(text, size, "page %u of object %u, generation %u, %s (misplaced)", at,
		    object, generation, kind_names[kind]);
	else if (generation != (b->notes[page].generation & 0xfffff))
		snprintf(text, size, "generation %u, %s (%s)", generation, kind_names[kind],
		    generation < b->notes[page].generation ? "stale" : "from the future");
	else
		snprintf(text, size, "the right tag (torn or damaged inside)");
}

bool
book_word_read(uint64_t word, uint32_t *ret_page, uint32_t *ret_generation)
{
	*ret_page = (uint32_t)(word >> 24 & 0xffffff);
	*ret_generation = (uint32_t)(word >> 4 & 0xfffff);
	return word != 0;
}

void
book_verify_copy(const struct book *b, uint32_t page, const void *copy, const char *way)
{
	const struct page_note *n = &b->notes[page];
	uint64_t tag = tag_of(b, page, n);
	uint32_t blocks = (uint32_t)(b->page_bytes / BLOCK_BYTES), wrong = 0, first = 0,
		 first_word = 0;
	const volatile uint64_t *words = copy;
	uint64_t is = 0, want = 0;

	for (uint32_t block = 0; block < blocks; block++) {
		bool block_wrong = false;

		for (uint32_t word = 0; word < BLOCK_WORDS; word++) {
			uint64_t expected = word_of(n, tag, block, word),
				 found = words[block * BLOCK_WORDS + word];

			if (n->poke && word == POKE_WORD && block == poke_block(b, page))
				expected = poke_word(tag, n->poke);
			if (found == expected)
				continue;
			if (wrong == 0 && !block_wrong) {
				first = block;
				first_word = word;
				is = found;
				want = expected;
			}
			block_wrong = true;
		}
		wrong += block_wrong;
	}
	if (wrong) {
		char text[200], again[200];

		name_block(
		    b, page, (const uint64_t *)copy + first * BLOCK_WORDS, text, sizeof(text));
		name_block(b, page, (const uint64_t *)copy + (blocks - 1) * BLOCK_WORDS, again,
		    sizeof(again));
		FAIL("%s: page %u of object %u at %p should be generation %u, %s%s: %u of %u "
		     "blocks wrong, first %u word %u "
		     "(%016" PRIx64 " for %016" PRIx64 "): %s; last block: %s",
		    way, page, b->object, (const void *)(b->base + page * b->page_bytes),
		    n->generation, kind_names[n->kind], n->poke ? " poked" : "", wrong, blocks,
		    first, first_word, is, want, text, again);
	}
}

void
book_verify(const struct book *b, uint32_t page)
{
	book_verify_copy(b, page, b->base + page * b->page_bytes, "read");
}

void
book_verify_all(const struct book *b)
{
	for (uint32_t i = 0; i < b->count; i++)
		book_verify(b, i);
}
