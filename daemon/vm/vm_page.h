/* SPDX-License-Identifier: MIT
 *
 * The page and its state machine: the only text on page states. States are rows of
 * tbl/page_state.h, arrows rows of tbl/page_arrow.h; vm_page_commit is the only writer of a state,
 * and it posts gauges and ledger from the arrow's row.
 *
 *                  touch            filled             no use
 *       ABSENT ------------> FILLING ------> ACTIVE <=========> INACTIVE
 *         ^  ^               ^  |  |         ^  ^ ||    re-use      |
 *  discard|  | abort         |  |  |lost     |  | ||wire            | chosen
 *         |  +---------------|--+  v         |  | WIRED             v
 *         |                  |  POISONED     |  +---- touched --- LAUNDRY
 *         |            touch |               |                      | worker busies it
 *         +--------------- STORED <----------|--- kept ---------- CLEANING
 *                   compressed, no frame     +--- no room, raced ---+
 *       (DEVICE: from ABSENT and back, with the device itself: pagers/device.h.)
 *       (SPECULATIVE: filled ahead of use; a touch makes it ACTIVE, pageout takes it first.
 *       CLEANING -> ABSENT, where the pager has a place for each page and so has this one.)
 *
 * Where the state stands. A page without a frame: its slot says ABSENT, STORED (with the cref) or
 * POISONED. A page with a frame: the slot says RESIDENT (frame index) and the frame's word holds
 * the state.
 *
 * What may be trusted:
 *   ABSENT    no frame, no stored copy, no page in the memfd (but what a client planted there). In
 *             an external object (struct external) the pager has the page in its place; in others
 *             it reads as zeroes.
 *             Of a page that was copied (vm/copy_link.h) the content is what is below.
 *   STORED    no frame; the cref is valid. Whether its segment is in memory is the compressor's
 *             business.
 *   FILLING   frame taken, BUSY; frame.cref is the stored copy it is filled from (or none); the
 *             thread that made it busy finishes, aborts or loses it. The memfd page appears only by
 *             that thread's UFFDIO_COPY, UFFDIO_ZEROPAGE, pwrite or fallocate.
 *   ACTIVE    in the memfd. If not DIRTY: frame.cref is a valid copy of the content and every
 *             mapping is write-protected; of an external object cref is CREF_PLACE, and the pager
 *             has the content in its place. If DIRTY: no copy (cref none), mappings may be
 *             writable. If WRITING too: every mapping is write-protected, and the content is on its
 *             way to its place. With DUP it is clean, its copy is CREF_BELOW, and the page below
 *             it has the same content: it becomes ABSENT when it leaves. So does a reusable page
 *             (transit/reuse.h), which has nothing below, and is equal to zeroes for that matter.
 *   INACTIVE  as ACTIVE, and its mappings were asked to go (best effort; not by eviction, which
 *             takes it on at once).
 *   SPECULATIVE as INACTIVE; it was never mapped.
 *   LAUNDRY   as INACTIVE; a worker has it in its batch. Not busy: a touch rescues it.
 *   CLEANING  BUSY by a worker. Before its content is copied every mapping has been
 *             write-protected. The order is: store the copy in frame.cref, punch the memfd, publish
 *             the slot, free the frame. At every instant slot, frame and segment tell one story.
 *   WIRED     in the memfd, DIRTY, on no queue; its mappings are never taken away.
 *   DEVICE    in the memfd, DIRTY, on no queue, as long as the device is there. Nobody is billed
 * for the page, but for each mapping of it; its mappings are not registered, and make no faults.
 *   POISONED  the copy could not be read back; touching the page is SIGBUS until it is discarded.
 *
 * BUSY is an embedded exclusive lock on content and identity that may be held over I/O and
 * userfaultfd calls. It is taken with the object lock held (so that the slot names this frame) or,
 * by pageout, with PAGEQ held and the state LAUNDRY. It is not waited for by fault servers: a fault
 * sets WANTED and is forgotten; the holder sees WANTED when it lets go and wakes the range, and the
 * thread faults again. Write protection is lifted only while BUSY is held.
 */
#ifndef VM_PAGE_H
#define VM_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "atomics.h"
#include "core/ledger.h"
#include "vm/frame.h"
#include "vm/purgeable.h"
#include "vm/slot.h"

struct daemon;
struct task;
struct vm_object;

enum page_state {
#define PAGE_STATE(NAME, letter, resident, queue, text) PAGE_##NAME,
#include "tbl/page_state.h"
	PAGE_STATE_COUNT
};
_Static_assert((int)PAGE_STATE_COUNT <= (int)FRAME_PAGE, "a word tells pages from other frames");

static inline enum page_state
page_word_state(uint32_t word)
{
	return (enum page_state)(word & PAGE_STATE_MASK);
}

