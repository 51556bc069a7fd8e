/* SPDX-License-Identifier: MIT
 *
 * A swap with small files in a directory of its own, and a clock that the test sets.
 */
#ifndef SWAP_FIXTURE_H
#define SWAP_FIXTURE_H

#include "b_swap.h"

#define SLOT_BYTES 4096u
#define FILE_SLOTS 8u

struct fixture {
	char base[64], path[80];
	struct swap_config config;
};

/* The time on that clock, in nanoseconds. */
extern uint64_t fake_now_ns;

/* cmocka's; *state is the fixture. */
int setup(void **state);
int teardown(void **state);

struct swap *swap_start(struct fixture *f);
/* One step of swap_balance, whose file and error do not matter. */
enum swap_balance balance(struct swap *s);
/* A slot, which must be free. */
struct swap_slot reserve(struct swap *s);

#endif
