/* SPDX-License-Identifier: MIT
 *
 * The table of files, and their descriptors. Runs on: jobs (get, join, put, sync), the cleaner
 * (last_unmap, put). Calls on a client's file may wait for as long as its file system likes: they
 * are watched, and no lock is held.
 */
#include "pagers/vnode.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/closer.h"
#include "core/watch.h"
#include "pagers/vnode_watch.h"
#include "vm/task.h"
#include "vm/vm_object.h"
#include "vm/vm_share.h"

#ifndef STATX_DIOALIGN
#define STATX_DIOALIGN 0x2000u
#endif

void
vnodes_create(struct daemon *d)
{
	CHECK(d->vnodes.count == 0);
	lock_init(&d->vnodes.lock, RANK_VNODES);
	vnode_watch_create(d);
}

void
vnodes_destroy(struct daemon *d)
{
	CHECK(d->vnodes.count == 0 && d->vnodes.object_count == 0);
	vnode_watch_destroy(d);
	lock_fini(&d->vnodes.lock);
}

void
vnodes_counts(struct daemon *d, unsigned *ret_files, unsigned *ret_objects)
{
	lock_acquire(&d->vnodes.lock);
	*ret_files = d->vnodes.count;
	*ret_objects = d->vnodes.object_count;
	lock_release(&d->vnodes.lock);
}

static struct vnode **
chain_locked(struct vnode_table *t, dev_t device, ino_t inode)
{
	lock_assert_held(&t->lock);
	return &t->chains[(inode ^ inode >> 16 ^ device * 31) % VNODE_CHAINS];
}

/* => the file, with a reference, or NULL */
static struct vnode *
find_locked(struct vnode_table *t, dev_t device, ino_t inode)
{
	struct vnode *v = *chain_locked(t, device, inode);

	lock_assert_held(&t->lock);
	while (v && (v->device != device || v->inode != inode))
		v = v->next;
	if (v) {
		CHECK_OBJ(v, VNODE_MAGIC);
		v->references++;
	}
	return v;
}

/* Opens the file that a descriptor names once more. => a descriptor, or -errno */
static int
open_again(int fd, int flags)
{
	char path[64];
	int again, error;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	watch_enter(WATCH_FILE, -1);
	again = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	error = errno;
	watch_leave();
	return again < 0 ? -error : again;
}

/* Whether pages can be read and written past the page cache. A file system that does not say so is
 * not asked to: an error would come only with the first read. */
static bool
takes_direct(const struct daemon *d, int fd)
{
	/* Older headers do not have these fields of struct statx. */
	union {
		struct statx statx;
		struct {
			char before[0x98];
			uint32_t mem_align, offset_align;
		} align;
	} st = { 0 };
	bool known;

	watch_enter(WATCH_FILE, -1);
	known = syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st.statx) == 0 &&
		st.statx.stx_mask & STATX_DIOALIGN;
	watch_leave();
	return known && st.align.mem_align > 0 && st.align.mem_align <= 4096 &&
	       st.align.offset_align > 0 && d->page_bytes % st.align.offset_align == 0 &&
	       4096 % st.align.offset_align == 0;
}

/* The daemon's own descriptions, with the access that the client's has. => 0 or -errno */
static int
files_open(const struct daemon *d, int fd, bool is_writable, int *ret_plain, int *ret_direct)
{
	int access = is_writable ? O_RDWR : O_RDONLY, plain = open_again(fd, access);

	if (plain < 0) {
		/* A description that appends writes at the end, wherever it is told to write. */
		if (is_writable && fcntl(fd, F_GETFL) & O_APPEND)
			return plain;
		plain = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (plain < 0)
			return -errno;
	}
	*ret_plain = plain;
	*ret_direct = takes_direct(d, plain) ? open_again(fd, access | O_DIRECT) : -1;
	return 0;
}

