/* SPDX-License-Identifier: MIT
 *
 * Files are watched for changes that others make by write(2) and truncate(2). Stores through
 * mappings of others cannot be seen. fanotify(7) tells which process has made a change, so that
 * the daemon's own writes are known for what they are; inotify(7) does not.
 */
#ifndef VNODE_WATCH_H
#define VNODE_WATCH_H

#include <stdbool.h>

struct daemon;
struct vnode;

/* Where the kernel has no fanotify(7) for the daemon, nothing is noticed, and the log says so. */
void vnode_watch_create(struct daemon *d);
void vnode_watch_destroy(struct daemon *d);
/* A descriptor that is readable when there may be changes, or -1. */
int vnode_watch_fd(const struct daemon *d);
/* Notes what has changed (vnode.changes). => how many changes others have made; runs on: the
 * cleaner, no lock held */
unsigned vnode_watch_read(struct daemon *d);
/* The file behind the descriptor is v's. It may wait for the file system. Runs on: jobs, no lock
 * held */
void vnode_watch_add(struct daemon *d, struct vnode *v, int fd);
/* And not any more. */
void vnode_watch_remove(struct daemon *d, struct vnode *v);

#endif
