/* SPDX-License-Identifier: MIT
 *
 * The content of a page of a copy (vm/copy_link.h) that has none of its own: what is below it.
 */
#ifndef COPY_FILL_H
#define COPY_FILL_H

#include "pagers/pager_types.h"
#include "vm/copy_link.h"

/* Gets the content of page `index`, which the caller has FILLING from below. hole: the calling
 * thread's, not in use. => OK; LOST; AGAIN: the page below is in transit, and whoever has it wakes
 * those who wait for this one; AWAY: *ret_away, with a reference, is on secondary storage, or in a
 * file.
 * *ret_is_foreign, of OK: a client of another user could change it behind the daemon's back, so it
 * must become the copy's own at once. No lock held */
enum pager_result copy_content(struct vm_object *o, uint64_t index, struct hole *hole, void *page,
    bool *ret_is_foreign, struct copy_place *ret_away);

#endif
