/* SPDX-License-Identifier: MIT
 *
 * Shared reads of copies. A part of pager/pager.h, which includes it; what is said there of all
 * functions holds here.
 */
#ifndef PAGER_SHARE_READS_H
#define PAGER_SHARE_READS_H

#include <stddef.h>

#include "pager/pager.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Shares what is read of copies: where the range is a copy (pager_copy, pager_copyout, or what a
 * forked child has of its parent's memory), what it was copied from is seen in its place, so that
 * the readers of several copies take its memory once. Without this each reader of a copy gets
 * duplicates, which leave first. When a page is written, or changes or goes at the source, the
 * thread that needs it waits until this process's agent has mapped the copy's own memory there, 64
 * KiB at a time; this needs the calls of fault handling plus two messages, and memory for all of
 * the 64 KiB. So it is for memory that is mostly read. The range is page-aligned, its size is
 * rounded up. Shared is private memory of the same user's processes, up to half of the kernel's
 * vm.max_map_count of such pieces; the rest of the range stays as it is. No thread may touch the
 * range during the call, and it must hold no thread's stack. A forked child that inherits it has
 * duplicates again until it calls this, or shares by itself: if its parent has much resident
 * (parameter fork_share_bytes), its large regions are shared before its fork(2) returns. The idea
 * is Mach's shadow objects, whose pages are looked for below until they are written. Errors:
 * -EINVAL (size 0, not all of it is allocated, or the caller's stack lies there), -EOPNOTSUPP
 * (nothing of it can be shared), -EMFILE, -ENOMEM, -ENOTCONN, -EBADF: a part may be shared. Any
 * thread. */
PAGER_API int pager_share_reads(struct pager *p, void *addr, size_t size);

#ifdef __cplusplus
}
#endif

#endif
