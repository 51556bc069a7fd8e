/* SPDX-License-Identifier: MIT
 *
 * XXH3 of stored bytes: the result is the same whatever instructions compute it. chash.c is
 * compiled for any processor, and once more for AVX2, with which it takes half the time. Beside LZ4
 * it is most of the cost of a load.
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
