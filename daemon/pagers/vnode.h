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

#include "pagers/pager_types.h"
#include "pagers/vnode_index.h"

struct cref;
struct daemon;
struct share_account;
struct swap_channel;
struct task;
struct vm_object;
struct vnode;

/* An object lies within one part of this size of its file: files may grow, objects do not. */
#define VNODE_CHUNK_BYTES (1ull << 30)
/* Descriptors that a file takes of its user's share. */
#define VNODE_DESCRIPTORS 4u

/* => 0 or -ENOMEM */
int vnodes_create(struct daemon *d);
void vnodes_destroy(struct daemon *d);
void vnodes_counts(struct daemon *d, unsigned *ret_files, unsigned *ret_objects);

/* The file that a client's descriptor names, with a reference. *ret_pages: in the file now.
 * is_writable: it is to be mapped for writing. => 0; -EACCES: the descriptor does not allow that;
 * -ENODEV: no regular file; -EOPNOTSUPP: the daemon is strict (pagers/vnode_strict.h), the file
 * system is not; -EBADF; -ENOMEM; -EMFILE; -errno of opening it again. It may wait, for as long as
 * the file system likes. Runs on: jobs */
int vnode_get(struct daemon *d, struct task *task, int fd, bool is_writable, struct vnode **ret,
    uint64_t *ret_pages);
void vnode_put(struct daemon *d, struct vnode *v);
/* The file of an object that was found by other ways than the file, with a reference; NULL: the
 * object has left it. Jobs. */
struct vnode *vnode_of_object(struct vm_object *o);
/* The object in which page `first` of the file lies, with a reference. It is made if need be, to
 * cover `count` pages and the whole file, as far as it may. *ret_index: that page in the object.
 * The object stays in the table until vnode_joined. => 0, or as vm_object_create; no lock held.
 * Runs on: jobs */
int vnode_join(struct daemon *d, struct task *task, struct vnode *v, uint64_t first, uint64_t count,
    uint64_t file_pages, struct vm_object **ret, uint64_t *ret_index);
/* It has been mapped, or will not be. */
void vnode_joined(struct vm_object *o);

/* Bytes [offset, end) of a file that may be mapped or not. */
struct file_part {
	dev_t device;
	ino_t inode;
	uint64_t offset, end;
};
/* Whether a file is mapped, and whether its pages have been written in time of late. */
enum vnode_pace { VNODE_NONE, VNODE_QUICK, VNODE_SLOW };

/* The first object of the file with pages in the part, which moves on behind them. *ret_low,
 * *ret_high: which of its pages. => the object, with a reference, which stays in the table until
 * vnode_joined; NULL: there is none. No lock held, here and below; any thread */
struct vm_object *vnode_part_next(
    struct daemon *d, struct file_part *part, uint64_t *ret_low, uint64_t *ret_high);
/* *ret_uid: the user who pays for the file, unless it is VNODE_NONE. */
enum vnode_pace vnode_pace(
    struct daemon *d, const struct file_part *part, uint64_t now, uid_t *ret_uid);
/* Writing the object's pages has taken too long: its file is slow until then (clock_now_ns). */
void vnode_slow(struct vm_object *o, uint64_t until);

/* The cleaner is to give up the dirty pages of all the file's objects: those who wait until they
 * are written get -EIO, and what is mapped is read from the file again. Pages that are wired stay
 * as they are. While writes are under way that have not come back, what the file has is not known:
 * until then (external.is_let_go) its pages are refused as those that cannot be read. Likewise
 * reads under way have failed for those who wait for them, and until they have come back
 * (external.reads_aside) pages are refused. It also gives up dirty pages, but no reads, when nobody
 * has mapped an object for file_keep_s, and it could not be written (external.stuck_ns: since
 * when). *ret_dirty: bytes; *ret_late: writes that have not come back for long. => how many
 * objects */
unsigned vnode_forget(struct daemon *d, struct vnode *v, uint64_t *ret_dirty, unsigned *ret_late);

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
bool vnode_sync_submit(const struct vm_object *o, struct swap_channel *channel, uint64_t cookie);
int vnode_sync_result(const struct vm_object *o, int error);
bool vnode_is_changed(const struct vm_object *o);
bool vnode_last_unmap(struct vm_object *o);

#endif
