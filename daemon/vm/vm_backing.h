/* SPDX-License-Identifier: MIT
 *
 * Backings: the memfds in which resident pages lie.
 */
#ifndef VM_BACKING_H
#define VM_BACKING_H

#include "vm/books.h"

/* A memfd of that size, whose size nobody can change. => 0, or -errno of the descriptor or of its
 * memory */
int vm_backing_create(struct vm_backing *b, uint64_t bytes);
/* A descriptor that a client of that user has given; it is the backing's from now on. */
void vm_backing_adopt(struct vm_backing *b, int fd, uid_t uid);
void vm_backing_destroy(struct daemon *d, struct vm_backing *b);

#endif
