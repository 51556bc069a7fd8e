/* SPDX-License-Identifier: MIT
 *
 * With the parameter resident_frames: demand paging to the letter, in pagersim's order of events,
 * so that live counts can be compared with predicted ones.
 */
#ifndef EXACT_H
#define EXACT_H

#include <stdint.h>

struct daemon;
struct victim;
struct vm_object;

/* A round that chooses one victim, and makes no more pages INACTIVE (`room` at most; they are in
 * aged[], with references on their objects) than it takes to find it. => the number of victims, 0
 * or 1; PAGEQ held */
unsigned exact_round_locked(
    struct daemon *d, struct victim *aged, unsigned room, unsigned *ret_aged, struct victim *ret);
/* The pages that policies want unmapped after a fault become INACTIVE. => how many of them are in
 * ret[], with references on their objects; PAGEQ held */
unsigned exact_settle_locked(struct daemon *d, struct victim *ret, unsigned want);
/* A fault has found no frame: the policy is told of the miss before it is asked for a victim. => no
 * lock held */
void exact_missed(struct daemon *d, struct vm_object *o, uint64_t index);
/* resident_frames has changed. => PAGEQ held */
void exact_resize_locked(struct daemon *d);

#endif
