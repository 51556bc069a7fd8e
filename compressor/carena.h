/* SPDX-License-Identifier: MIT
 *
 * Memory of the arena.
 */
#ifndef CARENA_H
#define CARENA_H

#include "compressor_priv.h"

/* => 0 or -errno */
int carena_open(struct compressor *c, struct compressor_kept *kept);
void carena_close(struct compressor *c);
/* Takes memory of the arena away, whoever counts it. */
void carena_hole(struct compressor *c, uint64_t offset, uint32_t bytes);
/* Gives [from, to) of a chunk back. */
void carena_punch(struct compressor *c, uint32_t chunk, uint32_t from, uint32_t to);
/* Makes at least the first `bytes` of a chunk there, rounded up to a multiple of `step`.
 * => 0 and *populated, or -ENOMEM. => called without the pool lock. */
int carena_grow(
    struct compressor *c, uint32_t chunk, uint32_t *populated, uint32_t bytes, uint32_t step);
/* Gives back what lies behind a segment's used bytes. => segment is owned (F). => bytes given. */
size_t carena_trim(struct compressor *c, uint32_t segment);

#endif
