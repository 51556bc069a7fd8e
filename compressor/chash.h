/* SPDX-License-Identifier: MIT
 *
 * XXH3 of stored bytes: one result, computed with what the processor has. chash.c is compiled for
 * any, and once more for AVX2, where it takes half the time: it is most of what a load costs beside
 * LZ4.
 */
#ifndef CHASH_H
#define CHASH_H

#include <stddef.h>
#include <stdint.h>

typedef uint64_t chash_function(const void *bytes, size_t length);

chash_function chash_portable;
#ifdef CHASH_HAVE_AVX2
chash_function chash_avx2;
#endif

/* => the fastest that runs here. */
chash_function *chash_choose(void);

#endif
