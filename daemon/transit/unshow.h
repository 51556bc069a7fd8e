/* SPDX-License-Identifier: MIT
 *
 * What windows show is taken out of page tables.
 */
#ifndef UNSHOW_H
#define UNSHOW_H

#include "vm/vm_object.h"

/* Pages [first, end) of a copy are not what they were copied from any more: what windows show in
 * their places (vm/window.h) goes out of page tables, and comes no more. => the links are gone; no
 * lock held. Runs on: jobs */
void windows_unshow(struct vm_object *o, uint64_t first, uint64_t end);

#endif
