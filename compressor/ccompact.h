/* SPDX-License-Identifier: MIT
 *
 * Sliding one segment, for compaction and for the segment that is to be written out.
 */
#ifndef CCOMPACT_H
#define CCOMPACT_H

#include "compressor_priv.h"

/* FULL -> SLIDING with its slide lock, when nobody reads the segment and nobody else slides in its
 * stripe. => called with the pool lock held. */
bool ccompact_begin_locked(struct compressor *c, uint32_t segment);
/* SLIDING -> BUSY: slides, then lets readers in again. */
void ccompact_slide(struct compressor *c, uint32_t segment);

#endif
