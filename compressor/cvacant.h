/* SPDX-License-Identifier: MIT
 *
 * Freed places in full segments.
 */
#ifndef CVACANT_H
#define CVACANT_H

#include "compressor_priv.h"

/* Takes a slot's page, which the caller owns, out of the books. Its place is a vacancy. */
void cseg_slot_free(struct compressor *c, uint32_t segment, uint32_t slot);
/* A segment is about to be FULL: its owner (F) turns the room at its end into a vacancy and lists
 * all vacancies that it has. */
void cvacant_close(struct compressor *c, uint32_t segment);
/* Stores a page in the vacancy that fits best. => false: there is none, nothing has changed. */
bool cvacant_fill(struct compressor *c, struct cowner owner, enum codec_id codec,
    const void *payload, uint32_t length, struct cref *ret_cref, uint32_t *ret_bytes);

#endif
