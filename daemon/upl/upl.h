/* SPDX-License-Identifier: MIT
 *
 * Universal page lists: the unit in which pages are handed out and taken back, for a pager's I/O or
 * for a program. A list covers a range of an object's pages. Those that it holds are busy from the
 * moment at which they were gathered until they are committed or aborted, so their content and
 * identity are the list's alone; all others are holes. A thread that touches a page of a list waits
 * as for any busy page, and pageout passes over it. The idea and most names are XNU's.
 *
 * Two directions. UPL_COPYOUT_FROM: content goes from the object to somewhere else; the pages
 * cannot be written to meanwhile. Otherwise content comes in: pages without any are FILLING, and
 * the list's holder puts content into the memfd; the memfd is where the content of all held pages
 * lies.
 *
 * The cleaning form (UPL_CLEANING) is for content that goes to its place while threads go on with
 * the pages. They are busy from upl_gather_dirty to upl_go_on only, and the caller copies them in
 * between. From there on the list still has them, marked WRITING, but anybody may read them, and a
 * write takes the mark away. A page that is committed with the mark is clean; any other stays as
 * dirty as it is. No two such lists have the same page: the older content could be written last.
 *
 * A list is used by one thread at a time. Nothing here allocates but upl_create.
 */
#ifndef UPL_H
#define UPL_H

#include "daemon.h"
#include "vm/vm_object.h"

#define UPL_BYTES_MAX (64ull << 20)

/* What a page was when it was looked at. The first five can be held; WIRED, too, but is not busy
 * then. */
enum upl_page {
	UPL_PAGE_ABSENT, /* it has no content */
	UPL_PAGE_STORED, /* its content is with the pager */
	UPL_PAGE_CLEAN,  /* resident, with a copy */
	UPL_PAGE_DIRTY,
	UPL_PAGE_SPECULATIVE, /* brought in ahead of use */
	UPL_PAGE_WIRED,
	UPL_PAGE_BUSY,   /* another thread, or another list, has it; or it could not be had now */
	UPL_PAGE_LOST,   /* touching it is SIGBUS */
	UPL_PAGE_PINNED, /* (cleaning form) dirty, and a device may write into it: it stays dirty */
};

/* What is to be done. */
enum upl_flags {
	UPL_COPYOUT_FROM = 1,
	UPL_CLEAN_IN_PLACE =
	    2, /* UPL_COPYOUT_FROM: pages stay when committed; else they are freed */
	UPL_RET_ONLY_DIRTY = 4, /* UPL_COPYOUT_FROM: clean pages are holes */
	UPL_RET_ONLY_ABSENT =
	    8, /* not with UPL_COPYOUT_FROM: only pages without content are held */
	/* What could be had only by waiting is a hole: pages in transit, and pages for which no
	 * frame is free. */
	UPL_NOBLOCK = 16,
	UPL_PRECIOUS = 32, /* what is committed is dirty: no pager has it */
	/* The caller keeps wired pages wired until the list ends, so that they can be held. Else
	 * they are holes. */
	UPL_HOLD_WIRED = 64,
};
#define UPL_FLAGS ((unsigned)(UPL_HOLD_WIRED * 2 - 1))
/* The cleaning form, for the daemon's own pagers: pages that were dirty, wired ones, too. */
#define UPL_CLEANING (UPL_HOLD_WIRED * 2u)
#define UPL_CLEANING_ALL                                                                           \
	(UPL_CLEANING | UPL_COPYOUT_FROM | UPL_CLEAN_IN_PLACE | UPL_RET_ONLY_DIRTY | UPL_NOBLOCK)

/* Bytes of a list of that many pages, in multiples of 8; a constant for a constant. */
#define UPL_BYTES(count)                                                                           \
	(sizeof(struct upl) + ((count) + 63u) / 64u * 8u + ((count) + 7u) / 8u * 8u)

static inline bool
upl_holds(const struct upl *u, unsigned i)
{
	INVARIANT(i < u->count);
	return u->holds[i / 64] >> i % 64 & 1;
}
/* The first page >= i that the list holds; u->count if there is none. A list without pages is
 * passed over quickly, since a client may have many. */
unsigned upl_next_held(const struct upl *u, unsigned i);
/* Whether the list keeps it busy: in the cleaning form none, and else all that it holds but wired
 * pages. */
static inline bool
upl_has_busy(const struct upl *u, unsigned i)
{
	return upl_holds(u, i) && u->pages[i] != UPL_PAGE_WIRED && !(u->flags & UPL_CLEANING);
}

/* An empty list for pages [first, first + count) of an object that wait to be gathered. At most
 * UPL_BYTES_MAX: the caller looks at ->count. => 0; -EINVAL: flags that there are not, or that do
 * not go together; -ENOMEM. No lock held, here and below */
