/* SPDX-License-Identifier: MIT
 *
 * Rows of objects for the worker that comes after this one, by their index in the table of objects.
 * Only where there is a keeper.
 */
#ifndef KEPT_OBJECT_H
#define KEPT_OBJECT_H

#include <stdint.h>

#include "atomics.h"

struct daemon;
struct vm_object;

struct kept_object {
	atomic_ullong id;   /* 0: no object; written last, and cleared first */
	atomic_ullong task; /* its owner's number */
	uint64_t pages;
	uint32_t slot_base;
	uint32_t is_shareable;
};

struct kept_objects {
	struct kept_object *rows; /* NULL: there is no keeper */
	int fd;
	uint32_t count; /* rows that may have been used by the worker before this one */
};

/* => 0, -EPROTO: what was left is of another build, or -errno */
int kept_objects_create(struct daemon *d);
void kept_objects_destroy(struct daemon *d);
/* The object is there, or is about to go. No lock held; nothing is done without a keeper */
void kept_object_add(struct vm_object *o);
void kept_object_remove(struct vm_object *o);
/* Another task pays for it. O held */
void kept_object_owner_locked(struct vm_object *o);

#endif
