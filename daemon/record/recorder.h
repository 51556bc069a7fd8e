/* SPDX-License-Identifier: MIT
 *
 * The recorder: the pager writes down what it sees of its clients' references
 * (include/pager/trace_format.h). Fault servers append to a block in memory under a short lock; a
 * thread writes full blocks to the file. A record that finds all blocks full is counted as dropped;
 * no thread waits for room.
 *
 * With a window of K pages (record/window.h) the recorder also keeps at most K pages of the
 * recorded clients mapped: every other touch is then seen, at the price of a soft fault. K is the
 * resolution of the recording.
 */
#ifndef RECORDER_H
#define RECORDER_H

#include "daemon.h"
#include "pmap/uffd.h"
#include "vm/task.h"

enum trace_kind { TRACE_MAJOR, TRACE_SOFT, TRACE_WRITE, TRACE_FORGET };

/* => 0 or -ENOMEM */
int trace_create(struct daemon *d);
/* => no recording runs */
void trace_destroy(struct daemon *d);

/* Appends a record, or counts it as dropped. Nothing happens where the page's task is not recorded.
 * O may be held, PAGEQ too. */
void trace_record(struct daemon *d, const struct vm_object *o, uint64_t index, uint32_t thread,
    bool written, enum trace_kind kind);
/* The same. => the recorder's lock held (record/window.c) */
void trace_record_locked(struct daemon *d, const struct vm_object *o, uint64_t index,
    uint32_t thread, bool written, enum trace_kind kind);

static inline bool
trace_is_on(const struct daemon *d)
{
	return unlikely(load_relaxed(&d->trace_on));
}
/* Whether fills must bring in single pages, so that the recording is exact. Any thread. */
static inline bool
trace_is_exact(const struct daemon *d)
{
	return unlikely(load_relaxed(&d->trace_window) > 0);
}
static inline bool
trace_fault_writes(const struct fault *f)
{
	return f->flags & (UFFD_FAULT_WRITE | UFFD_FAULT_WP);
}
static inline void
trace_fault(struct daemon *d, const struct vm_object *o, uint64_t index, const struct fault *f,
    enum trace_kind kind)
{
	if (trace_is_on(d))
		trace_record(d, o, index, f->thread, trace_fault_writes(f), kind);
}

#endif
