/* SPDX-License-Identifier: MIT
 *
 * A program under pagerctl run takes its reservations into use in small parts, with less memory
 * than it needs: they are managed, and are what they would be without pagerd.
 *
 * usage: e_run_granules plain|managed
 */
#include "harness.h"

static void
test_plain(void)
{
	/* The rules are the kernel's. */
	EQ(system(getenv("RUN_GRANULES")), 0);
}

static void
test_managed(void)
{
	char command[1024];
	struct live d;

	live_start(&d, "8M", NULL);
	snprintf(command, sizeof(command), "%s --socket %s run -- %s managed", getenv("PAGERCTL"),
	    d.socket, getenv("RUN_GRANULES"));
	EQ(system(command), 0);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	REQUIRE(live_stat(&d, "decompressions") + live_stat(&d, "swapins") > 0);
	live_check(&d);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = {
		{ "plain", test_plain },
		{ "managed", test_managed },
	};

	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
