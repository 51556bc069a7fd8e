/* SPDX-License-Identifier: MIT
 *
 * LZ4: the one file that includes lz4.h. Runs on: any thread; the state belongs to the caller.
 *
 * The variant that does not clear its state first (LZ4_compress_fast_extState_fastReset) is not
 * used: it clears the table anyway for inputs of 4 KiB and more, and shared libraries do not export
 * it.
 */
#include "codec.h"

#include <errno.h>
#include <lz4.h>
#include <stdlib.h>
#include <string.h>

static void *
lz4_packer_create(size_t page_bytes)
{
	size_t bytes = (size_t)LZ4_sizeofState();
	void *packer = malloc(bytes);

	(void)page_bytes;
	if (packer)
		memset(packer, 0, bytes);
	return packer;
}

static size_t
lz4_compress(
    void *packer, const void *src, size_t src_bytes, void *dst, size_t dst_max, int acceleration)
{
	int n = LZ4_compress_fast_extState(
	    packer, src, dst, (int)src_bytes, (int)dst_max, acceleration);

	return n > 0 ? (size_t)n : 0;
}

static int
lz4_expand(void *expander, const void *src, size_t src_bytes, void *dst, size_t dst_bytes)
{
	int n = LZ4_decompress_safe(src, dst, (int)src_bytes, (int)dst_bytes);

	(void)expander;
	return n == (int)dst_bytes ? 0 : -EIO;
}

const struct codec codec_lz4 = {
	.name = "lz4",
	.packer_create = lz4_packer_create,
	.packer_destroy = free,
	.compress = lz4_compress,
	.expand = lz4_expand,
};