static inline enum door
page_word_door(uint32_t word)
{
	return (enum door)((word & PAGE_DOOR_MASK) >> PAGE_DOOR_SHIFT);
}

const char *page_state_name(enum page_state state);
char page_state_letter(enum page_state state);
bool page_state_is_resident(enum page_state state);
/* Whether tbl/page_arrow.h has the row. */
bool page_arrow_allowed(enum page_state from, enum page_state to);

/* Changes a page's state, moves the frame between gauges and posts the owner's ledger. For a page
 * that gets its frame (from is ABSENT or STORED) the frame must come from frame_take_locked; for
 * one that loses it the frame goes back to the free list. A wrong arrow is a panic.
 * => called with PAGEQ held; the caller holds BUSY, or the state is one that PAGEQ alone
 * protects. */
void vm_page_commit(struct daemon *d, struct vm_object *o, uint32_t frame, enum page_state from,
    enum page_state to);
/* The same for a page that has no frame before nor after (STORED or POISONED -> ABSENT). */
void vm_page_commit_slot(
    struct daemon *d, struct vm_object *o, enum page_state from, enum page_state to);

/* The class in which a page of the object with that slot is billed. => O and PAGEQ held */
enum ledger_class vm_page_class_locked(const struct vm_object *o, uint64_t slot);
/* Whether its pages, once they have content, are in its owner's footprint. => O held */
bool vm_object_is_counted(const struct vm_object *o);
/* A resident page of a plain object, neither wired nor being filled, is billed as reusable from now
 * on, or as before. It is billed as before by itself once it is wired, or stored. => PAGEQ held */
void vm_page_reusable_set_locked(
    struct daemon *d, struct vm_object *o, uint32_t frame, bool is_reusable);
/* A page that the caller has busy is billed as reusable no more, if it was. Takes PAGEQ */
void vm_page_reused(struct vm_object *o, struct vm_page *p);
/* All pages of an anonymous object are billed in another way from now on; none is reusable. =>
 * PAGEQ held */
void vm_object_standing_set_locked(struct vm_object *o, enum ledger_standing standing);
/* A purgeable object moves to another state (vm/purgeable.h), with its bill. purged: its content is
 * thrown away for it. => O and PAGEQ held */
void vm_object_purgeable_switch_locked(
    struct vm_object *o, enum purgeable_state state, uint32_t how, bool purged);

#if DEBUG_LEVEL >= 1
/* What may be trusted, as said above: slot, frame and word of the page tell one story. A wrong one
 * is a panic. => the caller holds BUSY; for a page without a frame O, or a hole around it. Not
 * while the caller is between two steps of a change. */
void vm_page_assert(const struct vm_object *o, uint64_t index);
#else
static inline void
vm_page_assert(const struct vm_object *o, uint64_t index)
{
	(void)o;
	(void)index;
}
#endif

/* => true: BUSY is ours. false: it was busy; WANTED is set, its holder will wake.
 * => called with the page's object locked, or PAGEQ held and the state LAUNDRY. */
bool vm_page_busy_try(struct vm_page *p);
/* As above, but leaves no WANTED behind. */
bool vm_page_busy_only(struct vm_page *p);
/* => whether WANTED was set: the caller must wake the page's waiting threads then, as
 * vm_object_unbusy does. */
bool vm_page_unbusy(struct vm_page *p);
/* The page, which the caller has busy, is put into page tables through the mapping of that number.
 * => whether it was read ahead and nobody has had it before; also of pages of no file */
static inline bool
vm_page_seen(struct vm_page *p, uint32_t by)
{
	uint32_t before = load_relaxed(&p->seen_by);
	bool is_first = before == SEEN_BY_NOBODY || before == SEEN_AHEAD;

	if (before != by)
		store_relaxed(&p->seen_by, is_first ? by : SEEN_BY_ANY);
	return before == SEEN_AHEAD;
}
static inline void
vm_page_flags_set(struct vm_page *p, uint32_t flags)
{
	fetch_or_acq_rel(&p->word, flags);
}
static inline void
vm_page_flags_clear(struct vm_page *p, uint32_t flags)
{
	fetch_and_acq_rel(&p->word, ~flags);
}
/* The page, which has just got its frame, or first content of another kind. => busy by the caller
 */
static inline void
vm_page_door_set(struct vm_page *p, enum door door)
{
	vm_page_flags_clear(p, PAGE_DOOR_MASK);
	vm_page_flags_set(p, (uint32_t)door << PAGE_DOOR_SHIFT);
}
/* The page differs from its copy, if it has one, because of the task: of an external object it is
 * billed for that. It may be dirty already. => busy by the caller */
void vm_page_make_dirty(struct vm_object *o, struct vm_page *p, struct task *task);
/* What its copy has is its content. => busy by the caller */
void vm_page_make_clean(struct vm_object *o, struct vm_page *p);

#endif
