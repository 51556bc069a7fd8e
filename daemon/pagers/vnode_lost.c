/* SPDX-License-Identifier: MIT
 *
 * Files that lose pages. Runs on: the cleaner, the last resort at the daemon's end.
 */
#include "pagers/vnode_lost.h"

#include <errno.h>
#include <stdio.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "daemon.h"

/* Files that are named one by one. */
#define NAMED_MAX 16u

#define COULD_NOT "could not be written and are lost"

/* By its path when it was opened, which may be another file's by now, and by its numbers. The file
 * is not asked: it may not answer. */
static void
tell(const struct vnode *v, uint64_t pages, const char *what)
{
	int fd = load_acquire((atomic_int *)(uintptr_t)&v->files[1].plain);
	char link[64], path[256];
	ssize_t length;

	CHECK_OBJ(v, VNODE_MAGIC);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	path[length > 0 ? length : 0] = '\0';
	log_error_limited("%llu pages of a client's file %s: %s (device %u:%u, inode %llu)",
	    (unsigned long long)pages, what, path, major(v->device), minor(v->device),
	    (unsigned long long)v->inode);
}

void
vnode_lost_tell(const struct vm_object *o, uint64_t pages)
{
	tell(o->external->vnode, pages, COULD_NOT);
}

void
vnode_forgotten_tell(const struct vm_object *o, uint64_t pages)
{
	struct vnode *v = o->external->vnode;

	store_release(&v->error, -EIO);
	tell(v, pages, "were given up unwritten and are lost");
}

void
vnode_lost_tell_all(struct daemon *d)
{
	struct vnode_table *t = &d->vnodes;
	uint64_t rest = load_relaxed(&d->dirty.pages);
	unsigned named = 0;

	locks_assert_none();
	lock_acquire(&t->lock);
	for (size_t i = 0; i < 1ul << t->bits && rest > 0; i++)
		for (const struct vnode *v = t->chains[i]; v && named < NAMED_MAX; v = v->next) {
			uint64_t pages = 0;

			for (struct vm_object *o = v->objects; o; o = o->external->next)
				pages += load_relaxed(&o->external->dirty_pages);
			if (pages == 0)
				continue;
			tell(v, pages, COULD_NOT);
			rest -= min_u64(rest, pages);
			named++;
		}
	lock_release(&t->lock);
	if (rest > 0)
		log_error_limited(
		    "%llu pages of other files are lost, too", (unsigned long long)rest);
}
