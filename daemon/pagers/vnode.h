/* SPDX-License-Identifier: MIT
 *
 * The vnode pager: the content of an object is a part of a client's file. There is one struct vnode
 * for each file (device and inode) of which something is mapped, or still to be written. Its
 * objects cover the parts that have been mapped, none of them twice, so all clients see one memory.
 *
 * Descriptors. A client gives one. The daemon opens the file again through it, with the access that
 * it has and no more: a buffered description, and one with O_DIRECT if the file system says what it
 * asks for. It never goes by a path. A file without a name is a file like any other.
 */
#ifndef VNODE_H
#define VNODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lock.h"
#include "pagers/pager_types.h"

struct cref;
struct daemon;
struct share_account;
struct swap_channel;
struct task;
struct vm_object;
struct vnode;

#define VNODE_CHAINS 256u
/* An object lies within one part of this size of its file: files may grow, objects do not. */
#define VNODE_CHUNK_BYTES (1ull << 30)
/* Descriptors that a file takes of its user's share. */
#define VNODE_DESCRIPTORS 4u

struct vnode_table {
	struct lock lock;
	struct vnode *chains[VNODE_CHAINS]; /* under the lock */
	unsigned count, object_count;       /* under the lock */
	int watch;                          /* (C) pagers/vnode_watch.h; -1: there is none */
};

void vnodes_create(struct daemon *d);
void vnodes_destroy(struct daemon *d);
void vnodes_counts(struct daemon *d, unsigned *ret_files, unsigned *ret_objects);

/* The file that a client's descriptor names, with a reference. *ret_pages: in the file now.
 * is_writable: it is to be mapped for writing. => 0; -EACCES: the descriptor does not allow that;
 * -ENODEV: no regular file; -EBADF; -ENOMEM; -EMFILE; -errno of opening it again. It may wait, for
 * as long as the file system likes. Runs on: jobs */
int vnode_get(struct daemon *d, struct task *task, int fd, bool is_writable, struct vnode **ret,
    uint64_t *ret_pages);
void vnode_put(struct daemon *d, struct vnode *v);
/* The object in which page `first` of the file lies, with a reference. It is made if need be, to
 * cover `count` pages and the whole file, as far as it may. *ret_index: that page in the object.
 * The object stays in the table until vnode_joined. => 0, or as vm_object_create; no lock held.
 * Runs on: jobs */
int vnode_join(struct daemon *d, struct task *task, struct vnode *v, uint64_t first, uint64_t count,
    uint64_t file_pages, struct vm_object **ret, uint64_t *ret_index);
/* It has been mapped, or will not be. */
void vnode_joined(struct vm_object *o);

/* As a pager: the contracts are those of pager.h. */
bool vnode_is_away(struct daemon *d, struct cref copy);
void vnode_prefetch(struct daemon *d, struct cref copy);
enum pager_result vnode_data_request(struct daemon *d, struct cref copy, void *page);
enum pager_room vnode_room_take(struct daemon *d, size_t pages);
bool vnode_copies_fit(const struct daemon *d);
void vnode_drop(struct daemon *d, struct cref copy);
enum pager_result vnode_read_begin(const struct vm_object *o, uint64_t index,
    const struct cref *copies, unsigned count, size_t most_bytes, struct pager_read *ret);
enum pager_result vnode_read_submit(const struct vm_object *o, const struct pager_read *read,
    struct swap_channel *channel, void *buffer, uint64_t cookie);
enum pager_result vnode_read_decode(const struct vm_object *o, const struct pager_read *read,
    unsigned i, const void *buffer, void *page);
void vnode_read_end(const struct vm_object *o, const struct pager_read *read, int error);
bool vnode_size_submit(const struct vm_object *o, struct swap_channel *channel, uint64_t cookie);
enum pager_result vnode_write_submit(const struct vm_object *o, uint64_t offset, size_t bytes,
    struct swap_channel *channel, void *buffer, uint64_t cookie);
void vnode_write_end(const struct vm_object *o, int error);
int vnode_sync(const struct vm_object *o);
bool vnode_is_changed(const struct vm_object *o);
bool vnode_last_unmap(struct vm_object *o);

#endif
