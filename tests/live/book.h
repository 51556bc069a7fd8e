/* SPDX-License-Identifier: MIT
 *
 * What a client knows about its own memory: a generation and a kind for each page, from which its
 * whole content can be computed again. Every block of 512 bytes (but of zero pages) carries a tag:
 * object, page, generation, kind; so a page that is stale, lost, torn or another's is named, not
 * merely noticed. One thread owns a page at a time.
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
	uint32_t poke; /* 0, or what was written to one word of it after its last generation */
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
/* Notes the next generation; the caller makes it so (see page_expect). */
void book_note(struct book *b, uint32_t page, enum page_kind kind);
/* The page as it should be, to memory of one's own. */
void page_expect(const struct book *b, uint32_t page, void *to);
/* Reads all of it; anything but the truth fails the test. */
void book_verify(const struct book *b, uint32_t page);
/* The same for a copy of the page that came by another way. */
void book_verify_copy(const struct book *b, uint32_t page, const void *copy, const char *way);
void book_verify_all(const struct book *b);

#endif
