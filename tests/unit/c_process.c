/* SPDX-License-Identifier: MIT
 *
 * Processes that are remembered: found by their number as long as they live, whoever looks at them.
 */
#include "ct.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "daemon.h"
#include "vm/process.h"

static struct daemon d;

static void
remembered(void **state)
{
	int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0u);
	struct process *process, *seen;

	(void)state;
	assert_true(pidfd >= 0);
	processes_create(&d);
	process = process_get(&d, getpid(), pidfd);
	assert_non_null(process);
	/* Nothing of it is to hold for later. */
	assert_null(process_idle_get(&d, getpid()));
	assert_int_equal(process_band_set(&d, process, 30), PROCESS_BAND_NONE);
	/* Its last task is just ending. */
	seen = process_idle_get(&d, getpid());
	assert_ptr_equal(seen, process);
	process_put(&d, process);
	/* The memorystatus thread looks at it. */
	process = process_idle_get(&d, getpid());
	assert_ptr_equal(process, seen);
	process_put(&d, seen);
	process_put(&d, process);
	/* And nobody does. */
	process = process_idle_get(&d, getpid());
	assert_ptr_equal(process, seen);
	assert_null(process_idle_get(&d, getpid() + 1));
	assert_int_equal(process_band_set(&d, process, PROCESS_BAND_NONE), 30);
	process_put(&d, process);
	assert_null(process_idle_get(&d, getpid()));
	assert_null(d.processes.list);
	processes_destroy(&d);
	close(pidfd);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(remembered) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
