/* SPDX-License-Identifier: MIT
 *
 * Purgeable objects: their content may go when memory is short, while their owner does not need it.
 * What follows is XNU's: the states, and the order in which objects go.
 *
 *   nonvolatile  ordinary memory
 *   volatile     the content may go at any moment, all of it at once; until then it is there, and
 *                can be touched
 *   empty        it has gone: the object reads as zeroes. What is put into it may go again, and is
 *                the first to go. It stays empty until it is made nonvolatile, which says so
 *
 * A state is written with O and PAGEQ held, so either is enough to read it.
 *
 * Order: obsolete objects and empty ones go first. The others go by group, 0 first, in a group the
 * FIFO ones (the oldest first) before the LIFO ones (the youngest first), and among the first few
 * of a list those of the least important process. They go one at a time, and not before a token is
 * ripe: an object that becomes volatile puts one at the end of a queue, which is ripe when as many
 * pages have left the inactive queue as were in it then. A token is nobody's: the ripe one of an
 * object of a higher group lets one of a lower group go. Under pressure groups below a number go
 * without one.
 *
 * The functions are pure: they know nothing of pages and locks. Their callers have PAGEQ.
 */
#ifndef PURGEABLE_H
#define PURGEABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "atomics.h"
#include "core/watch.h"
#include "list.h"

enum purgeable_state {
	PURGEABLE_NONVOLATILE = 0,
	PURGEABLE_VOLATILE = 1,
	PURGEABLE_EMPTY = 2,
};
#define PURGEABLE_GROUPS 8u

/* What a change of the state does. */
enum purgeable_action {
	PURGEABLE_STAYS,   /* nothing */
	PURGEABLE_QUEUES,  /* its content may go from now on, in its (perhaps new) order */
	PURGEABLE_LEAVES,  /* its content stays from now on, or there is none */
	PURGEABLE_EMPTIES, /* its content goes now */
};
/* The state that follows when an owner wants `wanted` */
enum purgeable_state purgeable_next(
    enum purgeable_state now, enum purgeable_state wanted, enum purgeable_action *ret);

/* How an object goes: XNU's word (PAGER_PURGEABLE_*) without the state. */
#define PURGEABLE_HOW_MASK 0x10760u
/* Whether the word has bits that there are not, or a state that cannot be set. */
bool purgeable_word_is_valid(uint32_t word);
static inline unsigned
purgeable_group(uint32_t how)
{
	return how >> 8 & (PURGEABLE_GROUPS - 1);
}

/* The purgeable part of an object. */
struct purgeable {
	enum purgeable_state state; /* (O,Q) to write, either to read */
	uint32_t how;               /* (O,Q) likewise: PURGEABLE_HOW_MASK */
	bool is_purging;   /* (O) a thread empties it: all of it is a hole, and its state stays */
	unsigned wirers;   /* (O) threads that are about to wire some of it */
	struct list node;  /* (Q) in its list; by itself: in none */
	struct list token; /* (Q) of purge_queue.tokens; by itself: it keeps none */
	uint64_t ripe_at;  /* (Q) of the token: purge_queue.turned by then */
	uint64_t pages;    /* (Q) that have content, in frames or not */
};

/* The objects that may be purged: all that are volatile or empty and have content. */
struct purge_queue {
	struct list obsolete;                    /* (Q) */
	struct list groups[PURGEABLE_GROUPS][2]; /* (Q) FIFO, LIFO; the first goes first */
	struct list tokens;                      /* (Q) in the order in which they become ripe */
	uint64_t turned;     /* (Q) pages that have left the inactive queue so far */
	unsigned count;      /* (Q) objects in the lists */
	atomic_ullong pages; /* (Q) to write, (A) to look at: that they have, in frames or not */
	atomic_uint wanted;  /* (A) groups below this number are to go now, because memory is short,
				although there may be free frames; 0: none */
	bool asked[1 + SIDE_LANES]; /* (Q) by lane: its worker is to purge */
};

void purge_queue_init(struct purge_queue *q);
/* The content may go from now on; there is some. One that is in a list is put into the list that it
 * belongs to now. inactive: pages in the inactive queue, for the token, which is put down unless
 * there is one. */
void purge_queue_add(struct purge_queue *q, struct purgeable *p, uint64_t inactive);
/* The object leaves its list because its content has gone (purged) or stays. A token goes with it:
 * a ripe one, if there is one, or the last. */
void purge_queue_remove(struct purge_queue *q, struct purgeable *p, bool purged);
/* Says how important an object's process is, the least important being 0; negative: the object is
 * passed over. */
typedef int purge_importance(void *context, const struct purgeable *p);
/* The object that goes next; it stays in its list. force: groups below go without a
 * token. => NULL: none may go */
struct purgeable *purge_queue_choose(
    const struct purge_queue *q, unsigned force, purge_importance *importance, void *context);
static inline bool
purgeable_is_queued(const struct purgeable *p)
{
	return !list_empty(&p->node);
}
/* Tokens that are ripe, for tests and the check. */
unsigned purge_queue_ripe(const struct purge_queue *q);

/* Pages of the object have got content, or lost it. inactive: as above */
void purgeable_count(
    struct purge_queue *q, struct purgeable *p, long long change, uint64_t inactive);
/* The object moves to another state. purged: its content is thrown away for it */
void purgeable_switch(struct purge_queue *q, struct purgeable *p, enum purgeable_state state,
    uint32_t how, bool purged, uint64_t inactive);
void purgeable_init(struct purgeable *p);
/* Whether it has no content, so that the object may end. Any thread that has the object alone */
bool purgeable_is_idle(const struct purgeable *p);

#endif
