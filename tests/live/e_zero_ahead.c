/* SPDX-License-Identifier: MIT
 *
 * New memory is filled ahead of a thread that runs through it, by another processor: it is zero, it
 * keeps what is written, it may be given back at any moment, and it can be turned off.
 */
#include "harness.h"

#include <unistd.h>

#define PAGES 6144u
#define PAGE  4096u

static void
memory_run(struct pager *p, bool give_back_early)
{
	uint64_t *memory = client_allocate(p, (uint64_t)PAGES * PAGE);
	unsigned pages = give_back_early ? PAGES / 2 : PAGES;

	for (unsigned i = 0; i < pages; i++) {
		uint64_t *page = memory + (uint64_t)i * (PAGE / 8);

		EQ(page[i % 512], 0);
		page[0] = mix64(i);
	}
	for (unsigned i = 0; i < pages; i++) {
		EQ(memory[(uint64_t)i * (PAGE / 8)], mix64(i));
		EQ(memory[(uint64_t)i * (PAGE / 8) + 1], 0);
	}
	OK(pager_deallocate(p, memory, (uint64_t)PAGES * PAGE));
}

static void
runner(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	int64_t before;

	(void)argument;
	/* Another processor has no faults for a millisecond now and then, whatever the machine
	 * does. */
	do
		memory_run(p, live_stat(d, "zero_fills") % 2);
	while (live_stat(d, "zero_ahead") == 0);
	/* What is there is only what was asked for. */
	WAIT_UNTIL(d, live_stat(d, "internal") == 0);
	live_param(d, "zero_ahead", "0");
	live_rest(d);
	before = live_stat(d, "zero_ahead");
	memory_run(p, false);
	EQ(live_stat(d, "zero_ahead"), before);
	OK(pager_disconnect(p));
}

static void
test_ahead(void)
{
	struct live d;
	pid_t pid;

	live_start(&d, "48M", "--param", "zero_ahead=256", NULL);
	pid = client_start(&d, runner, NULL);
	client_join(&d, pid, true);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = { { "ahead", test_ahead } };

	live_init(argc, argv);
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		puts("SKIP: one processor");
		return 77;
	}
	return LIVE_RUN(argc, argv, tests);
}
