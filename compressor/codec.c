/* SPDX-License-Identifier: MIT
 *
 * The codec table, raw pages and single-value pages. Runs on: any thread; no locks, no state.
 */
#include "codec.h"

#include <errno.h>
#include <string.h>

static size_t
raw_compress(
    void *packer, const void *src, size_t src_bytes, void *dst, size_t dst_max, int acceleration)
{
	(void)packer;
	(void)acceleration;
	if (src_bytes > dst_max)
		return 0;
	memcpy(dst, src, src_bytes);
	return src_bytes;
}

static int
raw_expand(void *expander, const void *src, size_t src_bytes, void *dst, size_t dst_bytes)
{
	(void)expander;
	if (src_bytes != dst_bytes)
		return -EIO;
	memcpy(dst, src, dst_bytes);
	return 0;
}

const struct codec codec_raw = {
	.name = "raw",
	.compress = raw_compress,
	.expand = raw_expand,
};

const struct codec *
codec_find(unsigned id)
{
	static const struct codec *const codecs[CODEC_COUNT] = {
		[CODEC_RAW] = &codec_raw,
		[CODEC_LZ4] = &codec_lz4,
		[CODEC_ZSTD] = &codec_zstd,
	};

	return id < CODEC_COUNT ? codecs[id] : NULL;
}

bool
codec_is_single_value(const void *page, size_t bytes, uint32_t *ret_word)
{
	const char *p = page;
	uint32_t word, probe;

	/* Two probes rule out nearly every page that merely begins with a run of zeroes. */
	memcpy(&word, p, sizeof(word));
	memcpy(&probe, p + bytes - sizeof(probe), sizeof(probe));
	if (probe != word)
		return false;
	memcpy(&probe, p + bytes / 2, sizeof(probe));
	if (probe != word)
		return false;
	/* The page equals itself shifted by one word. memcmp compares with the widest loads and
	 * stops at the first difference. */
	if (memcmp(p, p + sizeof(word), bytes - sizeof(word)) != 0)
		return false;
	*ret_word = word;
	return true;
}

void
codec_fill(void *page, size_t bytes, uint32_t word)
{
	if (word == (word & 0xff) * UINT32_C(0x01010101)) {
		memset(page, (int)(word & 0xff), bytes);
		return;
	}
	/* The compiler makes wide stores of this. */
	uint64_t two = (uint64_t)word << 32 | word;
	for (size_t i = 0; i < bytes; i += sizeof(two))
		memcpy((char *)page + i, &two, sizeof(two));
}
