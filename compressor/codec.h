/* SPDX-License-Identifier: MIT
 *
 * Codecs make a page's bytes small and bring them back; each has one table entry. A page that
 * repeats one 32-bit word is recognised before any codec is asked, and a page that no codec shrinks
 * is kept raw.
 */
#ifndef CODEC_H
#define CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Kept in three bits of a directory entry. */
enum codec_id { CODEC_RAW = 0, CODEC_LZ4 = 1, CODEC_ZSTD = 2, CODEC_COUNT };

struct codec {
	const char *name;
	/* The working memory of compress and expand, each used by one thread at a time. It is all
	 * allocated here: no call below allocates. If a function is NULL, the codec needs no such
	 * memory, and that argument is NULL. => NULL: no memory */
	void *(*packer_create)(size_t page_bytes);
	void (*packer_destroy)(void *packer);
	void *(*expander_create)(void);
	void (*expander_destroy)(void *expander);
	/* acceleration: LZ4's; other codecs ignore it. => bytes written to dst, at most dst_max; 0:
	 * the page does not fit. */
	size_t (*compress)(void *packer, const void *src, size_t src_bytes, void *dst,
	    size_t dst_max, int acceleration);
	/* Expects exactly dst_bytes to come out. Reads and writes nothing outside the two buffers,
	 * whatever src holds. => 0 or -EIO. */
	int (*expand)(
	    void *expander, const void *src, size_t src_bytes, void *dst, size_t dst_bytes);
};

extern const struct codec codec_raw;
extern const struct codec codec_lz4;
extern const struct codec codec_zstd;

/* => NULL for a number that no codec has. */
const struct codec *codec_find(unsigned id);

/* Whether the page is one 32-bit word repeated. page: 8-byte aligned. */
bool codec_is_single_value(const void *page, size_t bytes, uint32_t *ret_word);
void codec_fill(void *page, size_t bytes, uint32_t word);

#endif
