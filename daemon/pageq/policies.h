/* SPDX-License-Identifier: MIT
 *
 * The policies in force: the daemon's, and those of clients that have one of their own.
 */
#ifndef POLICIES_H
#define POLICIES_H

#include <stddef.h>
#include <stdint.h>

#include "base.h"
#include "vm/books.h"

struct page_policy;

/* Letters on fields: daemon.h. */
struct policies {
	struct page_policy *common; /* (Q) the daemon's, for all clients without one of their own */
	struct page_policy **own;   /* (Q) by task index; NULL: the client has none of its own */
	uint32_t own_count;         /* (Q) of those that are not NULL */
	uint32_t turn;              /* (Q) says whose pages are looked at next */
};

/* The client's own policy, or NULL. */
static inline struct page_policy *
policies_own(const struct policies *p, const struct task *task)
{
	return likely(p->own_count == 0) || !task ? NULL : p->own[task->index];
}
/* The policy that orders the client's pages. */
static inline struct page_policy *
policies_of(const struct policies *p, const struct task *task)
{
	struct page_policy *own = policies_own(p, task);

	return own ? own : p->common;
}

/* The daemon's policy is made from `text` (page_policy_create), and no client has its own. => 0 or
 * the error of page_policy_create; start, no lock held */
int policies_create(struct daemon *d, const char *text);
/* => all tasks have ended */
void policies_destroy(struct daemon *d);
/* The policy whose turn it is: the daemon's and those of clients, each in proportion to its pages.
 * => PAGEQ held */
struct page_policy *policies_turn_locked(struct daemon *d);
/* The client's policy (task NULL: the daemon's) as text for people. => PAGEQ held */
void policies_text_locked(struct daemon *d, struct task *task, char *text, size_t text_size);
/* The task has ended and has no page: its own policy goes. => no lock held */
void policies_drop(struct daemon *d, struct task *task);

#endif
