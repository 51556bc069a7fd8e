/* SPDX-License-Identifier: MIT
 *
 * Copies that share until written: which pages were copied from which. A copy is no object of its
 * own but a link between two ranges of pages: those of `upper`, where the copy is seen, were copied
 * from those of `lower`. Both have backings of their own, and may be of different tasks, or one
 * object. For a page the links form a line: at most one is above it and at most one below. A copy
 * that is made of a page comes between it and what was copied from it before, as XNU's delayed
 * copies do, so a page that changes tells one other at most.
 *
 * A page of `upper` LACKS while it is ABSENT, or resident with PAGE_DUP: its content is what the
 * page below it has, or zeroes where there is none. Else it is its OWN.
 *
 * What holds for two pages of a link, while the lower one is not busy and in no hole: if the upper
 * one lacks, the lower one is write-protected in all mappings. So its content is put into the upper
 * one before it changes (transit/copy_push.h).
 *
 * The lock, COPIES, lies between O and PAGEQ; it is never held across anything. A thread looks at
 * the line with it, takes O of the page that it has found, and looks again with both: what it does
 * then is right, since the page on whose behalf it looks is busy (or in a hole) all the time. Two O
 * are never held. => COPIES held in every _locked function
 *
 * Private mappings of files. The lower end of a link may be external: a file's pages, which FOLLOW.
 * Nothing in the file's object is told of its changes, or protected, for its followers' sake: such
 * a link is in no line above it, so a file may have any number of followers, of different users,
 * and who writes to it pays for none of them. A page that lacks has what the file has when it is
 * filled; once it has been filled as a duplicate it may stay behind the file until it leaves. The
 * object knows its followers only to wake them, and to stay in its file's table.
 *
 * A link is LEAVING while pages of its upper range are put into what lies above them: pushes pass
 * that range over.
 */
#ifndef COPY_LINK_H
#define COPY_LINK_H

#include "daemon.h"
#include "vm/books.h"

/* Links that one object may have above and below. */
#define COPY_LINKS_MAX 1024u
/* Links above a page and below it, together. */
#define COPY_DEPTH_MAX 128u

/* A page of an object. */
struct copy_place {
	struct vm_object *object;
	uint64_t index;
};

static inline void
copies_lock(struct daemon *d)
{
	lock_acquire(&d->copies.lock);
}
static inline void
copies_unlock(struct daemon *d)
{
	lock_release(&d->copies.lock);
}
/* The one test of those who have nothing to do with copies. which: COPY_* */
static inline bool
vm_object_is_linked(const struct vm_object *o, unsigned which)
{
	return unlikely((load_relaxed(&((struct vm_object *)(uintptr_t)o)->linked) & which) != 0);
}

/* The link by which something was copied from page `index`, or from which page `index` was. NULL:
 * there is none */
struct copy_link *copy_link_above_locked(const struct vm_object *o, uint64_t index);
struct copy_link *copy_link_below_locked(const struct vm_object *o, uint64_t index);
/* The first link above (below: likewise) that ends behind page `index`. NULL: there is none */
struct copy_link *copy_link_from_locked(const struct vm_object *o, bool above, uint64_t index);
/* The first link above (below: likewise) that has pages of [first, end), and which they are.
 * *ret: the first of them at the link's other end, with a reference on its object. => how many;
 * 0: there is none */
uint64_t copy_link_next_locked(
    const struct vm_object *o, bool above, uint64_t *first, uint64_t end, struct copy_place *ret);
/* Whether the page has content of its own. PAGEQ is taken. */
bool copy_page_is_own_locked(const struct vm_object *o, uint64_t index);
/* The page whose content a page that lacks has: the first one below that is its own, or the lowest.
 * The page has a link below. No reference is taken. *ret_is_foreign: others than
 * those who could change the page's object can change that content, or what may come to be it,
 * behind the daemon's back: on the way down is an object that several see, or of another user. */
struct copy_place copy_owner_locked(
    const struct vm_object *o, uint64_t index, bool *ret_is_foreign);
/* The page that must be told before page `index` changes, unless it is its own. => false: there is
 * none. No reference is taken. */
bool copy_target_locked(const struct vm_object *o, uint64_t index, struct copy_place *ret);
/* [upper_first, +count) becomes a copy of [lower_first, +count): between these and what was copied
 * from them. The upper pages have no links. => 0; -EOPNOTSUPP: an object would have too many, or
 * a page; or something has been copied from the lower ones, to which the upper object is foreign,
 * so that its holder could change what that reads; -ENOMEM: the reserve of links is not full. No
 * lock held */
int copy_link_insert(struct vm_object *lower, uint64_t lower_first, struct vm_object *upper,
    uint64_t upper_first, uint64_t count);
/* The links below [first, end) are leaving. No lock held */
void copy_links_leave_begin(struct vm_object *o, uint64_t first, uint64_t end);
/* Pages that were next to those that have left, in the line: above them and below. */
struct copy_besides {
	unsigned count;
	struct copy_beside {
		struct copy_place at; /* with a reference */
		uint64_t count;
	} ranges[2];
};
/* The first pages of [first, end) that are in links leave them: what is above them is linked to
 * what is below them. Nothing above lacks a page of theirs. Needs no memory. => whether there were
 * any; *ret: what was next to them, to be woken. No lock held */
bool copy_links_leave(struct vm_object *o, uint64_t first, uint64_t end, struct copy_besides *ret);

/* --- files --- */

/* Private mappings of one object of a file. */
#define FOLLOWERS_MAX 1024u

/* [upper_first, +count) follows [first, +count) of the external object. The upper pages have no
 * links. => 0; -ENOMEM: an object would have too many. No lock held */
int copy_link_follow(struct vm_object *file, uint64_t first, struct vm_object *upper,
    uint64_t upper_first, uint64_t count);

#endif
