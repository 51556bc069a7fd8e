/* SPDX-License-Identifier: MIT
 *
 * Letting pages and holes go, and waiting for those that other threads have. The thread that lets a
 * page or a hole go wakes the threads that met it: the clients' by UFFDIO_WAKE, jobs by the
 * object's condition.
 */
#ifndef RELEASE_H
#define RELEASE_H

#include "vm/vm_object.h"

/* Lets a page go, and wakes the threads that wanted it. => no lock held */
void vm_object_unbusy(struct vm_object *o, uint64_t index, struct vm_page *p);
/* Waits until another thread has let a page go, or freed its frame: the caller looks at the slot
 * again. Returns at once if the page is not busy. => O held, dropped and retaken meanwhile. Runs
 * on: jobs */
void vm_object_wait_unbusy(struct vm_object *o, struct vm_page *p);
/* Waits until no hole is left in [low, high). => whether it had to; O held, dropped and retaken
 * meanwhile. Runs on: jobs */
bool vm_object_wait_holes(struct vm_object *o, uint64_t low, uint64_t high);
/* Waits until a purgeable object is not being purged. => O held, dropped and retaken meanwhile.
 * Runs on: jobs */
void vm_object_wait_purged(struct vm_object *o);
/* Makes the resident pages of [first, last) busy; waits for those that another thread has. Threads
 * that hold some while they wait for others take them in ascending order. => how many, with their
 * frames; O held, dropped and retaken meanwhile. Runs on: jobs */
unsigned vm_object_busy_resident(
    struct vm_object *o, uint64_t first, uint64_t last, uint32_t *frames);
/* Ends a job's hole, and wakes the threads that wanted a page of it. => no lock held */
void vm_object_hole_close(struct vm_object *o, struct hole *hole);

#endif
