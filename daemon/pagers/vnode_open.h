/* SPDX-License-Identifier: MIT
 *
 * Descriptors of files: whether a client's may be mapped, and the daemon's own, which are opened
 * through it. Runs on: jobs, no lock held. The file system may let the caller wait.
 */
#ifndef VNODE_OPEN_H
#define VNODE_OPEN_H

#include <stdbool.h>

struct daemon;
struct stat;

/* Whether a client's descriptor may be mapped in this way. *st: of the file. => 0, or as vnode_get
 */
int vnode_check(const struct daemon *d, int fd, bool is_writable, struct stat *st);
/* The daemon's own descriptions, with the access that the client's has: through the page cache, and
 * past it (-1: there is none). => 0 or -errno */
int vnode_open(const struct daemon *d, int fd, bool is_writable, int *ret_plain, int *ret_direct);

#endif
