/* SPDX-License-Identifier: MIT
 *
 * Reads of pages that are on secondary storage. Runs on: the seat's server; swapin_start on direct
 * servers too.
 */
#ifndef SWAPIN_H
#define SWAPIN_H

#include "fault/seat.h"

/* Begins to read the page that faulted and those behind it; the rest of the fill is put back.
 * => FAULT_PENDING; FAULT_NO_IO: there is no place for a read, and all of the fill has been put
 * back; FAULT_AGAIN: the page is not away any more, and its threads have been woken. No lock
 * held */
enum fault_outcome swapin_start(
    struct fault_server *server, const struct fault *fault, struct fill *fill);
/* The same for a fill of pages of which a copy was touched (vm/copy_link.h): they become INACTIVE,
 * and are mapped nowhere. The first one is WANTED, so that the thread is woken and faults again.
 * The seat's server, no lock held */
enum fault_outcome swapin_start_below(
    struct fault_server *server, const struct fault *fault, struct fill *fill);
/* The same for a fill that no thread waits for: its pages become INACTIVE, and are mapped
 * nowhere. fault: the one that it is begun for. => whether the read has begun; if not, all of the
 * fill has been put back. The seat's server, no lock held */
bool swapin_start_ahead(struct fault_server *server, const struct fault *fault, struct fill *fill);
/* Finishes the reads that are complete. => no lock held */
void swapin_reap(struct fault_server *server);
/* Reads of files that are not waited for any more (vnode_forget) fail for those who did. => no lock
 * held */
void swapin_forget(struct fault_server *server);
/* Frees the entries that a relieved server has answered. */
void swapin_collect(struct fault_seat *seat);

#endif
