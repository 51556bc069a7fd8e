/* SPDX-License-Identifier: MIT
 *
 * Streams: faults of one thread that follow one another in address order. They tell how many pages
 * the next fault should bring.
 */
#ifndef STREAM_H
#define STREAM_H

#include "memorystatus/frame_wait.h"
#include "vm/books.h"

/* Follows one thread's run of faults. *ret_direction: of the run, 1 or -1. => how many pages the
 * fault should bring, itself included; M held */
unsigned stream_follow_locked(
    struct daemon *d, const struct fault *f, uint32_t behavior, int *ret_direction);
/* Where the thread's upward run goes on. *ret_faults: it has had so many. => false: it has no
 * stream; no lock held */
bool stream_goes_on(
    struct task *task, uint32_t thread, uint64_t *ret_address, uint32_t *ret_faults);
/* Tells the stream that `count` pages from the address `start` on are about to be mapped, the one
 * that faulted among them. Where another fault of the same thread gets in between, a guess is lost.
 * => no lock held */
void stream_advance(struct daemon *d, const struct fault *f, uint64_t start, unsigned count);

#endif
