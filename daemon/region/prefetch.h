/* SPDX-License-Identifier: MIT
 *
 * WILLNEED: stored pages come into the memfd ahead of use, unmapped (SPECULATIVE), as far as frames
 * are free beyond what pageout wants. Runs on: jobs, which may wait for its own I/O channel.
 */
#ifndef PREFETCH_H
#define PREFETCH_H

#include "daemon.h"
#include "vm/vm_object.h"

int prefetch_create(struct daemon *d);
void prefetch_destroy(struct daemon *d);
/* => 1 if the page was brought in, else 0. No lock held. */
unsigned prefetch_page(struct daemon *d, struct vm_object *o, uint64_t index);

#endif
