/* SPDX-License-Identifier: MIT
 *
 * Expanding without allocating.
 */
#ifndef CEXPANDER_H
#define CEXPANDER_H

#include "compressor_priv.h"

/* => 0 or -1: no memory */
int cexpanders_create(struct compressor *c);
void cexpanders_destroy(struct compressor *c);
/* => 0 or -EIO */
int cexpander_expand(struct compressor *c, const struct codec *codec, enum codec_id id,
    const void *src, size_t bytes, void *page);

#endif
