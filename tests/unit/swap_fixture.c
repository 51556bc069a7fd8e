/* SPDX-License-Identifier: MIT */
#include "swap_fixture.h"

#include "clock.h"
#include "failpt.h"

uint64_t fake_now_ns;

static uint64_t
fake_clock(void)
{
	return fake_now_ns;
}

int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	directory_init(SHM_DIRECTORY, f->base, f->path);
	f->config = (struct swap_config){ .backends[0].where = f->path,
		.backend_count = 1,
		.slot_bytes = SLOT_BYTES,
		.file_bytes = FILE_SLOTS * SLOT_BYTES,
		.low_free_slots = 4,
		.high_free_slots = 10 };
	fake_now_ns = 1000;
	clock_inject(fake_clock);
	*state = f;
	return 0;
}

int
teardown(void **state)
{
	struct fixture *f = *state;

	failpt_disarm_all();
	clock_inject(NULL);
	directory_fini(f->base, f->path);
	free(f);
	return 0;
}

struct swap *
swap_start(struct fixture *f)
{
	struct swap *s = NULL;

	assert_int_equal(swap_create(&f->config, &s, NULL), 0);
	return s;
}

enum swap_balance
balance(struct swap *s)
{
	unsigned file;
	struct swap_fault fault;

	return swap_balance(s, &file, &fault);
}

struct swap_slot
reserve(struct swap *s)
{
	struct swap_slot slot = { 0 };

	assert_int_equal(swap_reserve(s, &slot), 0);
	assert_true(slot.v != 0);
	return slot;
}
