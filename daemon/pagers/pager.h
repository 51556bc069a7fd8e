/* SPDX-License-Identifier: MIT
 *
 * Pagers: where an object's content comes from and goes to while it has no frame. An anonymous
 * object has none (its pages read as zeroes) until its first page leaves, and keeps the one it gets
 * then. An external object is made by its pager. Every call goes through this file, which holds
 * callers and pagers to the contract; a pager is a row of `pagers` (pager.c).
 *
 * A copy is the pager's name for stored content of one page; it is never zero. An external pager
 * has a place for each page of the object, found by the page's index alone: all its copies have one
 * name, CREF_PLACE. A page of such an object that has no frame is ABSENT, which says that the pager
 * has it. A clean one has the copy CREF_PLACE.
 *
 * => The caller holds the page busy, or its object's lock where a line below says so. No other lock
 * is held: a pager may punch memory or write.
 */
#ifndef PAGER_H
#define PAGER_H

#include <stdbool.h>

#include "pagers/pager_types.h"
#include "pagers/store.h"
#include "vm/books.h"

struct swap_channel;

struct pager_ops {
	const char *name;
	bool is_external; /* the content belongs to somebody else, such as a file */
	bool (*is_away)(struct daemon *d, struct cref copy);
	void (*prefetch)(struct daemon *d, struct cref copy);
	enum pager_result (*data_request)(struct daemon *d, struct cref copy, void *page);
	enum pager_room (*room_take)(struct daemon *d, size_t pages);
	enum pager_result (*data_return)(struct vm_object *o, uint64_t index, unsigned worker,
	    const void *page, int press, struct cref *ret_copy);
	bool (*copies_fit)(const struct daemon *d);
	void (*drop)(struct daemon *d, struct cref copy);
	enum pager_result (*read_begin)(const struct vm_object *o, uint64_t index,
	    const struct cref *copies, unsigned count, size_t most_bytes, struct pager_read *ret);
	enum pager_result (*read_submit)(const struct vm_object *o, const struct pager_read *read,
	    struct swap_channel *channel, void *buffer, uint64_t cookie);
	enum pager_result (*read_decode)(const struct vm_object *o, const struct pager_read *read,
	    unsigned i, const void *buffer, void *page);
	void (*read_end)(const struct vm_object *o, const struct pager_read *read, int error);
	/* Of external pagers alone: */
	bool (*size_submit)(
	    const struct vm_object *o, struct swap_channel *channel, uint64_t cookie);
	enum pager_result (*write_submit)(const struct vm_object *o, uint64_t offset, size_t bytes,
	    struct swap_channel *channel, void *buffer, uint64_t cookie);
	void (*write_end)(const struct vm_object *o, int error);
	bool (*sync_submit)(
	    const struct vm_object *o, struct swap_channel *channel, uint64_t cookie);
	int (*sync_result)(const struct vm_object *o, int error);
	bool (*is_changed)(const struct vm_object *o);
	bool (*last_unmap)(struct vm_object *o);
};

/* What an ABSENT page is to be filled from. => CREF_NONE: zeroes */
static inline struct cref
pager_absent_copy(const struct vm_object *o)
{
	return unlikely(o->external != NULL) ? CREF_PLACE : CREF_NONE;
}
/* The slot of a page that has no frame and that copy, or CREF_NONE. */
static inline uint64_t
pager_slot(const struct vm_object *o, struct cref copy)
{
	INVARIANT(!o->external || copy.v == CREF_PLACE.v);
	return copy.v && copy.v != CREF_BELOW.v && likely(!o->external) ? slot_stored(copy)
									: SLOT_ABSENT;
}

extern const struct pager_ops pagers[PAGER_KIND_COUNT];

/* Whether its content belongs to somebody else, such as a file; else it is pagerd's own. Any lock
 * may be held. */
bool pager_is_external(const struct vm_object *o);
/* Whether the copy is on secondary storage: a hint, which may change at any time. O held, or busy.
 */
bool pager_is_away(const struct vm_object *o, struct cref copy);
/* Of any pager. The functions below them have the contracts. */
void pager_prefetch_any(const struct vm_object *o, struct cref copy);
enum pager_result pager_data_request_any(const struct vm_object *o, struct cref copy, void *page);
static inline bool
pager_is_store(const struct vm_object *o)
{
	return likely(load_relaxed(&((struct vm_object *)(uintptr_t)o)->pager) == PAGER_STORE);
}
/* The page will be got in a moment. O may be held. */
static inline void
pager_prefetch(const struct vm_object *o, struct cref copy)
{
	if (pager_is_store(o))
		store_prefetch(o->daemon, copy);
	else
		pager_prefetch_any(o, copy);
}
/* Content into `page`. The anonymous case is direct. => OK, AWAY or LOST (this page only); never
 * wrong content */
