/* SPDX-License-Identifier: MIT
 *
 * Page tables of all tasks that map an object: the only place that walks mappings to change them.
 * It is named after the machine-dependent half of Mach's VM. Each function goes to one mapper after
 * the other, and names it to the watch (watch_client) while it waits for it. The caller has a
 * reference on the object, holds no lock, and keeps the pages as they are: busy, or in a hole.
 */
#ifndef PMAP_H
#define PMAP_H

#include "vm/vm_object.h"

/* Write-protects pages [low, high) in all mappings that have them. => 0, or the -errno of a mapping
 * through which they can still be written; a mapping that is gone, or whose process is gone, is no
 * error. It waits while a client moves memory in its address space; _try answers -EAGAIN then, and
 * is for those who can come back. */
int pmap_protect(struct vm_object *o, uint64_t low, uint64_t high);
int pmap_protect_try(struct vm_object *o, uint64_t low, uint64_t high);
/* Wakes the threads that wait for pages [low, high) in a fault, so that they fault again. */
void pmap_wake(struct vm_object *o, uint64_t low, uint64_t high);
/* Takes poison out of the page tables, also what refused faults have left there: zeroes are put
 * over page `index`, which has no content that counts, and punched away again. */
void pmap_clear(struct vm_object *o, uint64_t index);
/* Takes page `index` out of all page tables for certain, those of a stopped process included: its
 * content is read, punched away and written again. What is written to it meanwhile, where it could
 * not be write-protected before, may be lost. page: memory for it. => 0; -EIO: it could not be
 * read, and is as before; -ENOMEM: its content is lost, and it reads as zeroes */
int pmap_unmap(struct vm_object *o, uint64_t index, void *page);
/* The same, before a page may change that windows may have in page tables (vm/window.h), and which
 * the caller has busy. If it is in none already, nothing is done. */
int pmap_hide(struct vm_object *o, uint64_t index, struct vm_page *p, void *page);

#endif
