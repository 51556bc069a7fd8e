/* SPDX-License-Identifier: MIT
 *
 * Ranges that go into the queues of ports, and messages that nobody receives. Runs on: jobs, no
 * lock held.
 */
#ifndef TRANSFER_H
#define TRANSFER_H

#include "region/range.h"
#include "vm/port.h"

/* Whether the pages of the range can go to another process as they are: it is all of a shareable
 * object that has no name and has never had one, is mapped here alone, in one entry, and not wired.
 * is_given: the task gives the range up. => 0, with *ret the pages and a reference on their object;
 * -EINVAL: it is not allocated; -EBUSY: it is given up, and some of it is pinned or a page list's;
 * -EOPNOTSUPP: they cannot */
int transfer_check(struct range *range, bool is_given, struct named_range *ret);
/* Discards a part of what is unread of the handle. *ret_pages: how many had content. => whether
 * there is more */
bool transfer_discard(struct daemon *d, struct port_handle *h, uint64_t *ret_pages);
/* The handle ends, and what is unread of it is discarded, a part of the work at a time. *messages:
 * those of its queue are added. => as above; when there is no more the handle is none either */
bool transfer_close(
    struct task *task, struct port_handle *h, uint64_t *messages, uint64_t *ret_pages);
/* The handles of a dead task end, a part of the work at a time. => whether there is more */
bool transfer_drop(struct task *task);

#endif
