/* SPDX-License-Identifier: MIT
 *
 * A recording's beginning and end: at most one runs at a time.
 */
#ifndef RECORDING_H
#define RECORDING_H

#include "core/stats.h"
#include "pager/proto.h"
#include "vm/task.h"

/* Takes over fd on success. name of nobody: every client; window 0: the policy decides what stays
 * mapped. stats: the calling thread's.
 * => 0, -EBUSY, -EINVAL, -ESRCH, -EBADF: neither a file, a pipe nor a character device; -errno of
 * the file */
int trace_start(
    struct daemon *d, int fd, struct task_name name, uint32_t window, struct stat_shard stats);
/* => 0, -ENOENT (none is running), or the first error that writing met. Waits for the file. */
int trace_stop(struct daemon *d);
void trace_show(struct daemon *d, struct pager_rep_trace *ret);

#endif
