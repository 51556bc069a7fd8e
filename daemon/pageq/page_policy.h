/* SPDX-License-Identifier: MIT
 *
 * Running policies: the daemon's, and those of clients that asked for their own. An instance owns
 * the order of the pages of its clients; this file hands it events and takes its proposals. A
 * policy without deactivate() gets the core's window (policy/pol_window.h). Every function but
 * _create, _get, _destroy and _release is called with PAGEQ held.
 */
#ifndef PAGE_POLICY_H
#define PAGE_POLICY_H

#include "daemon.h"
#include "pol_window.h"

/* Memory in which the entries of a page that has not come take none: they begin at a hardware page,
 * as does every run of slots. */
struct policy_memory {
	void *mapping;
	size_t bytes; /* of the mapping */
};

struct page_policy {
	const struct pol_ops *ops;
	atomic_uint references;
	void *memory;              /* in own_memory */
	struct pol_window *window; /* in window_memory; NULL: the policy deactivates by itself */
	struct policy_memory own_memory, window_memory;
	struct daemon *daemon;
	uint32_t resident; /* pages that the instance has been told of */
	uint32_t counted;  /* of check.c: pages that it should have been told of */
	pol_page missed;   /* the instance knows that it is coming: page_policy_miss; or POL_NONE */
	bool tunable;      /* takes the measured cost: tune() is there and no user has fixed it */
	uint32_t cost;     /* as told by page_policy_tune; 0: never */
	char text[256];    /* "name[:params]" */
};

/* text: "name[:param=value,...]", or "default"; a name with a slash is a shared object. => 0,
 * -ENOENT, -EINVAL, -ENOMEM */
int page_policy_create(struct daemon *d, const char *text, struct page_policy **ret);
/* Another reference; NULL: none. => PAGEQ held, or a reference */
struct page_policy *page_policy_get(struct page_policy *pp);
/* Drops a reference; the last ends it. => no PAGEQ */
void page_policy_destroy(struct page_policy *pp);
/* Gives the memory of entries [first, first + count) back. NULL: none.
 * => all these pages have been forgotten, and none comes meanwhile; a reference, no lock */
void page_policy_release(struct page_policy *pp, pol_page first, uint32_t count);

void page_policy_fault(struct page_policy *pp, pol_page page, unsigned pf);
void page_policy_soft(struct page_policy *pp, pol_page page, unsigned pf);
void page_policy_write(struct page_policy *pp, pol_page page);
/* resident: the page was; otherwise only a ghost goes. */
void page_policy_forget(struct page_policy *pp, pol_page page, bool resident);
void page_policy_done(struct page_policy *pp, pol_page page, enum pol_outcome outcome);
/* The page was unmapped by the core without the policy's asking. */
void page_policy_unmapped(struct page_policy *pp, pol_page page);
/* needed: victims are wanted and none was found. => pages to unmap */
unsigned page_policy_deactivate(struct page_policy *pp, unsigned want, bool needed, pol_page *out);
/* With resident_frames: the page is not resident and waits for a frame. page_policy_fault says it
 * otherwise. */
void page_policy_miss(struct page_policy *pp, pol_page page);
/* With resident_frames, the order of pagersim: what is unmapped before each look for a victim, and
 * after each fault (scarce: as many pages are resident as may be). => pages to unmap */
unsigned page_policy_make_room(struct page_policy *pp, unsigned want, bool stalled, pol_page *out);
unsigned page_policy_settle(struct page_policy *pp, unsigned want, bool scarce, pol_page *out);
/* The number of frames that the policy may assume has changed. */
void page_policy_resize(struct page_policy *pp);
/* A major fault costs so many soft ones. Not for policies that do not care, nor where a user has
 * said cost=. */
void page_policy_tune(struct page_policy *pp, uint32_t cost);
unsigned page_policy_select(struct page_policy *pp, unsigned want, pol_page *out);
void page_policy_describe(struct page_policy *pp, char *text, size_t text_size);

#endif
