/* SPDX-License-Identifier: MIT
 *
 * A policy that proposes what the test says, and notes down what it is told.
 */
#ifndef TESTS_PAGEQ_SCRIPT_H
#define TESTS_PAGEQ_SCRIPT_H

#include "pageq_fixture.h"

enum { SCRIPT_ROOM = 64 };

enum told_what {
	TOLD_FAULT,
	TOLD_SOFT,
	TOLD_DONE,
	TOLD_FORGET,
	TOLD_MISS,
	TOLD_RESIZE,
	TOLD_DEACTIVATE, /* it was asked, with what was wanted; no page */
	TOLD_SELECT,     /* likewise */
};

struct told {
	enum told_what what;
	pol_page page;
	unsigned value;
};

/* A policy, and what it does: each entry of selects[] and deactivates[] answers one call; POL_NONE
 * proposes nothing, and so does a call beyond the last entry. */
struct script {
	struct page_policy policy;
	pol_page selects[SCRIPT_ROOM], deactivates[SCRIPT_ROOM];
	unsigned select_count, selected, deactivate_count, deactivated;
	struct told told[SCRIPT_ROOM];
	unsigned told_count;
};

/* The unit, the daemon's policy, one for its task, and what rounds have answered. */
struct script_world {
	struct unit unit;
	struct script common, own;
	struct victim aged[SCRIPT_ROOM], victims[SCRIPT_ROOM];
	unsigned aged_count;
};
extern struct script_world world;

/* script_ops does not keep a target of inactive pages, keeping_ops does. */
extern const struct pol_ops script_ops, keeping_ops;

/* How often it was told that of the page (POL_NONE: of no page). */
unsigned told(const struct script *s, enum told_what what, pol_page page);
/* The value that came with it the last time. */
unsigned told_last(const struct script *s, enum told_what what, pol_page page);
void script_init(struct script *s, const struct pol_ops *ops);
/* Its next answers. */
void selects(struct script *s, pol_page page);
void deactivates(struct script *s, pol_page page);
/* Set-up and tear-down of a test: both policies are script_ops. */
int script_start(void **state);
int script_stop(void **state);
/* The client has a policy of its own from now on. */
void own_begins(void);
/* Pages [low, high). */
void pages_make(uint64_t low, uint64_t high, enum page_state state);
/* The same, after which no page is left. */
void pages_end(uint64_t low, uint64_t high);
/* The victim is that page, LAUNDRY. */
void victim_is(const struct victim *v, uint64_t index);
/* Page i of aged[] is that page, INACTIVE, with a reference, which is dropped. */
void aged_is(unsigned i, uint64_t index);
/* A statistic. */
long long counted(enum stat_index index);

#endif
