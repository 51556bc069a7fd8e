/* SPDX-License-Identifier: MIT
 *
 * Announced accesses: what others do to a watched file is, what the daemon does is not.
 */
#include "c_unit.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "pagers/vnode_beside.h"
#include "pagers/vnode_strict.h"

enum { BYTES = 4096 };

static struct unit u;
static struct vnode file;
static int fd;

/* There are no closers. */
void __wrap_closer_close(struct daemon *d, int fd_, pid_t pid, uid_t uid);
void
__wrap_closer_close(struct daemon *d, int fd_, pid_t pid, uid_t uid)
{
	(void)d;
	(void)pid;
	(void)uid;
	close(fd_);
}

static int
start(void **state)
{
	char path[] = "/var/tmp/c_strict.XXXXXX";

	(void)state;
	unit_start(&u);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(ftruncate(fd, 4 * BYTES), 0);
	file = (struct vnode){ .magic = VNODE_MAGIC };
	for (unsigned i = 0; i < ARRAY_LEN(file.files); i++) {
		store_relaxed(&file.files[i].plain, fd);
		store_relaxed(&file.files[i].direct, -1);
	}
	store_relaxed(&u.daemon->vnodes.strict, -1);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	vnode_strict_destroy(u.daemon);
	close(fd);
	unit_stop(&u);
	return 0;
}

/* The test is over where the machine has no such events. */
static void
watch_file(void)
{
	if (vnode_strict_create(u.daemon) != 0 || vnode_strict_add(u.daemon, &file, fd) != 0)
		skip();
	assert_true(load_relaxed(&file.is_announced));
}

static int
open_again(int flags)
{
	char path[64];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, flags | O_CLOEXEC);
	assert_true(again >= 0);
	return again;
}

/* => a process that opens the file and reads from it, or maps it */
static pid_t
other_start(enum beside_call call)
{
	pid_t pid = fork();
	char byte;

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	alarm(300);
	/* Only the daemon has it. */
	close(load_relaxed(&u.daemon->vnodes.strict));
	if (call == BESIDE_MMAP)
		_exit(mmap(NULL, BYTES, PROT_READ, MAP_SHARED, open_again(O_RDONLY), 0) ==
		      MAP_FAILED);
	_exit(pread(open_again(O_RDONLY), &byte, 1, 0) != 1);
}

static pid_t
reader(void)
{
	return other_start(BESIDE_OTHER);
}

static void
reader_end(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* The next access that is announced is this process's, by that call. */
static void
let_go(pid_t pid, enum beside_call call)
{
	int group = load_relaxed(&u.daemon->vnodes.strict);
	struct pollfd polled = { .fd = group, .events = POLLIN };
	_Alignas(8) char buffer[64];
	struct fanotify_event_metadata event;
	struct fanotify_response response = { .response = FAN_ALLOW };
	enum beside_call seen;

	while (poll(&polled, 1, -1) < 1)
		continue;
	assert_true(read(group, buffer, sizeof(buffer)) >= (ssize_t)sizeof(event));
	memcpy(&event, buffer, sizeof(event));
	assert_int_equal(event.pid, pid);
	assert_false(beside_is_own(event.pid));
	while ((seen = beside_look(event.pid)) == BESIDE_NOT_YET)
		continue;
	assert_int_equal(seen, call);
	response.fd = event.fd;
	assert_int_equal(write(group, &response, sizeof(response)), sizeof(response));
	close(event.fd);
}

static void
nothing_is_announced(void)
{
	char buffer[64];

	assert_int_equal(read(load_relaxed(&u.daemon->vnodes.strict), buffer, sizeof(buffer)), -1);
	assert_int_equal(errno, EAGAIN);
}

/* Opened beside the mark, as a writer's that comes after readers; yet silent. */
static void
own_accesses_are_not_announced(void **state)
{
	static const int flags[] = { O_RDONLY, O_RDWR, O_RDWR | O_DIRECT };
	char *page = aligned_alloc(BYTES, BYTES);
	int plain, silent;
	pid_t other;

	(void)state;
	assert_non_null(page);
	watch_file();
	for (unsigned i = 0; i < ARRAY_LEN(flags); i++) {
		plain = open_again(flags[i]);
		silent = vnode_strict_silence(u.daemon, plain);
		assert_int_not_equal(silent, plain);
		assert_int_equal(fcntl(silent, F_GETFL) & (O_ACCMODE | O_DIRECT), flags[i]);
		assert_true(fcntl(silent, F_GETFD) & FD_CLOEXEC);
		assert_int_equal(pread(silent, page, BYTES, BYTES), BYTES);
		if (flags[i] != O_RDONLY)
			assert_int_equal(pwrite(silent, page, BYTES, BYTES), BYTES);
		nothing_is_announced();
		other = reader();
		let_go(other, BESIDE_OTHER);
		reader_end(other);
		close(silent);
	}
	free(page);
}

/* What waits when the daemon dies, or ends, is let go; and what is no more watched is not told. */
static void
ends_let_all_go(void **state)
{
	struct pollfd polled = { .events = POLLIN };
	pid_t other;

	(void)state;
	watch_file();
	other = reader();
	polled.fd = load_relaxed(&u.daemon->vnodes.strict);
	while (poll(&polled, 1, -1) < 1)
		continue;
	vnode_strict_destroy(u.daemon);
	reader_end(other);
	store_relaxed(&file.is_announced, false);
	watch_file();
	vnode_strict_remove(u.daemon, &file);
	reader_end(reader());
	nothing_is_announced();
}

/* An mmap is told from a read, though the kernel announces both alike; and it is told of whoever
 * makes it, but not of a thread that is gone. */
static void
mappings_are_told_from_reads(void **state)
{
	pid_t other = other_start(BESIDE_MMAP);

	(void)state;
	reader_end(other);
	watch_file();
	other = other_start(BESIDE_MMAP);
	let_go(other, BESIDE_MMAP);
	reader_end(other);
	other = reader();
	let_go(other, BESIDE_OTHER);
	reader_end(other);
	assert_int_equal(beside_look(other), BESIDE_OTHER);
	assert_int_equal(beside_look(0), BESIDE_OTHER);
	assert_true(beside_is_own(gettid()));
	assert_false(beside_is_own(0));
	assert_false(beside_is_own(getppid()));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(own_accesses_are_not_announced, start, stop),
		cmocka_unit_test_setup_teardown(ends_let_all_go, start, stop),
		cmocka_unit_test_setup_teardown(mappings_are_told_from_reads, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
