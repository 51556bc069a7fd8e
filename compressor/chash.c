/* SPDX-License-Identifier: MIT
 *
 * The one file that includes xxhash.h; compiled twice on x86-64 (see chash.h). Runs on: any thread.
 */
#include "chash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#ifdef CHASH_BUILD_AVX2

uint64_t
chash_avx2(const void *bytes, size_t length)
{
	return XXH3_64bits(bytes, length);
}

#else

uint64_t
chash_portable(const void *bytes, size_t length)
{
	return XXH3_64bits(bytes, length);
}

chash_function *
chash_choose(void)
{
#ifdef CHASH_HAVE_AVX2
	if (__builtin_cpu_supports("avx2"))
		return chash_avx2;
#endif
	return chash_portable;
}

#endif
