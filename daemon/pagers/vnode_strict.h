/* SPDX-License-Identifier: MIT
 *
 * pagerd --strict-files: the kernel announces accesses that others are about to make to mapped
 * files (FAN_PRE_ACCESS of fanotify(7)), and they wait for an answer. What is announced, and the
 * daemon's own descriptors, for which nothing is. pagers/announced.h answers.
 *
 * A descriptor that was opened when nobody watched its file is not announced for good. One that
 * comes with an event of the kernel's is not either: so the daemon has itself told of an opening of
 * the file, and uses the descriptor that comes with that.
 */
#ifndef VNODE_STRICT_H
#define VNODE_STRICT_H

#include <stdbool.h>

struct daemon;
struct vnode;

/* => 0; -EPERM: without CAP_SYS_ADMIN; -EINVAL, -ENOSYS: the kernel has no such events; or -errno
 */
int vnode_strict_create(struct daemon *d);
/* Lets all who wait go: nothing is announced any more. */
void vnode_strict_destroy(struct daemon *d);
/* Accesses to the file, which the descriptor is of, are announced when this returns. => 0, also
 * where the daemon is not strict; -EOPNOTSUPP: the file system has no such events; or -errno */
int vnode_strict_add(struct daemon *d, struct vnode *v, int fd);
/* And not any more. */
void vnode_strict_remove(struct daemon *d, struct vnode *v);
/* Another description of the daemon's own descriptor's file, whose accesses are not announced, with
 * the same access and status flags. => a descriptor; fd itself: there is none, and accesses are
 * announced to the daemon itself, which lets them go at once. It may wait for the file system. */
int vnode_strict_silence(const struct daemon *d, int fd);

#endif
