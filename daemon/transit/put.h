/* SPDX-License-Identifier: MIT
 *
 * The content of a fill's pages (transit/run.h) is put into the memfd and the client's page tables.
 * stats: the calling thread's.
 */
#ifndef PUT_H
#define PUT_H

#include "transit/run.h"

/* Fills the pages with zeroes, and finishes the fill. => whether the page that faulted is in place;
 * no lock held */
bool fill_zero(struct stat_shard stats, struct fill *fill);
/* Puts the first `count` pages in place and overwrites what the client has planted there. protect:
 * write-protected, but for a page that is being written to. If none of several pages can be put in
 * place, the fill is narrowed to the page that faulted. => how many are in place, from the fill's
 * first page on; no lock held */
unsigned fill_copy(
    struct stat_shard stats, struct fill *fill, const void *pages, unsigned count, bool protect);

/* Puts content into the memfd for the first `count` pages, which are mapped nowhere. => how many
 * are in place, all or none; no lock held */
unsigned fill_put(struct fill *fill, const void *pages, unsigned count);

#endif
