/* SPDX-License-Identifier: MIT
 *
 * Windows: where the pages of a copy are only read, those that they were copied from are mapped in
 * their places, so that several copies of the same memory take its frames once.
 *
 * A window is of a mapping of the copy. Through another mapping, its `source`, the same task sees
 * the object at the lower end of the line (copy_link.h) at the same addresses, for reading only
 * (vm_mapping.h). So what protects, takes away or wakes pages of that object reaches windows like
 * any other mapping. Each page of a window is in one of the states of enum window_page, under M:
 *
 *   SHOWS --- it is touched, and what is seen there would be wrong, or it is written ---> ASKED
 *   ASKED --- the agent has mapped the copy's own memory there ------------------------> OPEN
 *   ASKED --- it could not ------------------------------------------------------------> SHOWS
 *   any   --- the range is given back --------------------------------------------------> OPEN
 *
 * What holds:
 *   1. A page of the source comes into page tables through a window only while it is busy, and
 * while its content is the one that the copy's page has: the copy's page lacks, and what it looks
 * at is that page (window_shows). It is write-protected there, and PAGE_SHOWN from then on.
 *   2. Before a page that is PAGE_SHOWN may change, it is taken out of all page tables (pmap_hide).
 *      So what a window has mapped is right as long as it is mapped, whatever becomes of the line.
 *   3. Between SHOWS and OPEN the copy's pages are resident, its own, dirty and wired: when their
 *      memory has been mapped and is not registered yet, the kernel maps them by itself, writable
 *      and unseen, and that is true then (region/window.h).
 */
#ifndef WINDOW_H
#define WINDOW_H

#include "daemon.h"
#include "vm/books.h"

/* Pages that are opened together: aligned groups of them, in pages of the copy. Each isolated one
 * takes a client two mappings. */
#define WINDOW_BLOCK_BYTES 65536u
static inline uint64_t
window_block(const struct daemon *d)
{
	return d->page_bytes < WINDOW_BLOCK_BYTES ? WINDOW_BLOCK_BYTES >> d->page_shift : 1;
}

/* The window in which the page is not open. => NULL: there is none; M held, here and below in
 * _locked functions */
struct window *window_at_locked(const struct vm_mapping *m, uint64_t index);
/* The first page of [index, end) that is not open. => end: there is none */
uint64_t window_next_locked(const struct vm_mapping *m, uint64_t index, uint64_t end);
static inline enum window_page
window_page_locked(const struct window *w, uint64_t index)
{
	lock_assert_held(&w->source->task->map.lock);
	INVARIANT(index >= w->first && index < w->end);
	return (enum window_page)w->pages[index - w->first];
}
/* The pages around `index` that come together: of its block, of the window, within [low, high), and
 * not open. */
void window_block_locked(const struct window *w, uint64_t index, uint64_t low, uint64_t high,
    uint64_t *ret_first, uint64_t *ret_end);
/* Pages [first, end) that are not open. */
void window_set_locked(struct window *w, uint64_t first, uint64_t end, enum window_page to);
/* At the places of pages [first, end) is no window any more. */
void window_cut_locked(struct vm_mapping *m, uint64_t first, uint64_t end);

#endif
