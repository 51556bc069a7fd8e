/* SPDX-License-Identifier: MIT
 *
 * Who waits for a frame, and what that tells others.
 */
#ifndef FRAME_WAIT_H
#define FRAME_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/watch.h"
#include "daemon.h"
#include "vm/books.h"

/* Frames have been freed: parked faults may go on. */
void frame_wait_freed(struct daemon *d);
/* What the longest waiting for a frame has seen tried since, or since one of its use was served. =>
 * false: none waits */
bool park_longest(struct daemon *d, struct moment *ret_tried);
/* Memory is not full: who waits begins to wait anew. Cheap where nobody does. */
void park_progress(struct daemon *d);
/* The squeeze begins now. */
void park_squeeze(struct daemon *d);
/* Table memory has been given back: those that were refused for want of it are looked at. Any
 * thread, no lock held. */
void park_tables_freed(struct daemon *d);
/* Takes one of those out whose address is in [start, end). => false: none */
bool park_refused_take(
    struct daemon *d, struct task *task, uint64_t start, uint64_t end, uint64_t *ret_address);
/* Whether the client must do with what it has. Its pages leave no faster than its locks let them:
 * while others wait for frames it would end up with all of them. Where nothing can leave at all it
 * is treated as everybody. */
static inline bool
lane_must_wait(const struct daemon *d, const struct task *task)
{
	return unlikely(load_relaxed(&task->lane) != LANE_COMMON) &&
	       load_relaxed(&d->park.frame_count) > 0 && !load_relaxed(&d->pageq.squeezed);
}

#endif
