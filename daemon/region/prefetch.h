/* SPDX-License-Identifier: MIT
 *
 * WILLNEED: stored pages come into the memfd ahead of use, unmapped (SPECULATIVE), as far as frames
 * are free beyond what pageout wants. Runs on: jobs, which may wait for its own I/O channel.
 */
#ifndef PREFETCH_H
#define PREFETCH_H

#include "region/range.h"

int prefetch_create(struct daemon *d);
void prefetch_destroy(struct daemon *d);
/* Memory for a page, of the jobs thread with that number. */
void *prefetch_page_of(struct daemon *d, unsigned place);
/* Puts the stored content of a page that the calling thread has FILLING into the memfd. place: of
 * the jobs thread. => whether it could; no lock held */
bool prefetch_content(struct daemon *d, unsigned place, struct vm_object *o, uint64_t index);
/* Brings the stored pages of a piece in. => pages; no lock held */
uint64_t region_prefetch(struct range *range);

#endif
