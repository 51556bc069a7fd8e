/* SPDX-License-Identifier: MIT
 *
 * The segment that a worker fills, and the memory for it.
 */
#ifndef CFILL_H
#define CFILL_H

#include "compressor_priv.h"

/* Appends a page whose bytes are at `payload`. => 0, or -ENOSPC and nothing has changed. */
int cfill_append(struct compressor *c, struct cworker *w, struct cowner owner, enum codec_id codec,
    const void *payload, uint32_t length, struct cref *ret_cref, uint32_t *ret_bytes);
/* Takes back the page appended last, whose handle the caller has given to nobody. */
void cfill_unappend(struct compressor *c, struct cworker *w, struct cref cref);
/* Closes the worker's segment. cold: it takes its place among the oldest. */
void cfill_close(struct compressor *c, struct cworker *w, bool cold);
/* Gives back memory that is only kept for later pages: a spare chunk's, or an open segment's end.
 * => false: there is none. */
bool cfill_kept_give(struct compressor *c);

#endif
