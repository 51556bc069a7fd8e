/* SPDX-License-Identifier: MIT
 *
 * Requests about mapped files: FILES, FORGET_FILE (jobs). No file is asked anything: it may not
 * answer.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "clock.h"
#include "control/request.h"
#include "vm/vm_object.h"

_Static_assert(
    sizeof(struct pager_rep_files) < PAGER_MSG_BYTES_MAX - sizeof(struct pager_msg_header),
    "a reply fits a message");

/* The end of the path that the kernel remembers. */
static void
path_describe(struct vnode *v, char *ret, size_t ret_bytes)
{
	int fd = load_acquire(&v->files[0].plain);
	char link[64], path[4096];
	ssize_t length;

	CHECK_OBJ(v, VNODE_MAGIC);
	if (fd < 0)
		fd = load_acquire(&v->files[1].plain);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = fd < 0 ? -1 : readlink(link, path, sizeof(path) - 1);
	path[length > 0 ? length : 0] = '\0';
	if ((size_t)length >= ret_bytes && length > 0)
		memmove(path, path + length - (ret_bytes - 1), ret_bytes);
	snprintf(ret, ret_bytes, "%s", path);
}

static void
file_describe(struct vm_object *o, struct vnode *v, struct pager_wire_file *ret)
{
	struct daemon *d = o->daemon;
	struct external *x = o->external;
	uint64_t since = load_relaxed(&x->dirty_since), resident;
	unsigned covers;

	CHECK(x);
	lock_acquire(&o->lock);
	covers = o->cover_count;
	lock_release(&o->lock);
	pageq_lock(d);
	resident =
	    o->class_pages[LEDGER_CLASS_EXTERNAL] + o->class_pages[LEDGER_CLASS_EXTERNAL_WIRED];
	pageq_unlock(d);
	*ret = (struct pager_wire_file){
		.object_id = o->id,
		.inode = v->inode,
		.device_major = major(v->device),
		.device_minor = minor(v->device),
		.offset = x->offset,
		.size = o->page_count << d->page_shift,
		.resident = resident << d->page_shift,
		.dirty = (uint64_t)load_relaxed(&x->dirty_pages) << d->page_shift,
		.dirty_ns = since ? clock_now_ns() - since : 0,
		.late = load_relaxed(&x->late),
		.is_failing = load_relaxed(&x->is_failing),
		.error = load_relaxed(&v->error),
		.mappings = covers,
		.uid = v->account->uid,
	};
	path_describe(v, ret->path, sizeof(ret->path));
}

int
handle_files(struct request *r)
{
	const struct pager_req_files *in = r->body;
	struct pager_rep_files *out = r->reply;
	uint32_t cursor = (uint32_t)in->cursor;
	struct vm_object *o = NULL;

	while (out->count < PAGER_FILES_PER_REPLY &&
	       (o = vm_object_next(r->daemon, &cursor)) != NULL) {
		/* The file stays as long as it is looked at. */
		struct vnode *v = o->external ? vnode_of_object(o) : NULL;

		if (v && (r->session->is_control || r->session->uid == v->account->uid))
			file_describe(o, v, &out->files[out->count++]);
		if (v)
			vnode_put(r->daemon, v);
		vm_object_put(o);
	}
	out->next_cursor = o ? cursor : 0;
	r->reply_bytes =
	    offsetof(struct pager_rep_files, files) + out->count * sizeof(out->files[0]);
	return 0;
}

/* The file that has the object of that number, with a reference. => NULL: none has */
static struct vnode *
file_of_object(struct daemon *d, uint64_t id)
{
	struct vnode *v = NULL;
	struct vm_object *o;
	uint32_t cursor = 0;

	while (!v && (o = vm_object_next(d, &cursor)) != NULL) {
		if (o->external && o->id == id)
			v = vnode_of_object(o);
		vm_object_put(o);
	}
	return v;
}

int
handle_forget_file(struct request *r)
{
	const struct pager_req_forget_file *in = r->body;
	struct pager_rep_forget_file *out = r->reply;
	struct vnode *v = file_of_object(r->daemon, in->object_id);

	CHECK(r->session->is_control);
	if (!v)
		return -ENOENT;
	out->inode = v->inode;
	out->device_major = major(v->device);
	out->device_minor = minor(v->device);
	out->parts = vnode_forget(r->daemon, v, &out->dirty, &out->late);
	path_describe(v, out->path, sizeof(out->path));
	log_notice_limited(
	    "pid %d asked to give up %llu bytes of dirty pages of %s (device %u:%u, inode "
	    "%llu)",
	    r->session->pid, (unsigned long long)out->dirty, out->path, out->device_major,
	    out->device_minor, (unsigned long long)out->inode);
	vnode_put(r->daemon, v);
	return 0;
}
