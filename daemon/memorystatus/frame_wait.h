/* SPDX-License-Identifier: MIT
 *
 * Faults that wait for a frame, or for their client's own pages to leave, first in, first out, in a
 * pool made at start (park.h). A thread that frees frames rings the bell of a fault server, which
 * answers (fault/parked.c).
 *
 * A fault that finds no place in the pool, or whose client has its share of it, is forgotten. Its
 * client stands on `overflowed` until there is room, and all its threads are woken then.
 */
#ifndef FRAME_WAIT_H
#define FRAME_WAIT_H

#include "memorystatus/park.h"
#include "memorystatus/refused.h"

struct daemon;

/* What is to be done with a fault that waits. */
enum wait_verdict { VERDICT_WAIT, VERDICT_SERVE, VERDICT_REFUSE };

/* Now, as told by rounds of pageout and passes of the writer. Any thread. */
struct moment moment_now(const struct daemon *d);
/* Whether the client must do with the frames it has. Pages of a client in a side lane leave only as
 * fast as its locks let them: while others wait for frames it would end up with all of them. Where
 * nothing can leave at all it is treated like any other client. Any thread. */
bool lane_must_wait(const struct daemon *d, const struct task *task);

/* Keeps the fault until what it waits for is there, or forgets it (above). => false: the client is
 * dead */
bool frame_wait_keep(struct daemon *d, const struct fault *fault, enum wait_for wait);
/* The oldest fault that may run now, or must wait no longer, taken out with its reference. =>
 * VERDICT_WAIT: none */
enum wait_verdict frame_wait_take(struct daemon *d, struct fault *ret, enum wait_for *ret_wait);
/* A store into a file that is to be tried again, taken out with its reference: pages of its user's
 * have become clean, there is room, or it has waited for a while. => false: none; no lock held */
bool frame_wait_take_store(struct daemon *d, struct fault *ret);
/* Stores that wait are looked at. Any thread, no lock held. */
void frame_wait_stores_changed(struct daemon *d);
/* A client for whose forgotten faults there is room again, taken out with its reference. Every
 * thread that has taken faults out asks for it. => NULL: none; no lock held */
struct task *frame_wait_overflowed(struct daemon *d);
/* Drops a dead task's faults. No lock held. */
void frame_wait_drop(struct daemon *d, struct task *task);

/* Frames have been freed: parked faults may go on, and refused ones be answered. Any thread. */
void frame_wait_freed(struct daemon *d);
/* What has been tried since the fault that has waited longest for a frame began to wait, or since
 * one of its use was served. => false: none waits */
bool frame_wait_longest(struct daemon *d, struct moment *ret_tried);
/* Memory is not full: waiting faults begin to wait anew. Cheap if there are none. */
void frame_wait_progress(struct daemon *d);
/* Enters and leaves the squeeze. Runs on: the writer, after each pass. */
void frame_wait_judge(struct daemon *d);

#endif
