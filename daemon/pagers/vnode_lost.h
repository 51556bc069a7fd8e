/* SPDX-License-Identifier: MIT
 *
 * What files lose: pages that have not been written when the daemon ends, or are given up.
 */
#ifndef VNODE_LOST_H
#define VNODE_LOST_H

#include <stdint.h>

struct daemon;
struct vm_object;

/* The log names the file, and how many of its pages are lost. */
void vnode_lost_tell(const struct vm_object *o, uint64_t pages);
/* The same of pages that were given up; the next msync of the file is told, too. */
void vnode_forgotten_tell(const struct vm_object *o, uint64_t pages);
/* The same for all pages that are dirty now, of each file. Any thread, no lock held */
void vnode_lost_tell_all(struct daemon *d);

#endif