/* One of several threads gives the file its descriptors of a kind. */
static void
files_give(struct daemon *d, struct vnode *v, bool is_writable, int plain, int direct)
{
	int none = -1;

	CHECK(plain >= 0);
	lock_acquire(&d->vnodes.lock);
	if (load_relaxed(&v->files[is_writable].plain) == none) {
		if (direct >= 0)
			store_release(&v->files[is_writable].direct, direct);
		store_release(&v->files[is_writable].plain, plain);
		plain = direct = none;
	}
	lock_release(&d->vnodes.lock);
	closer_close(d, plain, 0, v->account->uid);
	if (direct >= 0)
		closer_close(d, direct, 0, v->account->uid);
}

static void
vnode_free(struct daemon *d, struct vnode *v)
{
	CHECK(v->references == 0 && !v->objects);
	vnode_watch_remove(d, v);
	for (unsigned i = 0; i < ARRAY_LEN(v->files); i++) {
		closer_close(d, load_relaxed(&v->files[i].plain), 0, v->account->uid);
		closer_close(d, load_relaxed(&v->files[i].direct), 0, v->account->uid);
	}
	share_give(d, v->account, SHARE_DESCRIPTORS, VNODE_DESCRIPTORS);
	share_account_put(d, v->account);
	v->magic = 0;
	free(v);
}

/* => one reference, or an error as vnode_get */
static int
vnode_make(struct daemon *d, struct task *task, const struct stat *st, struct vnode **ret)
{
	struct share_account *account = task->bill.account;
	int error = share_take(d, account, SHARE_DESCRIPTORS, VNODE_DESCRIPTORS);
	struct vnode *v;

	if (error)
		return -EMFILE;
	v = calloc(1, sizeof(*v));
	if (v)
		v->account = share_account_get(d, account->uid, account->is_privileged);
	if (!v || !v->account) {
		share_give(d, account, SHARE_DESCRIPTORS, VNODE_DESCRIPTORS);
		free(v);
		return -ENOMEM;
	}
	v->magic = VNODE_MAGIC;
	v->device = st->st_dev;
	v->inode = st->st_ino;
	v->references = 1;
	for (unsigned i = 0; i < ARRAY_LEN(v->files); i++) {
		store_relaxed(&v->files[i].plain, -1);
		store_relaxed(&v->files[i].direct, -1);
	}
	*ret = v;
	return 0;
}

/* => the file in the table, with a reference; `made` has become it, or is freed */
static struct vnode *
vnode_enter(struct daemon *d, struct vnode *made)
{
	struct vnode_table *t = &d->vnodes;
	struct vnode *v, **chain;

	lock_acquire(&t->lock);
	v = find_locked(t, made->device, made->inode);
	if (!v) {
		chain = chain_locked(t, made->device, made->inode);
		made->next = *chain;
		*chain = made;
		t->count++;
		v = made;
	}
	lock_release(&t->lock);
	if (v != made) {
		made->references = 0;
		vnode_free(d, made);
	}
	return v;
}

/* What mmap(2) refuses is refused: files that are sealed, and those that are made when they are
 * read, as in /proc. These answer by who has opened them, and the daemon may be allowed more than
 * its client. => 0 or -errno */
