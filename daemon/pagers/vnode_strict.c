/* SPDX-License-Identifier: MIT */
#include "pagers/vnode_strict.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/closer.h"
#include "core/watch.h"
#include "daemon.h"

#ifndef FAN_PRE_ACCESS
#define FAN_PRE_ACCESS 0x00100000 /* Linux 6.14 */
#endif

/* Whether the kernel knows the event at all: of the memory of a memfd it announces nothing. => 0 or
 * -errno */
static int
events_probe(int group)
{
	int fd = memfd_create("probe", MFD_CLOEXEC), r, error;

	if (fd < 0)
		return -errno;
	r = fanotify_mark(group, FAN_MARK_ADD, FAN_PRE_ACCESS, fd, NULL);
	error = errno;
	close(fd);
	return r == 0 || error == EOPNOTSUPP ? 0 : -error;
}

int
vnode_strict_create(struct daemon *d)
{
	int group = fanotify_init(FAN_CLASS_PRE_CONTENT | FAN_REPORT_TID | FAN_CLOEXEC |
				      FAN_NONBLOCK | FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS,
	    O_RDONLY | O_LARGEFILE | O_CLOEXEC);
	int error = group < 0 ? -errno : events_probe(group);

	if (error) {
		if (group >= 0)
			close(group);
		return error;
	}
	store_release(&d->vnodes.strict, group);
	return 0;
}

void
vnode_strict_destroy(struct daemon *d)
{
	int group = exchange_acq_rel(&d->vnodes.strict, -1);

	if (group >= 0)
		close(group);
}

int
vnode_strict_add(struct daemon *d, struct vnode *v, int fd)
{
	int group = load_acquire(&d->vnodes.strict), r;

	locks_assert_none();
	if (group < 0 || load_acquire(&v->is_announced))
		return 0;
	watch_enter(WATCH_FILE, -1);
	r = fanotify_mark(group, FAN_MARK_ADD, FAN_PRE_ACCESS, fd, NULL) < 0 ? -errno : 0;
	watch_leave();
	if (r == 0)
		store_release(&v->is_announced, true);
	return r == -EINVAL ? -EOPNOTSUPP : r;
}

void
vnode_strict_remove(struct daemon *d, struct vnode *v)
{
	int group = load_acquire(&d->vnodes.strict), fd = -1;

	for (unsigned i = 0; i < ARRAY_LEN(v->files) && fd < 0; i++)
		fd = load_relaxed(&v->files[i].plain);
	if (group >= 0 && load_acquire(&v->is_announced) && fd >= 0)
		(void)fanotify_mark(group, FAN_MARK_REMOVE, FAN_PRE_ACCESS, fd, NULL);
}

/* The descriptor that comes with the group's first event, if there is one. => -1: there is none */
static int
event_descriptor(int group)
{
	struct fanotify_event_metadata event;

	return read(group, &event, sizeof(event)) == sizeof(event) ? event.fd : -1;
}

int
vnode_strict_silence(const struct daemon *d, int fd)
{
	int flags = fcntl(fd, F_GETFL), silent = -1, group, opened;
	char path[64];

	CHECK(flags >= 0);
	if (load_acquire((const atomic_int *)&d->vnodes.strict) < 0)
		return fd;
	group = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK,
	    (flags & O_ACCMODE) | O_LARGEFILE | O_CLOEXEC);
	if (group < 0)
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	watch_enter(WATCH_FILE, -1);
	if (fanotify_mark(group, FAN_MARK_ADD, FAN_OPEN, fd, NULL) == 0) {
		opened = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		silent = event_descriptor(group);
		if (opened >= 0)
			close(opened);
	}
	/* The kernel makes it without these. */
	if (silent >= 0 && fcntl(silent, F_SETFL, flags & (O_DIRECT | O_NONBLOCK)) < 0) {
		close(silent);
		silent = -1;
	}
	close(group);
	if (silent >= 0)
		closer_close((struct daemon *)(uintptr_t)d, fd, 0, 0);
	watch_leave();
	return silent >= 0 ? silent : fd;
}
