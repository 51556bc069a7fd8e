/* SPDX-License-Identifier: MIT
 *
 * Rows of objects for the worker that comes after this one, by their index in the table of objects.
 * Only where there is a keeper.
 */
#ifndef KEPT_OBJECT_H
#define KEPT_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "atomics.h"

struct daemon;
struct vm_object;

struct kept_object {
	atomic_ullong id;   /* 0: no object; written last, and cleared first */
	atomic_ullong task; /* its owner's number */
	uint64_t pages;
	uint32_t slot_base;
	uint32_t use;          /* enum object_use */
	atomic_uint purgeable; /* its state and PURGEABLE_HOW_MASK, and whether the content is on
				  its way out: KEPT_PURGING */
	uint32_t reserved;
};
#define KEPT_PURGING 0x80000000u
_Static_assert(sizeof(struct kept_object) == 40, "layout of the arena");

struct kept_objects {
	struct kept_object *rows; /* NULL: there is no keeper */
	int fd;
	uint32_t count; /* rows that may have been used by the worker before this one */
};

/* => 0, -EPROTO: what was left is of another build, or -errno */
int kept_objects_create(struct daemon *d);
void kept_objects_destroy(struct daemon *d);
/* The object, which was made for that use, is there, or it is about to go. No lock held; nothing is
 * done without a keeper */
void kept_object_add(struct vm_object *o, uint32_t use);
void kept_object_remove(struct vm_object *o);
/* The state of a purgeable object has changed. is_purging: its content is on its way out from now
 * on, and will have gone before this is called again. O held */
void kept_object_purgeable_locked(struct vm_object *o, bool is_purging);
/* Another task pays for it. O held */
void kept_object_owner_locked(struct vm_object *o);

#endif
