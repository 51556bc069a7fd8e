/* SPDX-License-Identifier: MIT
 *
 * One stored page.
 */
#ifndef CPAGE_H
#define CPAGE_H

#include "compressor_priv.h"

/* Writes the page that `entry` describes, with its header, to `stored`. */
void cpage_write(struct compressor *c, void *stored, struct cowner owner, const void *payload,
    uint64_t entry, uint32_t slot, uint64_t generation);
/* The header that the page has with another owner. => false: the page is damaged */
bool cpage_renamed(struct compressor *c, const void *stored, struct cowner owner, uint64_t entry,
    uint32_t slot, uint64_t generation, struct cpage_header *ret);
/* Writes it, in two stores: until the second the page looks damaged. */
void cpage_header_put(void *stored, const struct cpage_header *h);
/* => 0 and *ret_owner if header and bytes are what was stored there, or -EIO. */
int cpage_verify(struct compressor *c, const void *stored, uint64_t entry, uint32_t slot,
    uint64_t generation, struct cowner *ret_owner);
/* Verifies and expands; counts. => 0 or -EIO. */
int cpage_expand(struct compressor *c, const void *stored, uint64_t entry, uint32_t slot,
    uint64_t generation, void *page);

#endif
