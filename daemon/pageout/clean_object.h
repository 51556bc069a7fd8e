/* SPDX-License-Identifier: MIT
 *
 * What the cleaner does to an object of a file besides writing its pages, and to any object whose
 * tables are garbage. Runs on: the cleaner's hands, since calls on clients' memory may last.
 */
#ifndef CLEAN_OBJECT_H
#define CLEAN_OBJECT_H

#include "pageout/cleaner_priv.h"

/* Why an object is visited. */
enum visit {
	VISIT_DROP = 1,    /* its clean pages are to be read again */
	VISIT_TABLES = 2,  /* it has tables without pages, and they are to be collected */
	VISIT_GIVE_UP = 4, /* its dirty pages cannot be written, and the daemon ends */
	VISIT_LEAVE = 8,   /* nobody maps it: it ends when it has no page any more */
	VISIT_FORGET = 16, /* its dirty pages are given up, whoever maps it */
};

/* Whether tables of the object's are left behind pages that have gone, and are to be collected.
 * Also of objects that are of no file. => no lock held */
bool clean_object_has_garbage(struct vm_object *o);
/* *ret_dirty: pages that were to be given up are in transit. => whether pages that were to be
 * dropped are; no lock held */
bool clean_object_visit(
    struct stat_shard stats, struct hole *hole, struct vm_object *o, unsigned why, bool *ret_dirty);

#endif
