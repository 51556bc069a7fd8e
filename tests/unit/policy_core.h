/* SPDX-License-Identifier: MIT
 *
 * The policy's caller as the tests of policies have it: a table of pages, a window, and the calls
 * of the contract, each followed by the policy's check().
 */
#ifndef POLICY_CORE_H
#define POLICY_CORE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pol_load.h"
#include "pol_window.h"

enum { NPAGES = 300, NFRAMES = 100, BATCH = 16 };

/* A caller that does everything the contract allows, and counts the policy's answers. */
struct core {
	const struct pol_ops *ops;
	void *mem;
	struct pol_window *window;
	uint8_t state[NPAGES];    /* enum pol_state */
	uint8_t proposed[NPAGES]; /* and not done */
	uint32_t resident, nframes;
	uint64_t rng, clock;
};

uint32_t below(struct core *c, uint32_t n);
/* Grows from call to call, as a page's next use does from touch to touch. */
uint64_t core_next_use(const void *core, pol_page page);
bool is_min(const struct core *c);
void core_open(struct core *c, const struct pol_ops *ops, const char *params, uint32_t nframes);
void core_close(struct core *c);
void core_check(const struct core *c, const char *what);
void core_deactivate(struct core *c, unsigned want, uint32_t keep);
void core_evicted(struct core *c, pol_page page);
void core_soft(struct core *c, pol_page page, unsigned pf);
/* Asks for victims and leaves them without an answer. */
void core_select(struct core *c, unsigned want);
/* Reports one of the outcomes for a proposed page, or the eviction of a page that was not
 * proposed. */
void core_answer(struct core *c, pol_page page);
void core_touch(struct core *c, pol_page page);
void core_forget(struct core *c, pol_page page);

#endif
