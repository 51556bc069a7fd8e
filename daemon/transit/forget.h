/* SPDX-License-Identifier: MIT
 *
 * Dirty pages of files are given up.
 */
#ifndef FORGET_H
#define FORGET_H

#include <stdbool.h>

#include "vm/vm_object.h"

/* The object's dirty pages become clean without having been written: the caller has them dropped
 * then, so that they are read from their places again. Wired ones stay as they are, for they are
 * dirty whatever they contain. *ret_busy: some were in transit, or could not be protected. => how
 * many have become clean; no lock held. Never waits but for calls on clients' memory */
uint64_t vm_object_forget_dirty(struct vm_object *o, bool *ret_busy);

#endif
