/* SPDX-License-Identifier: MIT
 *
 * Page lists that clients have of their own memory (upl/upl.h). A list's pages are busy until the
 * client hands them back, for as long as it likes. So that nobody else waits for them:
 *
 *   - a list is of memory that only its client sees;
 *   - no job waits for a page of one: what would is refused (page_list_around);
 *   - the pages count as wired memory, of which a user has a share, and make room nowhere;
 *   - the end of the client's session aborts its lists.
 *
 * Runs on: jobs, no lock held.
 */
#ifndef PAGE_LIST_H
#define PAGE_LIST_H

#include "region/range.h"

#define PAGE_LISTS_MAX 1024u /* of a client; each is looked at by requests on ranges */

/* What a range of one entry is of; it is clipped to that entry. */
struct page_list_kind {
	uint64_t size;
	bool is_private; /* a list can be made of it */
	bool is_device;
	bool is_contiguous; /* its object holds nothing else */
};

/* => 0, or -EINVAL: nothing is allocated at its first address */
int page_list_query(struct range *range, struct page_list_kind *ret);
/* A list of the front of the range that lies in one entry, at most UPL_BYTES_MAX. Its pages are
 * still to be gathered. flags: enum upl_flags. => 0; -EINVAL: nothing is allocated there, or no
 * such flags; -ENOTSUP: others may see the memory; -EACCES: the entry's protection does not allow
 * it; -EBUSY: another list of the client's covers some of it, and the flags have not UPL_NOBLOCK;
 * -EAGAIN: the user's share of wired memory is used up, or half of the process's limit, or there
 * are PAGE_LISTS_MAX; -ENOMEM */
int page_list_begin(struct range *range, unsigned flags, struct page_list **ret);
/* Looks at some more of its pages, and brings the content of stored ones in. They leave all links
 * of copies first. place: the jobs thread's. => 0, with *ret_more false when all are; -ENOBUFS:
 * there is no room for the first page; or what pages_unlink says: the list is gone */
int page_list_gather(struct page_list *l, unsigned place, bool *ret_more);
/* How many of the pages that it holds the kernel has pinned. The client has taken them out of its
 * page tables, so no more will be. */
uint64_t page_list_pins(const struct page_list *l);
/* => NULL: the task has no such list */
struct page_list *page_list_find(struct task *task, uint64_t id);
/* As upl_commit and upl_abort. */
int page_list_commit(struct page_list *l, unsigned from, unsigned count, unsigned flags);
int page_list_abort(struct page_list *l, unsigned from, unsigned count, unsigned flags);
/* What it holds is aborted. */
void page_list_destroy(struct page_list *l);
/* Whether some of the range is a list's, so that a job which waits for its pages would wait for
 * the client. */
bool page_list_around(const struct range *range);
/* The lists of a dead task end, a part of the work at a time. => true: there is more */
bool page_lists_drop(struct task *task);

#endif
