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

static size_t
lz4_state_bytes(void)
{
	return (size_t)LZ4_sizeofState();
}

static size_t
lz4_compress(
    void *state, const void *src, size_t src_bytes, void *dst, size_t dst_max, int acceleration)
{
	int n =
	    LZ4_compress_fast_extState(state, src, dst, (int)src_bytes, (int)dst_max, acceleration);

	return n > 0 ? (size_t)n : 0;
}

static int
lz4_expand(const void *src, size_t src_bytes, void *dst, size_t dst_bytes)
{
	int n = LZ4_decompress_safe(src, dst, (int)src_bytes, (int)dst_bytes);

	return n == (int)dst_bytes ? 0 : -EIO;
}

const struct codec codec_lz4 = {
	.name = "lz4",
	.state_bytes = lz4_state_bytes,
	.compress = lz4_compress,
	.expand = lz4_expand,
};
