/* SPDX-License-Identifier: MIT
 *
 * The index of files: by device and inode, for those that map one, and by the handle that events
 * bring. It grows with the number of files, so that a look costs the same for one and for many.
 */
#ifndef VNODE_INDEX_H
#define VNODE_INDEX_H

#include <stdbool.h>
#include <sys/types.h>

#include "atomics.h"
#include "lock.h"

struct vnode;
struct vnode_handle;

struct vnode_table {
	struct lock lock;
	/* Under the lock, here and below: chains of the index, 1 << bits by
	 * device and inode, and as many by handle. */
	struct vnode **chains;
	unsigned bits;
	unsigned count, object_count;
	struct vnode *ending;     /* out of the index, and watched still */
	struct cond ended;        /* jobs wait for one to be so no more; broadcast by its thread */
	int watch;                /* (C) pagers/vnode_watch.h; -1: there is none */
	atomic_uint read_forgets; /* (A) of all objects: external.read_forgets */
	atomic_int strict;        /* (A) pagers/vnode_strict.h; -1: there is none */
};

/* => 0 or -ENOMEM */
int vnode_index_create(struct vnode_table *t);
void vnode_index_destroy(struct vnode_table *t);
/* Makes room for one more file, if memory allows; without it looks become slower. No lock held;
 * runs on: jobs */
void vnode_index_grow(struct vnode_table *t);
/* The table's lock is held, here and below. => NULL: there is none */
struct vnode *vnode_index_find_locked(const struct vnode_table *t, dev_t device, ino_t inode);
void vnode_index_add_locked(struct vnode_table *t, struct vnode *v);
void vnode_index_remove_locked(struct vnode_table *t, struct vnode *v);
/* The file, which is in the index, is known by v->handle from now on: is_watched is set. */
void vnode_index_watch_locked(struct vnode_table *t, struct vnode *v);
/* The first watched file with that handle behind `after`, or behind none: file systems may use the
 * same handles. */
struct vnode *vnode_index_next_locked(
    const struct vnode_table *t, const struct vnode_handle *handle, const struct vnode *after);

#endif
