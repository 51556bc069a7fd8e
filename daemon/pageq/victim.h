/* SPDX-License-Identifier: MIT */
#ifndef VICTIM_H
#define VICTIM_H

#include "daemon.h"
#include "vm/vm_object.h"

/* A page on its way out of the queues. */
struct victim {
	pol_page page;
	uint32_t frame;
	/* Without a reference, and so perhaps ended: doc/locking.md. pageq_launder_begin_locked
	 * notes the present one, and takes a reference. */
	struct vm_object *object;
};

/* The policy of a client that has one of its own; NULL: the daemon's. => PAGEQ held */
static inline struct page_policy *
pageq_own_policy(const struct daemon *d, const struct task *task)
{
	return likely(d->pageq.own_policies == 0) ? NULL : d->pageq.task_policies[task->index];
}

#endif
