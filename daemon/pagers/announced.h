/* SPDX-License-Identifier: MIT
 *
 * Accesses of other processes to mapped files, which the kernel announces (pagers/vnode_strict.h):
 * each waits until the dirty pages of its part of the file have been written, and is let go then.
 *
 * Nobody hangs because of the daemon. A thread of its own answers, which waits for no client, no
 * disk and no other thread. An access that has waited for strict_wait_ms is let go as it is, and
 * so are all others to its file for a while. When the daemon ends, or dies, the kernel lets all go.
 */
#ifndef ANNOUNCED_H
#define ANNOUNCED_H

struct daemon;

/* Without --strict-files there is no such thread. => 0 or -errno; announced_fini also after a
 * failure */
int announced_start(struct daemon *d);
/* Lets all who wait go. => the cleaner is at work still, and no file is mapped any more */
void announced_stop(struct daemon *d);
void announced_fini(struct daemon *d);

#endif
