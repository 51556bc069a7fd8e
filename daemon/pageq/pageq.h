/* SPDX-License-Identifier: MIT
 *
 * The page queues: the mechanism around the page-out policy. The policy owns the order of pages and
 * vm_page.h their states; this file joins the two under one lock, PAGEQ. It enforces "mapped means
 * referenced": a page that leaves has been deactivated first.
 *
 * => PAGEQ is held in every _locked function; where O is held too, the contract says so
 */
#ifndef PAGEQ_H
#define PAGEQ_H

#include "daemon.h"
#include "pageq/victim.h"
#include "vm/task.h"
#include "vm/vm_object.h"
#include "vm/vm_page.h"

/* Lock, conditions and lists. The policies (policies.h) and the side lanes' queues (side.h) are
 * made by themselves. */
void pageq_init(struct pageq *q);
void pageq_fini(struct pageq *q);

/* A page has been filled: FILLING -> to (ACTIVE, SPECULATIVE or WIRED). pf: PF_*. => page busy */
void pageq_filled_locked(
    struct daemon *d, struct vm_object *o, uint32_t frame, enum page_state to, unsigned pf);
/* A fault has touched a resident page: it becomes ACTIVE. => false: it was ACTIVE already, or is
 * WIRED; the page is busy, or in a state that PAGEQ alone protects */
bool pageq_reactivate_locked(struct daemon *d, struct vm_object *o, uint32_t frame, unsigned pf);
/* The policy is told that a resident page was written to. */
void pageq_written_locked(struct daemon *d, struct vm_object *o, uint32_t frame);
/* Any resident state -> ABSENT. => O held too, page busy */
void pageq_discard_locked(struct daemon *d, struct vm_object *o, uint32_t frame);
/* A page that is not resident is gone for good: the policies forget its ghost. */
void pageq_forget_locked(struct daemon *d, struct vm_object *o, pol_page page);
/* Any resident state but FILLING and CLEANING -> WIRED. => page busy */
void pageq_wire_locked(struct daemon *d, struct vm_object *o, uint32_t frame);
/* WIRED -> ACTIVE; a page in another state is left alone. => page busy */
void pageq_unwire_locked(struct daemon *d, struct vm_object *o, uint32_t frame);

/* One page that the caller names: ACTIVE -> INACTIVE. => false: it is in another state, or busy */
bool pageq_deactivate_page_locked(struct daemon *d, struct vm_object *o, uint64_t index);
/* The same for a page named as policies name it. *ret: the page, with a reference on its object */
enum pageq_deactivation {
	DEACTIVATION_DONE,
	DEACTIVATION_NONE, /* it is not mapped, or wired */
	DEACTIVATION_HELD, /* another thread holds it busy, and may be mapping it */
};
enum pageq_deactivation pageq_deactivate_slot_locked(
    struct daemon *d, pol_page page, struct victim *ret);
/* The same for the page in a frame, if it belongs to the task that is named. */
bool pageq_deactivate_frame_locked(
    struct daemon *d, uint32_t frame, struct task_name name, struct victim *ret);

/* One page that the caller names: INACTIVE -> LAUNDRY. => false: it is in another state, or busy */
bool pageq_choose_page_locked(
    struct daemon *d, struct vm_object *o, uint64_t index, struct victim *ret);
/* The same, from SPECULATIVE. */
bool pageq_choose_speculative_page_locked(
    struct daemon *d, struct vm_object *o, uint64_t index, struct victim *ret);
/* The page in a frame: SPECULATIVE -> LAUNDRY. */
void pageq_take_speculative_locked(struct daemon *d, uint32_t frame, struct victim *ret);
/* The object that a victim belongs to at present, which may be another one than when it was chosen.
 * => NULL: it is no victim any more */
struct vm_object *pageq_victim_object_locked(struct daemon *d, const struct victim *v);
/* A victim that nobody launders becomes ACTIVE. */
void pageq_victim_stays_locked(struct daemon *d, const struct victim *v);

/* LAUNDRY -> CLEANING, busy, with a reference on the object. => false: it was rescued meanwhile */
bool pageq_launder_begin_locked(struct daemon *d, struct victim *v);
enum pageq_eviction {
	EVICTION_TAKEN,
	EVICTION_NONE,  /* not resident, or wired */
	EVICTION_DIRTY, /* it has no good copy, and clean_only is set */
	EVICTION_BUSY,  /* another thread has it in transit */
};
/* One page that the caller names, whatever its state, becomes CLEANING, as by
 * pageq_launder_begin_locked. clean_only: only if it has a good copy. */
enum pageq_eviction pageq_evict_page_locked(
    struct daemon *d, struct vm_object *o, uint64_t index, bool clean_only, struct victim *ret);
/* CLEANING -> STORED, or where the pager has a place for each page ABSENT: the frame is freed. => O
 * held too, page busy */
void pageq_launder_finish_locked(struct daemon *d, const struct victim *v);
/* CLEANING -> ACTIVE. rescued: it was touched; otherwise it could not be stored. => page busy */
void pageq_launder_abort_locked(struct daemon *d, const struct victim *v, bool rescued);

#endif
