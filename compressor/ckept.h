/* SPDX-License-Identifier: MIT
 *
 * Tables that outlive the process.
 */
#ifndef CKEPT_H
#define CKEPT_H

#include "compressor_priv.h"

/* Rows, directory and the places aside come from the caller's memfds, which are made where there
 * are none yet. => 0, -EPROTO: what is there is not of this shape, or -errno */
int ckept_open(struct compressor *c, struct compressor_kept *kept);
void ckept_close(struct compressor *c);
/* The place aside for segments of that slide lock. */
struct caside *ckept_aside(struct compressor *c, unsigned lock);
/* A page is about to be moved to a place that overlaps its own: it is put aside first, and that it
 * was. => where, for ckept_aside_end; the slide lock held */
void ckept_aside_begin(
    struct compressor *c, uint32_t segment, uint32_t slot, uint64_t from, uint64_t to);
/* Writes a page's header, whose segment the caller has pinned; it is put aside first. */
void ckept_rename(struct compressor *c, uint32_t segment, uint32_t slot, uint64_t entry,
    const struct cpage_header *h);
/* The page is whole again, where its entry says. */
void ckept_aside_end(struct compressor *c, uint32_t segment);

#endif
