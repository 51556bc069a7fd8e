/* SPDX-License-Identifier: MIT
 *
 * The identity of names.
 */
#include "c_unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vm/named_entry.h"

/* Both ends of a pipe have its identity, which stays; nothing else has one. */
static void
identities(void **state)
{
	static const char *const others[] = { "/dev/null", "/proc/self/status", "/" };
	struct named_identity a, b, other;
	int ends[2], fd;
	char path[] = "/tmp/pipe:[1]XXXXXX";

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(named_identify(ends[0], &a), 0);
	assert_int_equal(named_identify(ends[1], &b), 0);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_true(fcntl(ends[0], F_SETPIPE_SZ, 1) > 0);
	assert_int_equal(read(ends[0], &path, 1), -1);
	assert_int_equal(named_identify(ends[0], &b), 0);
	assert_memory_equal(&a, &b, sizeof(a));
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(named_identify(ends[0], &b), 0);
	assert_memory_not_equal(&a, &b, sizeof(a));
	close(ends[0]);
	close(ends[1]);
	for (unsigned i = 0; i < ARRAY_LEN(others); i++) {
		fd = open(others[i], O_RDONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		assert_int_equal(named_identify(fd, &other), -EBADF);
		close(fd);
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	assert_int_equal(named_identify(ends[0], &other), -EBADF);
	close(ends[0]);
	close(ends[1]);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(named_identify(fd, &other), -EBADF);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(identities) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
