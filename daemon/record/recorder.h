/* SPDX-License-Identifier: MIT
 *
 * The recorder: the pager writes down what it sees of its clients' references
 * (include/pager/trace_format.h). Fault servers append to a block in memory under a short lock; a
 * thread writes full blocks to the file. What finds all blocks full is counted as dropped, never
 * waited for.
 *
 * With a window of K pages the recorder also keeps at most K pages of the recorded clients mapped:
 * every other touch is then seen, at the price of a soft fault. K is the resolution of the
 * recording.
 */
#ifndef TRACE_H
#define TRACE_H

#include "daemon.h"
#include "pmap/uffd.h"
#include "vm/task.h"

enum trace_kind { TRACE_MAJOR, TRACE_SOFT, TRACE_WRITE, TRACE_FORGET };

int trace_create(struct daemon *d);
void trace_destroy(struct daemon *d);
/* Takes over fd on success. name of nobody: every client; window 0: the policy's own.
 * => 0, -EBUSY, -EINVAL, -ESRCH, -EBADF: neither a file, a pipe nor a character device; -errno of
 * the file */
int trace_start(
    struct daemon *d, int fd, struct task_name name, uint32_t window, struct stat_shard stats);
/* => 0, -ENOENT (none is running), or the first error that writing met. Waits for the file. */
int trace_stop(struct daemon *d);
void trace_show(struct daemon *d, struct pager_rep_trace *ret);

void trace_record(struct daemon *d, const struct vm_object *o, uint64_t index, uint32_t thread,
    bool written, enum trace_kind kind);
/* The page is about to be mapped: the one that was mapped longest ago leaves the window first,
 * while the thread still waits: it may be what the thread touches next. No lock held. */
void trace_window_push(
    struct daemon *d, struct stat_shard stats, struct vm_object *o, uint64_t index);
/* The page was given back or discarded by its owner. While trace_is_on. PAGEQ not held, O may be */
void trace_forgotten(struct daemon *d, const struct vm_object *o, uint64_t index);

static inline bool
trace_is_on(const struct daemon *d)
{
	return unlikely(load_relaxed(&d->trace_on));
}
/* Whether fills must bring in single pages, so that the recording is exact. */
static inline bool
trace_is_exact(const struct daemon *d)
{
	return unlikely(load_relaxed(&d->trace_window) > 0);
}
static inline void
trace_fault(struct daemon *d, const struct vm_object *o, uint64_t index, const struct fault *f,
    enum trace_kind kind)
{
	if (trace_is_on(d))
		trace_record(
		    d, o, index, f->thread, f->flags & (UFFD_FAULT_WRITE | UFFD_FAULT_WP), kind);
}

#endif