static inline enum pager_result
pager_data_request(const struct vm_object *o, struct cref copy, void *page)
{
	INVARIANT(copy.v != 0);
	return pager_is_store(o) ? store_data_request(o->daemon, copy, page)
				 : pager_data_request_any(o, copy, page);
}
/* Whether a clean page's copy may stay beside the page: false where it takes memory that is
 * lacking. The page is one that was filled from its copy. A hint; O may be held. */
bool pager_copies_fit_any(const struct vm_object *o);
static inline bool
pager_copies_fit(const struct vm_object *o)
{
	return pager_is_store(o) ? store_copies_fit(o->daemon) : pager_copies_fit_any(o);
}
/* Takes room for that many pages more in the worst case, before they are returned. The object has a
 * pager after it. => SOME: there is less, but some pages have room. Workers, no lock held */
enum pager_room pager_room_take(struct vm_object *o, size_t pages);
/* The object is about to have a page that the default pager keeps, without having returned it. Any
 * lock may be held */
void pager_adopt(struct vm_object *o);
/* Keeps the content of a page. worker: of the calling thread alone. press: how hard to compress.
 * => OK and *ret_copy, or AGAIN: no room, and nothing has changed. The object has a pager after it
 */
enum pager_result pager_data_return(struct vm_object *o, uint64_t index, unsigned worker,
    const void *page, int press, struct cref *ret_copy);
/* Gives a copy up; of CREF_BELOW nothing is to be given up. */
void pager_drop(const struct vm_object *o, struct cref copy);

/* Reads pages that are away. Of the `count` pages from index on, with these copies, the first, and
 * as many of those behind it as lie close by in the same place and fit into most_bytes, are pinned.
 * => OK and *ret (ret->count of them), or AGAIN: the first is not away (any more) */
enum pager_result pager_read_begin(const struct vm_object *o, uint64_t index,
    const struct cref *copies, unsigned count, size_t most_bytes, struct pager_read *ret);
/* The read is on its way into the channel's buffer. => OK, AGAIN (the channel is full) or FAILED */
enum pager_result pager_read_submit(const struct vm_object *o, const struct pager_read *read,
    struct swap_channel *channel, void *buffer, uint64_t cookie);
/* Expands page i of the read, whose `transferred` is set. => OK; LOST; or FAILED: the pager has no
 * such page now */
enum pager_result pager_read_decode(const struct vm_object *o, const struct pager_read *read,
    unsigned i, const void *buffer, void *page);
/* Lets the pages go. error: -errno that the read met; 0: none, or it was not made */
void pager_read_end(const struct vm_object *o, const struct pager_read *read, int error);

/* External objects, whose dirty pages the cleaner writes to their places. Asks how much content
 * there is: the completion's bytes are to be given to pager_bytes_within. => false: the channel is
 * full */
bool pager_size_submit(const struct vm_object *o, struct swap_channel *channel, uint64_t cookie);
/* Bytes of the object, from its first page on, that lie within content of that size. */
uint64_t pager_bytes_within(const struct vm_object *o, uint64_t size);
/* Writes content to its place: `bytes` from `offset` on, in the object, a multiple of 4,096; whole
 * pages, or less at the end of the content. => OK: on its way; AGAIN: the channel is full; FAILED:
 * it cannot be written
 */
enum pager_result pager_write_submit(const struct vm_object *o, uint64_t offset, size_t bytes,
    struct swap_channel *channel, void *buffer, uint64_t cookie);
/* A write has ended, or could not be made: an error is kept for pager_sync_result. */
void pager_write_end(const struct vm_object *o, int error);
/* What has been written is on the disk when this has been completed, for which the maker of the
 * place may take as long as it likes. => false: there is nothing to be asked for */
bool pager_sync_submit(const struct vm_object *o, struct swap_channel *channel, uint64_t cookie);
/* => -errno of a write that has failed, if nobody has been told of it yet, or else `error` */
int pager_sync_result(const struct vm_object *o, int error);
/* Whether somebody else has changed the content since this was last asked: clean pages may differ
 * from it. */
bool pager_is_changed(const struct vm_object *o);
/* The object has no mapping any more, and no page. => whether its pager has let go of it: it will
 * not be mapped again, and the pager's reference has become the caller's */
bool pager_last_unmap(struct vm_object *o);

#endif
