/* SPDX-License-Identifier: MIT
 *
 * Pages of an object that a worker has left.
 */
#ifndef TAKEOVER_PAGE_H
#define TAKEOVER_PAGE_H

#include "vm/vm_mapping.h"

/* What was found. */
struct taken_pages {
	uint64_t resident, stored, discarded, lost;
};

/* Each page of the object becomes what slot, frame, memfd and compressor say together. Pages that
 * no entry and no name covers go. content: room for a page. No lock held */
void pages_take_over(struct vm_object *o, char *content, struct taken_pages *sum);
/* All memory of an object that nobody sees goes, from its client's page tables too. */
void pages_drop(int memfd);

#endif
