/* SPDX-License-Identifier: MIT
 *
 * Pages that are let go, and waiting for those that are not. The thread that lets a page or a hole
 * go wakes the threads that met it: those of the client by UFFDIO_WAKE, jobs by the object's
 * condition.
 */
#ifndef RELEASE_H
#define RELEASE_H

#include "vm/vm_object.h"

/* Lets a page go and wakes the threads that wanted it (those of the client by UFFDIO_WAKE, jobs by
 * the condition).
 * => called with no lock held */
void vm_object_unbusy(struct vm_object *o, uint64_t index, struct vm_page *p);
/* Waits until the page at index is not busy. => called with O held; drops and retakes it. */
void vm_object_wait_unbusy(struct vm_object *o, struct vm_page *p);
/* Waits until no hole is left in [low, high). => whether it waited; O held, dropped and retaken
 * then. Runs on: jobs */
bool vm_object_wait_holes(struct vm_object *o, uint64_t low, uint64_t high);
/* vm_object_hole_end by a job, which wakes the threads that wanted the range. => no lock held */
void vm_object_hole_close(struct vm_object *o, struct hole *hole);

#endif
