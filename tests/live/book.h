/* SPDX-License-Identifier: MIT
 *
 * A client's record of its own memory: a generation and a kind for each page, from which the page's
 * content can be computed again. Every block of 512 bytes (except in zero pages) carries a tag of
 * object, page, generation and kind, so a failure says whether the page is stale, lost, torn or
 * another page. One thread owns a page at a time.
 */
#ifndef LIVE_BOOK_H
#define LIVE_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pager;

enum page_kind { KIND_ZERO, KIND_SAME, KIND_TEXT, KIND_NOISE, KIND_COUNT };

/* Shares of kinds among written pages, in percent; the rest is text. */
struct mixture {
	unsigned zero, same, noise;
};

/* The mixture of most tests. */
extern const struct mixture mixture_usual;

struct page_note {
	uint32_t generation;
	uint8_t kind;  /* enum page_kind; a page never written is of kind zero */
	uint32_t poke; /* 0, or the value written to one word of it after its last generation */
};

struct book {
	unsigned char *base;
	size_t page_bytes;
	uint32_t object; /* any number: tells books apart */
	uint32_t count;
	struct page_note *notes;
};

void book_open(struct book *b, void *base, size_t page_bytes, uint32_t count, uint32_t object);
void book_close(struct book *b);
enum page_kind mixture_draw(const struct mixture *m, uint64_t *rng);

/* Writes the next generation. */
void book_write(struct book *b, uint32_t page, enum page_kind kind);
/* Writes the next generation of every page, of kinds drawn from the mixture. */
void book_write_all(struct book *b, const struct mixture *m, uint64_t *rng);
/* Writes one word. */
void book_poke(struct book *b, uint32_t page, uint32_t value);
/* Notes that the owner discarded it: it reads as zeroes. */
void book_forget(struct book *b, uint32_t page);
/* The owner gives the content of pages back: they read as zeroes. */
void book_discard(struct pager *p, struct book *b, uint32_t from, uint32_t count);
/* Notes the next generation, which the caller writes (page_expect says what). */
void book_note(struct book *b, uint32_t page, enum page_kind kind);
/* Writes what the page should contain to other memory. */
void page_expect(const struct book *b, uint32_t page, void *to);
/* What the first word of a page says. => false: nothing (zeroes); else of which page and which
 * generation it is */
bool book_word_read(uint64_t word, uint32_t *ret_page, uint32_t *ret_generation);
/* Reads the whole page; a wrong byte fails the test. */
void book_verify(const struct book *b, uint32_t page);
/* The same for a copy of the page; `way` says in a failure where the copy is from. */
void book_verify_copy(const struct book *b, uint32_t page, const void *copy, const char *way);
void book_verify_all(const struct book *b);

#endif
