/* SPDX-License-Identifier: MIT
 *
 * The page queues: the mechanism around the page-out policy. Order is the policy's, states are
 * vm_page's; this file joins the two under one lock and enforces "mapped means referenced": what
 * leaves has been deactivated first.
 */
#ifndef PAGEQ_H
#define PAGEQ_H

#include "daemon.h"
#include "pageq/victim.h"
#include "vm/task.h"
#include "vm/vm_object.h"
#include "vm/vm_page.h"

int pageq_create(struct daemon *d, const char *policy);
void pageq_destroy(struct daemon *d);
/* A page has been filled: FILLING -> to (ACTIVE, SPECULATIVE, WIRED). pf: PF_*. => PAGEQ held */
void pageq_filled_locked(
    struct daemon *d, struct vm_object *o, uint32_t frame, enum page_state to, unsigned pf);
/* A resident page was touched by a fault. => whether it was not active; PAGEQ held, page busy or
 * PAGEQ-protected */
bool pageq_reactivate_locked(struct daemon *d, struct vm_object *o, uint32_t frame, unsigned pf);
void pageq_written_locked(struct daemon *d, struct vm_object *o, uint32_t frame);
/* any resident state -> ABSENT. => PAGEQ and O held, page busy */
void pageq_discard_locked(struct daemon *d, struct vm_object *o, uint32_t frame);
/* The ghost of a page that is not resident. => PAGEQ held */
void pageq_forget_locked(struct daemon *d, struct vm_object *o, pol_page page);
/* => PAGEQ held, page busy, state not FILLING or CLEANING */
void pageq_wire_locked(struct daemon *d, struct vm_object *o, uint32_t frame);
void pageq_unwire_locked(struct daemon *d, struct vm_object *o, uint32_t frame);

/* One round of a policy (the daemon's and the clients' own take turns): ACTIVE -> INACTIVE for up
 * to want_aged pages, whose mappings the caller takes away afterwards and whose objects carry a
 * reference; and INACTIVE (or SPECULATIVE) -> LAUNDRY for up to want victims with their inactive
 * neighbours. needed: where the policy proposes nothing it is pressed, and at last the core chooses
 * by itself. => victims; PAGEQ held */
unsigned pageq_round_locked(struct daemon *d, unsigned want, unsigned want_aged, bool needed,
    struct victim *aged, unsigned *ret_aged, struct victim *ret);
/* -> LAUNDRY for up to want pages whose stored copy is good, referenced or not: they can leave when
 * nothing can be stored. Looks at a bounded number of frames a call. => victims; PAGEQ held */
unsigned pageq_choose_clean_locked(struct daemon *d, unsigned want, struct victim *ret);
/* With resident_frames set, instead: one victim, and no more unmapped (up to room) than it takes to
 * find it: the order of events is pagersim's, so that counts can be compared. => victims, 0 or 1;
 * PAGEQ held */
unsigned pageq_round_exact_locked(
    struct daemon *d, struct victim *aged, unsigned room, unsigned *ret_aged, struct victim *ret);
/* And what policies want unmapped after a fault. => pages in ret, as aged above; PAGEQ held */
unsigned pageq_settle_locked(struct daemon *d, struct victim *ret, unsigned want);
/* resident_frames: a fault has found no frame; the policy hears of the miss before it is asked for
 * a victim. */
void pageq_missed(struct daemon *d, struct vm_object *o, uint64_t index);
/* resident_frames has changed. => PAGEQ held */
void pageq_resize_locked(struct daemon *d);
/* One page that the caller names: ACTIVE -> INACTIVE or INACTIVE -> LAUNDRY. => false: not in that
 * state or busy. */
bool pageq_deactivate_page_locked(struct daemon *d, struct vm_object *o, uint64_t index);
/* ACTIVE -> INACTIVE for a page named by its number; with a reference on its object. => PAGEQ
 * held */
enum pageq_deactivation {
	DEACTIVATION_DONE,
	DEACTIVATION_NONE, /* it is not mapped, or wired */
	DEACTIVATION_HELD, /* another thread holds it busy, and may be mapping it */
};
enum pageq_deactivation pageq_deactivate_slot_locked(
    struct daemon *d, pol_page page, struct victim *ret);
/* The same for what is in a frame, if it belongs to who is named (nobody: any). */
bool pageq_deactivate_frame_locked(
    struct daemon *d, uint32_t frame, struct task_name name, struct victim *ret);
/* One page that the caller names, whatever its state: -> CLEANING, as pageq_launder_begin_locked.
 * clean_only: only if it has a good copy. */
enum pageq_eviction {
	EVICTION_TAKEN,
	EVICTION_NONE,  /* not resident, or wired */
	EVICTION_DIRTY, /* and that was not wanted */
	EVICTION_BUSY,  /* in transit by somebody else */
};
enum pageq_eviction pageq_evict_page_locked(
    struct daemon *d, struct vm_object *o, uint64_t index, bool clean_only, struct victim *ret);
bool pageq_choose_page_locked(
    struct daemon *d, struct vm_object *o, uint64_t index, struct victim *ret);
/* The object that a victim is of now, which may be another one than when it was chosen. => NULL: it
 * is no victim any more; PAGEQ held */
struct vm_object *pageq_victim_object_locked(struct daemon *d, const struct victim *v);
/* A victim that nobody launders. => PAGEQ held */
void pageq_victim_stays_locked(struct daemon *d, const struct victim *v);
/* LAUNDRY -> CLEANING, busy, with a reference on the object. => false: rescued meanwhile */
bool pageq_launder_begin_locked(struct daemon *d, struct victim *v);
/* CLEANING -> STORED: frame freed. => O and PAGEQ held */
void pageq_launder_finish_locked(struct daemon *d, const struct victim *v);
/* CLEANING -> ACTIVE. rescued: touched; else it could not be stored. => PAGEQ held */
void pageq_launder_abort_locked(struct daemon *d, const struct victim *v, bool rescued);
/* The policy of a client (NULL: the daemon's) as text for people. => PAGEQ held */
void pageq_policy_text_locked(struct daemon *d, struct task *task, char *text, size_t text_size);
/* Switches the policy of the daemon (s NULL) or gives a client its own ("": back to the daemon's)
 * while running: residency is replayed into it. => 0, -ENOENT, -EINVAL, -ENOMEM, -ESRCH (the client
 * has ended) */
int pageq_policy_switch(struct daemon *d, struct task *task, const char *policy);
/* Measures what a major fault costs in soft ones and tells the policies. Runs on: the control loop,
 * every few seconds */
void pageq_cost_refresh(struct daemon *d);
/* From differences of counters. now: the last measurement, 0: none. => whether it is clearly
 * another */
bool pageq_cost_measure(const struct fault_times *times, uint32_t now, uint32_t *ret_cost);
/* A task ends: its pages are gone, its own policy goes. */
void pageq_policy_drop(struct daemon *d, struct task *task);

#endif
