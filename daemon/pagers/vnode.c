/* SPDX-License-Identifier: MIT
 *
 * The table of files, and their descriptors. Runs on: jobs (get, join, put), the cleaner
 * (last_unmap, put). Calls on a client's file may wait for as long as its file system likes: they
 * are watched, and no lock is held.
 */
#include "pagers/vnode.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/closer.h"
#include "core/watch.h"
#include "own.h"
#include "pagers/returns.h"
#include "pagers/vnode_index.h"
#include "pagers/vnode_open.h"
#include "pagers/vnode_strict.h"
#include "pagers/vnode_watch.h"
#include "vm/copy_look.h"
#include "vm/task.h"
#include "vm/vm_object.h"
#include "vm/vm_share.h"

int
vnodes_create(struct daemon *d)
{
	CHECK(d->vnodes.count == 0);
	lock_init(&d->vnodes.lock, RANK_VNODES);
	cond_init(&d->vnodes.ended);
	store_relaxed(&d->vnodes.strict, -1);
	vnode_watch_create(d);
	return vnode_index_create(&d->vnodes);
}

void
vnodes_destroy(struct daemon *d)
{
	CHECK(d->vnodes.count == 0 && d->vnodes.object_count == 0 && !d->vnodes.ending);
	vnode_strict_destroy(d);
	vnode_watch_destroy(d);
	vnode_index_destroy(&d->vnodes);
	cond_fini(&d->vnodes.ended);
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

static bool
is_ending_locked(const struct vnode_table *t, dev_t device, ino_t inode)
{
	const struct vnode *v = t->ending;

	lock_assert_held(&t->lock);
	while (v && (v->device != device || v->inode != inode))
		v = v->next;
	return v != NULL;
}

/* Waits until the file is not watched any more for one who had it before. => the file, with a
 * reference, or NULL */
static struct vnode *
find_locked(struct vnode_table *t, dev_t device, ino_t inode)
{
	struct vnode *v;

	lock_assert_held(&t->lock);
	while (is_ending_locked(t, device, inode))
		cond_wait(&t->ended, &t->lock);
	v = vnode_index_find_locked(t, device, inode);
	if (v) {
		CHECK_OBJ(v, VNODE_MAGIC);
		v->references++;
	}
	return v;
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

/* What the kernel tells of a file does not begin anew before it has ended: a thread that maps the
 * file again waits for that (find_locked). */
static void
watches_remove(struct daemon *d, struct vnode *v)
{
	struct vnode_table *t = &d->vnodes;
	struct vnode **at;

	vnode_strict_remove(d, v);
	vnode_watch_remove(d, v);
	lock_acquire(&t->lock);
	for (at = &t->ending; *at != v; at = &(*at)->next)
		CHECK(*at);
	*at = v->next;
	cond_broadcast(&t->ended);
	lock_release(&t->lock);
}

/* It has been in the table, or not at all. */
static void
vnode_free(struct daemon *d, struct vnode *v)
{
	CHECK(v->references == 0 && !v->objects);
	for (unsigned i = 0; i < ARRAY_LEN(v->files); i++) {
		closer_close(d, load_relaxed(&v->files[i].plain), 0, v->account->uid);
		closer_close(d, load_relaxed(&v->files[i].direct), 0, v->account->uid);
	}
	share_give(d, v->account, SHARE_DESCRIPTORS, VNODE_DESCRIPTORS);
	share_account_put(d, v->account);
	v->magic = 0;
	own_free(OWN_VNODE, v);
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
	v = own_alloc(OWN_VNODE, sizeof(*v));
	if (v)
		v->account = share_account_get(d, account->uid, account->is_privileged);
	if (!v || !v->account) {
		share_give(d, account, SHARE_DESCRIPTORS, VNODE_DESCRIPTORS);
		own_free(OWN_VNODE, v);
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
	struct vnode *v;

	vnode_index_grow(t);
	lock_acquire(&t->lock);
	v = find_locked(t, made->device, made->inode);
	if (!v) {
		vnode_index_add_locked(t, made);
		v = made;
	}
	lock_release(&t->lock);
	if (v != made) {
		made->references = 0;
		vnode_free(d, made);
	}
	return v;
}

int
vnode_get(struct daemon *d, struct task *task, int fd, bool is_writable, struct vnode **ret,
    uint64_t *ret_pages)
{
	int plain = -1, direct = -1, error;
	struct vnode *v;
	struct stat st;

	locks_assert_none();
	error = vnode_check(d, fd, is_writable, &st);
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
		error = vnode_open(d, fd, is_writable, &plain, &direct);
		if (error) {
			vnode_put(d, v);
			return error;
		}
		files_give(d, v, is_writable, plain, direct);
		vnode_watch_add(d, v, fd);
	}
	error = vnode_strict_add(d, v, load_acquire(&v->files[is_writable].plain));
	if (error) {
		vnode_put(d, v);
		return error;
	}
	*ret = v;
	*ret_pages = round_up_u64((uint64_t)st.st_size, d->page_bytes) >> d->page_shift;
	return 0;
}

/* => whether that was the last one: the file is in no table any more, and the caller's to free */
static bool
put_locked(struct vnode_table *t, struct vnode *v)
{
	lock_assert_held(&t->lock);
	CHECK_OBJ(v, VNODE_MAGIC);
	CHECK(v->references > 0);
	if (--v->references > 0)
		return false;
	vnode_index_remove_locked(t, v);
	v->next = t->ending;
	t->ending = v;
	return true;
}

/* It has left the table. */
static void
vnode_end(struct daemon *d, struct vnode *v)
{
	watches_remove(d, v);
	vnode_free(d, v);
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
		vnode_end(d, v);
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
	struct external *external = own_alloc(OWN_EXTERNAL, sizeof(*external));

	CHECK(low < high);
	if (!external)
		return -ENOMEM;
	external->vnode = v;
	external->offset = low << d->page_shift;
	/* The cleaner finds it before it is in the list. */
	external->is_gone = true;
	return vm_object_create_external(d, task, high - low, external, ret);
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
	lock_acquire(&o->lock);
	o->external->is_gone = false;
	lock_release(&o->lock);
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

struct vm_object *
vnode_part_next(struct daemon *d, struct file_part *part, uint64_t *ret_low, uint64_t *ret_high)
{
	struct vnode_table *t = &d->vnodes;
	struct vm_object *o = NULL;
	struct vnode *v;
	uint64_t start, bytes;

	locks_assert_none();
	lock_acquire(&t->lock);
	v = vnode_index_find_locked(t, part->device, part->inode);
	for (o = v ? v->objects : NULL; o; o = o->external->next) {
		start = o->external->offset;
		bytes = o->page_count << d->page_shift;
		if (part->offset >= start + bytes)
			continue;
		if (start >= part->end) {
			o = NULL;
			break;
		}
		*ret_low = (max_u64(part->offset, start) - start) >> d->page_shift;
		*ret_high =
		    round_up_u64(min_u64(part->end - start, bytes), d->page_bytes) >> d->page_shift;
		part->offset = start + bytes;
		o->external->joiners++;
		vm_object_get(o);
		break;
	}
	lock_release(&t->lock);
	return o;
}

enum vnode_pace
vnode_pace(struct daemon *d, const struct file_part *part, uint64_t now, uid_t *ret_uid)
{
	enum vnode_pace pace = VNODE_NONE;
	const struct vnode *v;

	locks_assert_none();
	lock_acquire(&d->vnodes.lock);
	v = vnode_index_find_locked(&d->vnodes, part->device, part->inode);
	if (v) {
		pace = now < v->slow_until ? VNODE_SLOW : VNODE_QUICK;
		*ret_uid = v->account->uid;
	}
	lock_release(&d->vnodes.lock);
	return pace;
}

void
vnode_slow(struct vm_object *o, uint64_t until)
{
	struct vnode_table *t = &o->daemon->vnodes;

	CHECK(o->external);
	lock_acquire(&t->lock);
	o->external->vnode->slow_until = until;
	lock_release(&t->lock);
}

struct vnode *
vnode_of_object(struct vm_object *o)
{
	struct vnode_table *t = &o->daemon->vnodes;
	struct vnode *v = NULL;

	locks_assert_none();
	CHECK(o->external);
	lock_acquire(&t->lock);
	lock_acquire(&o->lock);
	if (!o->external->is_gone)
		v = o->external->vnode;
	lock_release(&o->lock);
	if (v)
		v->references++;
	lock_release(&t->lock);
	return v;
}

unsigned
vnode_forget(struct daemon *d, struct vnode *v, uint64_t *ret_dirty, unsigned *ret_late)
{
	unsigned count = 0;

	locks_assert_none();
	*ret_dirty = *ret_late = 0;
	lock_acquire(&d->vnodes.lock);
	CHECK_OBJ(v, VNODE_MAGIC);
	for (struct vm_object *o = v->objects; o; o = o->external->next) {
		*ret_dirty += (uint64_t)load_relaxed(&o->external->dirty_pages) << d->page_shift;
		*ret_late += load_relaxed(&o->external->late);
		store_release(&o->external->forget_wanted, true);
		count++;
	}
	lock_release(&d->vnodes.lock);
	returns_ring(d);
	return count;
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
	ends = o->external->joiners == 0 && vm_object_is_deserted_locked(o) &&
	       vm_object_next_live(o, 0, o->page_count) == o->page_count;
	/* One who has found it by a name looks. */
	o->external->is_gone = ends;
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
		vnode_end(d, v);
	return ends;
}