static int
mapping_try(const struct daemon *d, int fd, bool is_writable)
{
	size_t bytes = d->page_bytes;
	void *at;
	int r = 0;

	watch_enter(WATCH_FILE, -1);
	at = mmap(NULL, bytes, PROT_READ | (is_writable ? PROT_WRITE : 0), MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		r = errno == EIO ? -ENODEV : -errno;
	else
		CHECK(munmap(at, bytes) == 0);
	watch_leave();
	return r;
}

/* Whether a client's descriptor may be mapped in this way. *st: of the file. => 0 or as vnode_get
 */
static int
descriptor_check(const struct daemon *d, int fd, bool is_writable, struct stat *st)
{
	int flags = fcntl(fd, F_GETFL), r;

	if (flags < 0 || flags & O_PATH)
		return -EBADF;
	if ((flags & O_ACCMODE) == O_WRONLY || (is_writable && (flags & O_ACCMODE) != O_RDWR))
		return -EACCES;
	watch_enter(WATCH_FILE, -1);
	r = fstat(fd, st) < 0 ? -errno : 0;
	watch_leave();
	if (r < 0)
		return r;
	return S_ISREG(st->st_mode) ? mapping_try(d, fd, is_writable) : -ENODEV;
}

int
vnode_get(struct daemon *d, struct task *task, int fd, bool is_writable, struct vnode **ret,
    uint64_t *ret_pages)
{
	int plain = -1, direct = -1, error;
	struct vnode *v;
	struct stat st;

	locks_assert_none();
	error = descriptor_check(d, fd, is_writable, &st);
	if (error)
		return error;
	lock_acquire(&d->vnodes.lock);
	v = find_locked(&d->vnodes, st.st_dev, st.st_ino);
	lock_release(&d->vnodes.lock);
	if (!v) {
		error = vnode_make(d, task, &st, &v);
		if (error)
			return error;
		v = vnode_enter(d, v);
	}
	if (load_acquire(&v->files[is_writable].plain) < 0) {
		error = files_open(d, fd, is_writable, &plain, &direct);
		if (error) {
			vnode_put(d, v);
			return error;
		}
		files_give(d, v, is_writable, plain, direct);
		vnode_watch_add(d, v, fd);
	}
	*ret = v;
	*ret_pages = round_up_u64((uint64_t)st.st_size, d->page_bytes) >> d->page_shift;
	return 0;
}

/* => whether that was the last one: the file is in no table any more, and the caller's to free */
static bool
put_locked(struct vnode_table *t, struct vnode *v)
{
	struct vnode **at;

	lock_assert_held(&t->lock);
	CHECK_OBJ(v, VNODE_MAGIC);
	CHECK(v->references > 0);
	if (--v->references > 0)
		return false;
	for (at = chain_locked(t, v->device, v->inode); *at != v; at = &(*at)->next)
		CHECK(*at);
	*at = v->next;
	t->count--;
	return true;
}

void
vnode_put(struct daemon *d, struct vnode *v)
{
	bool ends;

	locks_assert_none();
	lock_acquire(&d->vnodes.lock);
	ends = put_locked(&d->vnodes, v);
	lock_release(&d->vnodes.lock);
	if (ends)
		vnode_free(d, v);
}

/* --- objects --- */

static uint64_t
first_page(const struct vm_object *o)
{
	return o->external->offset >> o->daemon->page_shift;
}

/* The object in which the page of the file lies, or NULL, and then the pages around it, [*low,
 * *high), that no object covers. */
static struct vm_object *
object_at_locked(
    struct vnode_table *t, struct vnode *v, uint64_t page, uint64_t *low, uint64_t *high)
{
	struct vm_object *o = v->objects;

	lock_assert_held(&t->lock);
	*low = 0;
	*high = UINT64_MAX;
	for (; o && first_page(o) <= page; o = o->external->next) {
		*low = first_page(o) + o->page_count;
		if (page < *low)
			return o;
	}
	if (o)
		*high = first_page(o);
	return NULL;
}

/* => an object for the pages from *low on, some of [*low, *high) that `first` lies in, or -errno */
static int
object_make(struct daemon *d, struct task *task, struct vnode *v, uint64_t low, uint64_t high,
    struct vm_object **ret)
{
	struct external *external = calloc(1, sizeof(*external));
	struct vm_object *o;
	int error;

	CHECK(low < high);
	if (!external)
		return -ENOMEM;
	error = vm_object_create(d, task, high - low, OBJECT_SHAREABLE, &o);
	if (error) {
		free(external);
		return error;
	}
	external->vnode = v;
	external->offset = low << d->page_shift;
	o->external = external;
	store_relaxed(&o->pager, PAGER_VNODE);
	*ret = o;
	return 0;
}

/* Puts an object into its file's list. => false: another thread has made one that it overlaps */
static bool
object_enter_locked(struct vnode_table *t, struct vm_object *o)
{
	struct vnode *v = o->external->vnode;
	struct vm_object **at = &v->objects;
	uint64_t low, high;

	lock_assert_held(&t->lock);
	if (object_at_locked(t, v, first_page(o), &low, &high) || low > first_page(o) ||
	    high < first_page(o) + o->page_count)
		return false;
	while (*at && first_page(*at) < first_page(o))
		at = &(*at)->external->next;
	o->external->next = *at;
	*at = o;
	/* The table's own reference is the maker's. */
	vm_object_get(o);
	v->references++;
	t->object_count++;
	return true;
}

int
vnode_join(struct daemon *d, struct task *task, struct vnode *v, uint64_t first, uint64_t count,
    uint64_t file_pages, struct vm_object **ret, uint64_t *ret_index)
{
	struct vnode_table *t = &d->vnodes;
	uint64_t chunk = VNODE_CHUNK_BYTES >> d->page_shift, low, high;
	struct vm_object *o, *made = NULL;
	int error;

	locks_assert_none();
	CHECK(count > 0);
	for (;;) {
		lock_acquire(&t->lock);
		o = object_at_locked(t, v, first, &low, &high);
		if (!o && made && object_enter_locked(t, made)) {
			o = made;
			made = NULL;
		} else if (o) {
			vm_object_get(o);
		}
		if (o)
			o->external->joiners++;
		lock_release(&t->lock);
		if (made)
			vm_object_put(made);
		made = NULL;
		if (o)
			break;
		low = max_u64(low, round_down_u64(first, chunk));
		low = max_u64(low, round_down_u64(first, SLOTS_PER_RUN));
		high = min_u64(high, round_down_u64(first, chunk) + chunk);
		high =
		    min_u64(high, round_up_u64(max_u64(first + count, file_pages), SLOTS_PER_RUN));
		error = object_make(d, task, v, low, high, &made);
		if (error)
			return error;
	}
	*ret = o;
	*ret_index = first - first_page(o);
	return 0;
}

void
vnode_joined(struct vm_object *o)
{
	struct vnode_table *t = &o->daemon->vnodes;

	CHECK(o->external);
	lock_acquire(&t->lock);
	CHECK(o->external->joiners > 0);
	o->external->joiners--;
	lock_release(&t->lock);
}

bool
vnode_last_unmap(struct vm_object *o)
{
	struct daemon *d = o->daemon;
	struct vnode_table *t = &d->vnodes;
	struct vnode *v = o->external->vnode;
	struct vm_object **at = &v->objects;
	bool ends, last = false;

	locks_assert_none();
	lock_acquire(&t->lock);
	/* Without a mapping no page comes. */
	lock_acquire(&o->lock);
	ends = o->external->joiners == 0 && o->cover_count == 0 &&
	       vm_object_next_live(o, 0, o->page_count) == o->page_count;
	lock_release(&o->lock);
	if (ends) {
		while (*at != o) {
			CHECK(*at);
			at = &(*at)->external->next;
		}
		*at = o->external->next;
		t->object_count--;
		last = put_locked(t, v);
	}
	lock_release(&t->lock);
	if (last)
		vnode_free(d, v);
	return ends;
}

int
vnode_sync(const struct vm_object *o)
{
	struct vnode *v = o->external->vnode;
	int fd = load_acquire(&v->files[1].plain), kept = exchange_acq_rel(&v->error, 0), r = 0;

	locks_assert_none();
	if (fd >= 0) {
		watch_enter(WATCH_FILE, -1);
		r = fdatasync(fd) < 0 ? -errno : 0;
		watch_leave();
	}
	return kept ? kept : r;
}
