/* SPDX-License-Identifier: MIT
 *
 * An instance of a page-out policy. It owns the order of its clients' pages; this file hands it
 * events and takes its proposals. A policy without deactivate() gets the core's window
 * (policy/pol_window.h), which deactivates for it.
 *
 * => PAGEQ is held in every function but _create, _get, _destroy and _release
 */
#ifndef PAGE_POLICY_H
#define PAGE_POLICY_H

#include "daemon.h"
#include "pol_window.h"

/* A mapping that takes memory only where pages have come. */
struct policy_memory {
	void *mapping;
	size_t bytes;
};

#define PAGE_POLICY_MAGIC 0x901c1e50u

struct page_policy {
	uint32_t magic;
	atomic_uint references;
	const struct pol_ops *ops;                      /* (C) */
	void *memory;                                   /* (C) the policy's, in own_memory */
	struct pol_window *window;                      /* (C) in window_memory; NULL: the policy
							   deactivates by itself */
	struct policy_memory own_memory, window_memory; /* (C) */
	struct daemon *daemon;                          /* (C) */
	uint32_t resident; /* (Q) pages that the instance has been told of */
	uint32_t counted;  /* (Q) pages that audit/check_frames.c has found to be the instance's */
	pol_page missed; /* (Q) page whose miss the instance has been told of; POL_NONE: no page */
	bool tunable;    /* (Q) it takes the measured cost, which no user has fixed */
	uint32_t cost;   /* (Q) told by page_policy_tune; 0: it has not been told */
	char text[256];  /* (C) "name[:params]" */
};

/* text: "name[:param=value,...]", or "default"; a name with a slash is a shared object. => 0,
 * -ENOENT, -EINVAL, -ENOMEM; no lock held */
int page_policy_create(struct daemon *d, const char *text, struct page_policy **ret);
/* Takes another reference; NULL: none. => PAGEQ or a reference is held */
struct page_policy *page_policy_get(struct page_policy *pp);
/* Drops a reference; the last one ends the instance. => PAGEQ is not held */
void page_policy_destroy(struct page_policy *pp);
/* Gives back the memory of entries [first, first + count). NULL: none. => all these pages have been
 * forgotten, and none comes meanwhile; a reference and no lock held */
void page_policy_release(struct page_policy *pp, pol_page first, uint32_t count);

/* A page has come in. pf: PF_*. */
void page_policy_fault(struct page_policy *pp, pol_page page, unsigned pf);
/* A resident page was touched. */
void page_policy_soft(struct page_policy *pp, pol_page page, unsigned pf);
/* A resident page was written to. */
void page_policy_write(struct page_policy *pp, pol_page page);
/* The page is gone for good. resident: it was in memory; otherwise only a ghost goes. */
void page_policy_forget(struct page_policy *pp, pol_page page, bool resident);
/* How a page that was chosen has ended. */
void page_policy_done(struct page_policy *pp, pol_page page, enum pol_outcome outcome);
/* The core has unmapped the page, unasked by the policy. */
void page_policy_unmapped(struct page_policy *pp, pol_page page);
/* Proposes pages to unmap. needed: victims are wanted, and none was found. => how many are in
 * out[] */
unsigned page_policy_deactivate(struct page_policy *pp, unsigned want, bool needed, pol_page *out);
/* Proposes victims. => how many are in out[] */
unsigned page_policy_select(struct page_policy *pp, unsigned want, pol_page *out);

/* With resident_frames, in pagersim's order of events. */

/* The page is not resident and waits for a frame. Without resident_frames page_policy_fault tells
 * the policy of the miss. */
void page_policy_miss(struct page_policy *pp, pol_page page);
/* Proposes pages to unmap before each look for a victim. stalled: the last look found none. => how
 * many are in out[] */
unsigned page_policy_make_room(struct page_policy *pp, unsigned want, bool stalled, pol_page *out);
/* Proposes pages to unmap after a fault. scarce: as many pages are resident as may be. => how many
 * are in out[] */
unsigned page_policy_settle(struct page_policy *pp, unsigned want, bool scarce, pol_page *out);
/* The number of frames that the policy may assume has changed. */
void page_policy_resize(struct page_policy *pp);

/* Tells what a major fault costs, in soft ones. A policy that takes no cost, or whose cost a user
 * has fixed by cost=, is not told. */
void page_policy_tune(struct page_policy *pp, uint32_t cost);
/* The policy, its counts and its parameters as text for people. */
void page_policy_describe(struct page_policy *pp, char *text, size_t text_size);

#endif
