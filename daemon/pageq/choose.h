/* SPDX-License-Identifier: MIT
 *
 * Which pages become inactive, and which leave.
 */
#ifndef CHOOSE_H
#define CHOOSE_H

#include <stdbool.h>
#include <stdint.h>

#include "policy.h"

struct daemon;
struct page_policy;
struct victim;

/* Pages that a policy proposes for unmapping in one call. */
#define PROPOSALS_MAX 64u

/* Letters on fields: daemon.h. */
struct choice {
	uint32_t clean_hand;    /* (Q) frame at which the next search for clean pages begins */
	uint32_t fallback_hand; /* (Q) frame that the core looks at next when a policy proposes
				   nothing */
};

/* One round of a policy; the daemon's and the clients' own take turns. Up to want_aged pages become
 * INACTIVE: they are in aged[], with references on their objects, and the caller takes their
 * mappings away. Up to `want` INACTIVE or SPECULATIVE pages, with inactive neighbours, become
 * LAUNDRY: they are the victims in ret[]. needed: a policy that proposes nothing is pressed, and at
 * last the core chooses by itself. => the number of victims; PAGEQ held */
unsigned choose_round_locked(struct daemon *d, unsigned want, unsigned want_aged, bool needed,
    struct victim *aged, unsigned *ret_aged, struct victim *ret);
/* Up to `want` pages whose stored copy is good become LAUNDRY, referenced or not: they can leave
 * when nothing can be stored. A call looks at a bounded number of frames. => the number of victims;
 * PAGEQ held */
unsigned choose_clean_locked(struct daemon *d, unsigned want, struct victim *ret);

/* The parts of a round, for exact.c. */

/* The ACTIVE ones of `proposed` pages become INACTIVE. => how many of them are in ret[], with
 * references on their objects; PAGEQ held */
unsigned unmap_proposed_locked(struct daemon *d, struct page_policy *policy, const pol_page *pages,
    unsigned proposed, struct victim *ret);
/* The oldest page that was brought in ahead of use. => false: there is none; PAGEQ held */
bool choose_speculative_locked(struct daemon *d, struct victim *ret);
/* The policy's victims, with their neighbours. => how many; PAGEQ held */
unsigned choose_by_locked(
    struct daemon *d, struct page_policy *policy, unsigned want, struct victim *ret);
/* As choose_round_locked, but of the policy's pages the core chooses by itself. PAGEQ held */
unsigned fall_back_locked(struct daemon *d, struct page_policy *policy, unsigned want,
    unsigned want_aged, struct victim *aged, unsigned *ret_aged, struct victim *ret);

#endif
