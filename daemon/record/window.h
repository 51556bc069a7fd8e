/* SPDX-License-Identifier: MIT
 *
 * The window of an exact recording: at most K pages of the recorded clients are mapped, so that
 * every touch of another page is a fault, and is seen. The page that was mapped longest ago leaves
 * first.
 */
#ifndef WINDOW_H
#define WINDOW_H

#include "core/stats.h"
#include "record/recorder.h"
#include "vm/task.h"
#include "vm/vm_object.h"

struct recorder;

/* Whether a window may have this many pages. */
bool window_fits(uint32_t pages);
/* => 0 or -ENOMEM; its thread may change the recording, as below */
int window_create(struct daemon *d, uint32_t pages);
/* Does nothing where there is no window. */
void window_destroy(struct recorder *r);
/* The recording has begun: what the clients have mapped is not in the window, so that its touches
 * would not be seen. Takes the mappings away. stats: the calling thread's; no lock held */
void window_begin(struct daemon *d, struct stat_shard stats, struct task_name name);

/* The page, which the calling thread holds busy, is about to be mapped, and its touch is recorded.
 * The page that was mapped longest ago leaves the window first, while the thread that faulted still
 * waits, because it may touch that page next. stats: the calling thread's.
 * => false: another thread holds that page, which would be mapped again behind our back. Nothing
 * has changed, and the fault is to be tried again (its window_since_ns set). After 100 ms of trying
 * the page leaves the window mapped, and its next touch may be missed. No lock held */
bool trace_window_push(struct daemon *d, struct stat_shard stats, struct vm_object *o,
    uint64_t index, const struct fault *f, enum trace_kind kind);
/* The page was given back or discarded by its owner. While trace_is_on. PAGEQ not held, O may be */
void trace_forgotten(struct daemon *d, const struct vm_object *o, uint64_t index);

#endif
