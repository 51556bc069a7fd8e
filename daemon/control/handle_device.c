/* SPDX-License-Identifier: MIT
 *
 * Requests about devices: MAP_DEVICE, DEVICES (jobs), MAKE_DEVICE (control loop).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "control/handle_entry.h"
#include "control/names.h"
#include "region/map.h"
#include "pagers/device.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#define HUGETLBFS_TYPE 0x958458f6l

static bool
name_is_valid(const char *name)
{
	return name[0] != '\0' && memchr(name, '\0', PAGER_DEVICE_NAME) != NULL;
}

int
handle_map_device(struct request *r)
{
	const struct pager_req_map_device *in = r->body;
	struct pager_rep_map_device *out = r->reply;
	const struct device *v;
	struct named_range pages;
	struct view view = { 0 };
	struct range range;
	int error = range_init(&range, r->task, in->address, in->size), rights;

	if (!error &&
	    (in->flags != 0 || !protection_is_valid(in->protection) || !name_is_valid(in->name)))
		error = -EINVAL;
	if (error)
		return error;
	v = device_find(r->daemon, in->name);
	if (!v)
		return -ENODEV;
	rights = r->session->is_control
		     ? PROT_READ | PROT_WRITE
		     : device_rights(v, r->task->uid, session_is_in_group(r->session, v->gid));
	if ((int)in->protection & ~rights)
		return -EACCES;
	pages = (struct named_range){ .object = v->object,
		.end = v->object->page_count,
		.is_writable = rights & PROT_WRITE };
	error = view_map(r, &pages, &range, in->offset, in->protection, &view);
	*out = (struct pager_rep_map_device){ view.object_id, view.object_offset, view.flags,
		view.cache_mode };
	return error;
}

/* What a descriptor of a client's is. */
struct memory {
	uint64_t bytes;
	bool is_writable;
};

/* Of a memfd. Its file system is the kernel's own, and answers at once. => 0 or -errno */
static int
memfd_look(int fd, int seals, struct memory *ret)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(fd, &fs) < 0 || fs.f_type == HUGETLBFS_TYPE || fstat(fd, &st) < 0)
		return -ENODEV;
	if (!(seals & F_SEAL_SHRINK))
		return -EPERM;
	/* Whoever has a description that can only be read could open it again for writing. The
	 * client has to change that, since fchmod(2) waits for a lock that it could hold. */
	if (st.st_mode & 077)
		return -EPERM;
	ret->bytes = (uint64_t)st.st_size;
	ret->is_writable &= !(seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE));
	return 0;
}

/* Of a dma-buf: nothing else names an exporter in its fdinfo, which the kernel writes without
 * asking anybody. It cannot become shorter. => 0 or -errno */
static int
dma_buf_look(int fd, struct memory *ret)
{
	char path[64], text[1024];
	off_t end;
	ssize_t got;
	int info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return -ENODEV;
	got = read(info, text, sizeof(text) - 1);
	close(info);
	text[got > 0 ? got : 0] = '\0';
	if (!strstr(text, "\nexp_name:"))
		return -ENODEV;
	end = lseek(fd, 0, SEEK_END);
	if (end < 0)
		return -ENODEV;
	ret->bytes = (uint64_t)end;
	return 0;
}

/* Looks at it without a call that a client could hold up: of a file of a user's own file system
 * nothing is asked. => 0 or -errno */
static int
memory_look(int fd, struct memory *ret)
{
	int flags = fcntl(fd, F_GETFL), seals;

	if (flags < 0 || flags & O_PATH)
		return -EBADF;
	if ((flags & O_ACCMODE) == O_WRONLY)
		return -EACCES;
	ret->is_writable = (flags & O_ACCMODE) == O_RDWR;
	seals = fcntl(fd, F_GET_SEALS);
	return seals >= 0 ? memfd_look(fd, seals, ret) : dma_buf_look(fd, ret);
}

