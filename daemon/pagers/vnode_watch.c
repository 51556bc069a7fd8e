/* SPDX-License-Identifier: MIT
 *
 * Changes of files, from fanotify(7) to their vnodes, which are found by the file's handle. Without
 * privilege that works too: then the number of another process is not told, but that of the
 * daemon itself is.
 */
#include "pagers/vnode_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/watch.h"
#include "daemon.h"
#include "log.h"
#include "pagers/vnode_index.h"

/* Bytes of events that are read at a time. */
#define EVENT_BYTES 4096u
#ifndef AT_HANDLE_FID
#define AT_HANDLE_FID 0x200 /* Linux 6.5: also where the file system is not exported */
#endif

void
vnode_watch_create(struct daemon *d)
{
	d->vnodes.watch = fanotify_init(
	    FAN_CLASS_NOTIF | FAN_REPORT_FID | FAN_CLOEXEC | FAN_NONBLOCK, O_RDONLY | O_CLOEXEC);
	if (d->vnodes.watch < 0)
		log_info("there is no fanotify(7) (%s): changes that others make to mapped files "
			 "are not seen",
		    strerror(errno));
}

void
vnode_watch_destroy(struct daemon *d)
{
	CHECK(d->vnodes.count == 0);
	if (d->vnodes.watch >= 0)
		close(d->vnodes.watch);
}

int
vnode_watch_fd(const struct daemon *d)
{
	return d->vnodes.watch;
}

/* The file's handle, as its events will bring it. => false: it has none */
static bool
handle_find(struct vnode_handle *h, int fd)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + sizeof(h->bytes)];
	} u = { .handle.handle_bytes = sizeof(h->bytes) };
	int mount, r;

	r = name_to_handle_at(fd, "", &u.handle, &mount, AT_EMPTY_PATH | AT_HANDLE_FID);
	if (r < 0 && errno == EINVAL)
		r = name_to_handle_at(fd, "", &u.handle, &mount, AT_EMPTY_PATH);
	if (r < 0 || u.handle.handle_bytes > sizeof(h->bytes))
		return false;
	h->type = u.handle.handle_type;
	h->length = u.handle.handle_bytes;
	memcpy(h->bytes, u.handle.f_handle, h->length);
	return true;
}

void
vnode_watch_add(struct daemon *d, struct vnode *v, int fd)
{
	struct vnode_handle handle;
	char path[64];
	bool can;

	if (d->vnodes.watch < 0)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	watch_enter(WATCH_FILE, -1);
	can = handle_find(&handle, fd) &&
	      fanotify_mark(d->vnodes.watch, FAN_MARK_ADD, FAN_MODIFY, AT_FDCWD, path) == 0;
	watch_leave();
	lock_acquire(&d->vnodes.lock);
	if (can && !v->is_watched) {
		v->handle = handle;
		vnode_index_watch_locked(&d->vnodes, v);
	}
	lock_release(&d->vnodes.lock);
}

void
vnode_watch_remove(struct daemon *d, struct vnode *v)
{
	char path[64];
	int fd = -1;

	for (unsigned i = 0; i < ARRAY_LEN(v->files) && fd < 0; i++)
		fd = load_relaxed(&v->files[i].plain);
	if (!v->is_watched || fd < 0)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	(void)fanotify_mark(d->vnodes.watch, FAN_MARK_REMOVE, FAN_MODIFY, AT_FDCWD, path);
}

/* The files with that handle have changed. */
static void
changed(struct daemon *d, const struct file_handle *of)
{
	struct vnode_handle handle = { .type = of->handle_type, .length = of->handle_bytes };
	struct vnode *v = NULL;

	if (handle.length > sizeof(handle.bytes))
		return;
	memcpy(handle.bytes, of->f_handle, handle.length);
	lock_acquire(&d->vnodes.lock);
	while ((v = vnode_index_next_locked(&d->vnodes, &handle, v)) != NULL)
		fetch_add_acq_rel(&v->changes, 1);
	lock_release(&d->vnodes.lock);
}

/* Any file may have: events have been lost. */
static void
all_changed(struct daemon *d)
{
	lock_acquire(&d->vnodes.lock);
	for (size_t i = 0; i < 1ul << d->vnodes.bits; i++)
		for (struct vnode *v = d->vnodes.chains[i]; v; v = v->next)
			fetch_add_acq_rel(&v->changes, 1);
	lock_release(&d->vnodes.lock);
}

/* at: the event as it has been read. => the handle that comes with it, or NULL */
static const struct file_handle *
event_handle(const char *at, const struct fanotify_event_metadata *event)
{
	const struct fanotify_event_info_fid *fid = (const void *)(at + event->metadata_len);

	if (event->event_len < event->metadata_len + sizeof(*fid) + sizeof(struct file_handle) ||
	    fid->hdr.info_type != FAN_EVENT_INFO_TYPE_FID)
		return NULL;
	return (const struct file_handle *)fid->handle;
}

unsigned
vnode_watch_read(struct daemon *d)
{
	_Alignas(8) char buffer[EVENT_BYTES];
	struct fanotify_event_metadata event;
	unsigned count = 0;
	ssize_t bytes;

	locks_assert_none();
	while ((bytes = read(d->vnodes.watch, buffer, sizeof(buffer))) > 0) {
		for (const char *at = buffer; bytes >= (ssize_t)sizeof(event);
		     bytes -= event.event_len, at += event.event_len) {
			const struct file_handle *handle;

			/* A copy: handles of any length leave the next event at any multiple of
			 * four. */
			memcpy(&event, at, sizeof(event));
			if (event.event_len < sizeof(event) || event.event_len > bytes)
				break;
			handle = event_handle(at, &event);
			if (event.mask & FAN_Q_OVERFLOW)
				all_changed(d);
			else if (handle && event.pid != getpid())
				changed(d, handle);
			else
				continue;
			count++;
		}
	}
	return count;
}
