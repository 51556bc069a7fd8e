/* SPDX-License-Identifier: MIT
 *
 * The content of pages that are being filled is put into the memfd and the client's page tables.
 */
#ifndef PUT_H
#define PUT_H

#include "transit/run.h"

/* Fills the pages with zeroes, and finishes. stats: the calling thread's, here and below. No lock
 * held */
void fill_zero(struct stat_shard stats, struct fill *fill);
/* Puts pages into the memfd and the client's tables; overwrites what was planted. Where none of
 * several can be, the fill is narrowed to the one that faulted. => pages in place, from the fill's
 * first on. */
unsigned fill_copy(
    struct stat_shard stats, struct fill *fill, const void *pages, unsigned count, bool protect);

#endif