/* => 0, with a reference on the object, which has the descriptor; or -errno */
static int
device_make(struct request *r, const struct pager_req_make_device *in, struct named_range *ret)
{
	unsigned page_shift = r->daemon->page_shift;
	struct memory memory = { 0 };
	struct device_memory of;
	int error = memory_look(r->fd, &memory);

	if (error)
		return error;
	if (in->offset > memory.bytes || in->size > memory.bytes - in->offset)
		return -ERANGE;
	of = (struct device_memory){ .owner = r->task,
		.page_count = (in->offset + in->size) >> page_shift,
		.cache_mode = in->cache_mode,
		.fd = r->fd };
	error = device_object_create(r->daemon, &of, &ret->object);
	if (error)
		return error;
	r->fd = -1;
	ret->first = in->offset >> page_shift;
	ret->end = of.page_count;
	ret->is_writable = memory.is_writable;
	return 0;
}

int
handle_make_device(struct request *r)
{
	const struct pager_req_make_device *in = r->body;
	struct pager_rep_make_device *out = r->reply;
	struct named_range pages = { 0 };
	int error;

	loop_assert(r->daemon);
	if (in->flags != 0 || in->cache_mode > PAGER_CACHE_COPY_BACK || in->size == 0 ||
	    (in->offset | in->size) % r->daemon->page_bytes != 0)
		return -EINVAL;
	if (r->fd < 0)
		return -EBADF;
	if (load_relaxed(&r->task->objects) >= param(r->daemon, max_client_objects))
		return -ENOMEM;
	error = device_make(r, in, &pages);
	if (!error) {
		out->object_id = pages.object->id;
		error = names_make(r->daemon, &pages, r->task->bill.account, &r->reply_fd);
		r->reply_fd_given = !error;
		vm_object_put(pages.object);
	}
	return error == -ENOSPC || error == -EDQUOT ? -ENOMEM : error;
}

static void
mapper_add(struct pager_wire_device *w, const struct task *task)
{
	uint32_t known = (uint32_t)min_u64(w->mapper_count, PAGER_MAPPERS_MAX);

	for (uint32_t i = 0; i < known; i++)
		if (w->mappers[i] == (uint32_t)task->pid)
			return;
	if (known < PAGER_MAPPERS_MAX)
		w->mappers[known] = (uint32_t)task->pid;
	w->mapper_count++;
}

static void
device_describe(struct vm_object *o, struct pager_wire_device *w)
{
	const struct device *v = device_of(o->daemon, o);

	CHECK(o->is_device);
	*w = (struct pager_wire_device){ .object_id = o->id,
		.size = o->page_count << o->daemon->page_shift,
		.cache_mode = o->cache_mode };
	if (v) {
		snprintf(w->name, sizeof(w->name), "%s", v->name);
		w->uid = v->uid;
		w->gid = v->gid;
		w->mode = v->mode;
	}
	lock_acquire(&o->lock);
	w->mapped_bytes = o->mapped_pages << o->daemon->page_shift;
	for (const struct vm_mapping *m = o->mappings; m; m = m->next) {
		if (m->first >= m->end)
			continue;
		w->mappings++;
		mapper_add(w, m->task);
	}
	lock_release(&o->lock);
}

int
handle_devices(struct request *r)
{
	const struct pager_req_devices *in = r->body;
	struct pager_rep_devices *out = r->reply;
	uint32_t cursor = (uint32_t)in->cursor;
	struct vm_object *o = NULL;

	locks_assert_none();
	while (out->count < PAGER_DEVICES_PER_REPLY &&
	       (o = vm_object_next(r->daemon, &cursor)) != NULL) {
		if (o->is_device)
			device_describe(o, &out->devices[out->count++]);
		vm_object_put(o);
	}
	out->next_cursor = o ? cursor : 0;
	r->reply_bytes =
	    offsetof(struct pager_rep_devices, devices) + out->count * sizeof(out->devices[0]);
	return 0;
}