int upl_create(struct vm_object *o, struct task *task, uint64_t base, uint64_t first,
    uint64_t count, unsigned flags, struct upl **ret);
/* What it holds is aborted. NULL: nothing happens */
void upl_destroy(struct upl *u);
/* The same in memory of the caller's: UPL_BYTES(count) bytes, for at most UPL_BYTES_MAX of pages,
 * and flags that go together. => the list, which begins where the memory does */
struct upl *upl_begin(void *memory, struct vm_object *o, struct task *task, uint64_t base,
    uint64_t first, unsigned count, unsigned flags);
void upl_end(struct upl *u);
/* The list ends before the first page that was not gathered. */
void upl_clip(struct upl *u);

enum upl_gathered {
	UPL_ALL,     /* every page has been looked at */
	UPL_MORE,    /* `most` were */
	UPL_NO_ROOM, /* the next page cannot have a frame: none is free, the task is at its limit,
			or may have no more table memory; or it lies in a hole (vm/hole.h) for
			whose end no list waits that holds pages. With UPL_NOBLOCK such a page is
			not held */
};
/* Looks at up to `most` further pages, and takes those that the flags ask for. Runs on: jobs; with
 * UPL_NOBLOCK any thread */
enum upl_gathered upl_gather(struct upl *u, unsigned most);

enum upl_commit_flags {
	UPL_COMMIT_SET_DIRTY = 1, /* the pages differ from what any pager has */
	/* UPL_COPYOUT_FROM: an external pager has them now, which UPL_CLEAN_IN_PLACE says already.
	 * Of other pagers only what they were given counts: there a page stays as dirty as it was.
	 */
	UPL_COMMIT_CLEAR_DIRTY = 2,
	UPL_COMMIT_INACTIVATE = 4,
	UPL_COMMIT_SPECULATE = 8,    /* filled pages have not been asked for */
	UPL_COMMIT_FREE_ABSENT = 16, /* pages that had no content are aborted */
	UPL_COMMIT_CLEAR_PRECIOUS = 32,
};
#define UPL_COMMIT_FLAGS 63u
enum upl_abort_flags {
	UPL_ABORT_RESTART = 1,     /* pages without content: their threads fault again */
	UPL_ABORT_UNAVAILABLE = 2, /* the same: they read as zeroes */
	UPL_ABORT_ERROR = 4,       /* pages without content for which a thread waits are lost;
				      nobody sees that the others could not be had. An external
				      pager is asked again by the next touch */
	UPL_ABORT_DUMP_PAGES = 8,  /* content is thrown away */
	UPL_ABORT_REFERENCE = 16,  /* resident pages count as touched */
};
#define UPL_ABORT_FLAGS 31u

/* Pages [from, from + count) of the list, which count from its first one, are handed back, and the
 * threads that met them busy woken. Holes are passed over. => 0; -EINVAL: the range goes beyond the
 * list, or there are no such flags, and nothing has changed; of a commit also -ENOMEM: the pages
 * from some page on, which were to be filled, are still held. Runs on: any thread */
int upl_commit(struct upl *u, unsigned from, unsigned count, unsigned flags);
int upl_abort(struct upl *u, unsigned from, unsigned count, unsigned flags);

/* --- the cleaning form --- */

/* Why a list has no more pages. */
enum upl_stop {
	UPL_STOP_END,   /* all pages of its range have been looked at */
	UPL_STOP_MOST,  /* it holds `most` */
	UPL_STOP_BUSY,  /* the next dirty page is in transit, or the pages' mappings could not be
			   protected, and none is held: nobody tells when that is over */
	UPL_STOP_LISTED /* the next page has been written to while another list had it, which must
			   be committed first */
};
/* Takes the dirty pages of the list's range, busy and write-protected, up to `most`; those that
 * other lists have are passed over. Once. It never waits */
enum upl_stop upl_gather_dirty(struct upl *u, unsigned most);
/* The pages' content has been copied: they are busy no more. Once; before that a list can only be
 * aborted as a whole */
void upl_go_on(struct upl *u);

/* Whether a list of this form has the page: while it is marked WRITING one has. => O held */
bool upl_is_cleaning(const struct vm_object *o, uint64_t index);

/* For gather.c, clean.c and finish.c. The page is busy and becomes, or ceases to be, the list's. =>
 * O and PAGEQ held */
void upl_take_locked(struct upl *u, unsigned i);
void upl_give_locked(struct upl *u, unsigned i);
/* For finish.c: commit or abort in the cleaning form. */
void upl_clean_finish(struct upl *u, unsigned from, unsigned count, bool is_clean);

#endif
