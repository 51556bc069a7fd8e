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
 *       (SPECULATIVE: filled ahead of use; a touch makes it ACTIVE, pageout takes it first.)
 *
 * Where the state stands. A page without a frame: its slot says ABSENT, STORED (with the cref) or
 * POISONED. A page with a frame: the slot says RESIDENT (frame index) and the frame's word holds
 * the state.
 *
 * What may be trusted:
 *   ABSENT    no frame, no stored copy, no page in the memfd (but what a client planted there).
 *   STORED    no frame; the cref is valid. Whether its segment is in memory is the compressor's
 *             business.
 *   FILLING   frame taken, BUSY; frame.cref is the stored copy it is filled from (or none); whoever
 *             busied it finishes, aborts or loses it. The memfd page appears only by that thread's
 *             UFFDIO_COPY or ZEROPAGE.
 *   ACTIVE    in the memfd. If not DIRTY: frame.cref is a valid copy of the content and every
 *             mapping is write-protected. If DIRTY: no copy (cref none), mappings may be writable.
 *   INACTIVE  as ACTIVE, and its mappings were asked to go (best effort; not by eviction, which
 *             takes it on at once).
 *   SPECULATIVE as INACTIVE; it was never mapped.
 *   LAUNDRY   as INACTIVE; a worker has it in its batch. Not busy: a touch rescues it.
 *   CLEANING  BUSY by a worker. Before its content is copied every mapping has been
 *             write-protected. The order is: store the copy in frame.cref, punch the memfd, publish
 *             the slot, free the frame. At every instant slot, frame and segment tell one story.
 *   WIRED     in the memfd, DIRTY, on no queue; its mappings are never taken away.
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
#include "compressor.h"
#include "vm/frame_use.h"

struct daemon;
struct frame_table;
struct vm_object;

enum page_state {
#define PAGE_STATE(NAME, letter, resident, queue, text) PAGE_##NAME,
#include "tbl/page_state.h"
	PAGE_STATE_COUNT,
	FRAME_FREE = PAGE_STATE_COUNT, /* states of a frame that holds no page */
	FRAME_COMPRESSOR,
};

/* The word of a frame. State in the low bits, changed only by vm_page_commit; the flags by anybody
 * who may. */
#define PAGE_STATE_MASK 0x0fu
#define PAGE_BUSY       0x10u /* see above */
#define PAGE_WANTED     0x20u /* somebody faulted on it while it was busy, or waits for it */
#define PAGE_DIRTY      0x40u /* (B) differs from every stored copy */
#define PAGE_REPLAYED   0x80u /* (Q) mark used while a policy is switched */

#define FRAME_NONE UINT32_MAX

struct vm_page {
	_Atomic uint32_t word;
	uint32_t object; /* (Q,B) index in the object table */
	uint32_t index;  /* (Q,B) page index in the object */
	uint32_t next;   /* (Q) on the free, the compressor's or the speculative list */
	uint64_t cref;   /* (B) stored copy of a clean page, or of a page being filled or cleaned */
	uint32_t prev;   /* (Q) on the speculative list */
	uint32_t reserved;
};
_Static_assert(sizeof(struct vm_page) == 32, "two a cache line");

/* --- slots --- */
enum slot_kind { SLOT_ABSENT, SLOT_RESIDENT, SLOT_STORED, SLOT_POISONED };
#define SLOT_KIND_BITS 3

static inline enum slot_kind
slot_kind(uint64_t slot)
{
	return (enum slot_kind)(slot & 7);
}
static inline uint32_t
slot_frame(uint64_t slot)
{
	return (uint32_t)(slot >> SLOT_KIND_BITS);
}
static inline struct cref
slot_cref(uint64_t slot)
{
	return (struct cref){ slot >> SLOT_KIND_BITS };
}
static inline uint64_t
slot_resident(uint32_t frame)
{
	return (uint64_t)frame << SLOT_KIND_BITS | SLOT_RESIDENT;
}
static inline uint64_t
slot_stored(struct cref cref)
{
	return cref.v << SLOT_KIND_BITS | SLOT_STORED;
}

static inline enum page_state
page_word_state(uint32_t word)
{
	return (enum page_state)(word & PAGE_STATE_MASK);
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

/* => true: BUSY is ours. false: it was busy; WANTED is set, its holder will wake.
 * => called with the page's object locked, or PAGEQ held and the state LAUNDRY. */
bool vm_page_busy_try(struct vm_page *p);
/* As above, but leaves no WANTED behind. */
bool vm_page_busy_only(struct vm_page *p);
/* => whether WANTED was set: the caller must wake the page's waiting threads then, as
 * vm_object_unbusy does. */
bool vm_page_unbusy(struct vm_page *p);
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

/* --- frames (vm/frame.c) --- */
int frames_create(struct daemon *d);
void frames_destroy(struct daemon *d);
/* Free frames that this use must leave. Squeezed: FRAME_READ leaves none, so a stored page can
 * always be read. */
uint32_t frames_floor(const struct frame_table *t, enum frame_use use, bool squeezed);
/* Frames that may be taken now. => hint without PAGEQ. */
uint32_t frames_available_for(const struct daemon *d, enum frame_use use);
static inline uint32_t
frames_available(const struct daemon *d)
{
	return frames_available_for(d, FRAME_FIRST);
}
/* => a free frame, or FRAME_NONE. Called with PAGEQ held; vm_page_commit must follow. */
uint32_t frame_take_locked(struct daemon *d, enum frame_use use);
void frame_put_locked(struct daemon *d, uint32_t frame);
/* Moves free frames to the compressor until its credit is at least `bytes`, down to the floor of
 * FRAME_STORE.
 * => false: not enough free. */
bool frames_credit_compressor_locked(struct daemon *d, size_t bytes);
/* Gives credit above `keep_bytes` back. => frames freed. */
uint32_t frames_reclaim_credit_locked(struct daemon *d, size_t keep_bytes);
void frames_targets_refresh(struct daemon *d);
/* All that are not wired: what shares and targets are shares of, since a wired page cannot make
 * room. Any thread. */
uint32_t frames_movable(const struct daemon *d);
/* The same of resident pages. */
uint64_t frames_resident_movable(const struct daemon *d);
/* Most frames that may be wired: wire_percent, and less where too few would be left for pages to
 * come and go. Any thread. */
uint64_t frames_wire_most(const struct daemon *d);
extern const struct compressor_ops frames_compressor_ops;
/* vm/vm_object.c: the compressor moved a page; => whether its handle was swapped. Runs on:
 * writeback */
bool daemon_relocate(void *ctx, struct cowner owner, struct cref from, struct cref to);

/* Gauge arithmetic under PAGEQ; the sequence count is raised by vm_queues_change_begin/end. */
void vm_queues_change_begin(struct daemon *d);
void vm_queues_change_end(struct daemon *d);

#endif
