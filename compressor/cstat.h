/* SPDX-License-Identifier: MIT
 *
 * Figures, sharded: each thread adds to one shard, and the sum over the shards counts.
 */
#ifndef CSTAT_H
#define CSTAT_H

#include "compressor_priv.h"

void cstat_add(struct compressor *c, enum cstat stat, uint64_t n);
uint64_t cstat_sum(struct compressor *c, enum cstat stat);

#endif
