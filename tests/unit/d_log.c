/* SPDX-License-Identifier: MIT
 *
 * Log lines: how many are written, that each is counted, and the characters that they may contain.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "log.h"
#include "text.h"

#define THREADS 4
#define LINES   1000u

static uint64_t now_ns;
static int kept_stderr, captured;
static char said[1 << 20];

static uint64_t
test_clock(void)
{
	return now_ns;
}

static int
setup(void **state)
{
	(void)state;
	kept_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	captured = memfd_create("log", MFD_CLOEXEC);
	assert_true(kept_stderr >= 0 && captured >= 0);
	/* The kernel does not lock a memfd's position as it does a file's: threads would write over
	 * one another. */
	assert_int_equal(fcntl(captured, F_SETFL, O_APPEND), 0);
	assert_int_equal(dup2(captured, STDERR_FILENO), STDERR_FILENO);
	/* A clean start: lines about other tests' omissions are written now and skipped. */
	log_limits_tell(true);
	assert_int_equal(ftruncate(captured, 0), 0);
	lseek(captured, 0, SEEK_SET);
	now_ns = 1000 * LOG_LIMIT_NS;
	clock_inject(test_clock);
	log_set_level(LOG_NOTICE);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	clock_inject(NULL);
	dup2(kept_stderr, STDERR_FILENO);
	close(kept_stderr);
	close(captured);
	return 0;
}

/* The lines written since the last call. */
static const char *
take(void)
{
	ssize_t got = pread(captured, said, sizeof(said) - 1, 0);

	assert_true(got >= 0);
	said[got] = '\0';
	assert_int_equal(ftruncate(captured, 0), 0);
	lseek(captured, 0, SEEK_SET);
	return said;
}

static unsigned
occurrences(const char *text, const char *word)
{
	unsigned count = 0;

	for (const char *at = text; (at = strstr(at, word)) != NULL; at += strlen(word))
		count++;
	return count;
}

static void
complain(unsigned i)
{
	log_warning_limited("process %u broke %s at %#llx: 100%% its fault", i, "it", 0xabcull);
}

static void
test_line_has_its_level(void **state)
{
	(void)state;
	log_warning("a %s", "word");
	assert_string_equal(take(), "pagerd: warning: a word\n");
	log_info("silent");
	log_info_limited("silent too");
	assert_string_equal(take(), "");
}

static void
test_one_place_is_limited(void **state)
{
	(void)state;
	for (unsigned i = 0; i < LOG_LIMIT_LINES + 123; i++)
		complain(i);
	assert_int_equal(occurrences(take(), "its fault\n"), LOG_LIMIT_LINES);
	assert_null(strstr(said, "left out"));
	/* Within the interval nothing is reported yet. */
	log_limits_tell(false);
	assert_string_equal(take(), "");
	now_ns += LOG_LIMIT_NS;
	log_limits_tell(false);
	assert_string_equal(take(), "pagerd: warning: (123 more like this were left out: "
				    "\"process ... broke ... at ...: 100% its fault\")\n");
	log_limits_tell(true);
	assert_string_equal(take(), "");
}

static void
test_next_line_tells_what_was_left_out(void **state)
{
	(void)state;
	now_ns += 10 * LOG_LIMIT_NS;
	for (unsigned i = 0; i < LOG_LIMIT_LINES + 1; i++)
		complain(i);
	take();
	now_ns += 3 * LOG_LIMIT_NS;
	complain(7);
	assert_ptr_equal(strstr(take(), "pagerd: warning: (1 more like this was left out: "), said);
	assert_non_null(strstr(said, "\")\npagerd: warning: process 7 broke"));
	for (unsigned i = 0; i < LOG_LIMIT_LINES; i++)
		complain(i);
	assert_int_equal(occurrences(take(), "its fault\n"), LOG_LIMIT_LINES - 1);
	log_limits_tell(true);
	assert_int_equal(occurrences(take(), "(1 more"), 1);
}

static void
test_places_do_not_share(void **state)
{
	(void)state;
	now_ns += 20 * LOG_LIMIT_NS;
	for (unsigned i = 0; i < 2 * LOG_LIMIT_LINES; i++)
		complain(i);
	take();
	log_error_limited("another place");
	assert_string_equal(take(), "pagerd: error: another place\n");
	log_limits_tell(true);
}

static void *
complain_often(void *unused)
{
	for (unsigned i = 0; i < LINES; i++)
		complain(i);
	return unused;
}

static void
test_threads_are_counted_once_each(void **state)
{
	pthread_t threads[THREADS];
	unsigned left_out;
	const char *at;

	(void)state;
	now_ns += 30 * LOG_LIMIT_NS;
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, complain_often, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(occurrences(take(), "its fault\n"), LOG_LIMIT_LINES);
	log_limits_tell(true);
	at = strchr(take(), '(');
	assert_non_null(at);
	left_out = (unsigned)strtoul(at + 1, NULL, 10);
	assert_int_equal(left_out, THREADS * LINES - LOG_LIMIT_LINES);
}

/* A pipe as pipe(2) makes it, or one with a name. */
static void
pipe_make(int *ends, bool named)
{
	char path[] = "/tmp/d_log.XXXXXX";

	if (!named) {
		assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
		return;
	}
	assert_non_null(mkdtemp(path));
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	ends[0] = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ends[1] = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
	unlink(path);
	assert_true(ends[0] >= 0 && ends[1] >= 0);
}

/* The log is not read: no thread may wait for a reader, and a later reader learns of the
 * omissions. */
static void
full_pipe(bool named)
{
	char drain[65536];
	unsigned written = 0;
	ssize_t got;
	int ends[2];

	pipe_make(ends, named);
	memset(drain, 'x', sizeof(drain));
	while (write(ends[1], drain, 4096) > 0)
		written++;
	assert_true(written > 0);
	/* The daemon's own standard error is not O_NONBLOCK: a write would wait. */
	assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
	assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	log_warning("lost %d", 1);
	log_warning("lost %d", 2);
	while (written-- > 0)
		assert_true(read(ends[0], drain, 4096) > 0);
	log_warning("heard");
	got = read(ends[0], drain, sizeof(drain) - 1);
	assert_true(got > 0);
	drain[got] = '\0';
	got = read(ends[0], drain + got, sizeof(drain) - 1 - (size_t)got);
	assert_non_null(strstr(
	    drain, "2 lines could not be written here and are lost\npagerd: warning: heard\n"));
	dup2(captured, STDERR_FILENO);
	close(ends[0]);
	close(ends[1]);
}

static void
test_a_full_pipe_does_not_stop_anybody(void **state)
{
	(void)state;
	full_pipe(false);
	full_pipe(true);
}

static void
test_a_socket_takes_lines_too(void **state)
{
	char line[64];
	ssize_t got;
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	log_error("heard");
	got = read(ends[0], line, sizeof(line) - 1);
	assert_true(got > 0);
	line[got] = '\0';
	assert_string_equal(line, "pagerd: error: heard\n");
	dup2(captured, STDERR_FILENO);
	close(ends[0]);
	close(ends[1]);
}

static void
test_text_is_clean_for_terminals(void **state)
{
	static const struct {
		const char *dirty, *clean;
	} rows[] = {
		{ "plain ~ text", "plain ~ text" },
		{ "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
		    "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80" },
		{ "\033[31mred\a\x7f\t\n", "?[31mred????" },
		/* CSI as one byte, and the same character in UTF-8 */
		{ "\x9b"
		  "31m",
		    "?31m" },
		{ "\xc2\x9b"
		  "31m",
		    "??31m" },
		{ "\xc2\x80\xc2\x9f\xc2\xa0", "????\xc2\xa0" },
		/* Cut short, at the end and in the middle */
		{ "\xe2\x82", "??" },
		{ "\xe2\x82!", "??\x21" },
		{ "\xf0\x9f\x98", "???" },
		/* Longer than needed, a surrogate, beyond the last character, bytes that never
		   occur */
		{ "\xc0\x9b\xc1\xbf", "????" },
		{ "\xe0\x80\x9b", "???" },
		{ "\xed\xa0\x80", "???" },
		{ "\xf4\x90\x80\x80", "????" },
		{ "\xff\xfe\xf8\x88", "????" },
		/* Direction and line separators */
		{ "a\xe2\x80\xae"
		  "b\xe2\x81\xa6"
		  "c\xe2\x80\xa8",
		    "a???b???c???" },
		{ "\xef\xbb\xbf"
		  "name",
		    "???name" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[64];

		snprintf(text, sizeof(text), "%s", rows[i].dirty);
		text_clean(text);
		assert_string_equal(text, rows[i].clean);
	}
	log_warning("name \x9b%s\n", "\xc2\x9b"
				     "2J");
	assert_string_equal(take(), "pagerd: warning: name ???2J?\n");
}

static void
test_a_long_line_is_one_line(void **state)
{
	char text[3000];

	(void)state;
	memset(text, 'y', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_warning("%s", text);
	assert_int_equal(strlen(take()), 1023);
	assert_int_equal(said[1022], '\n');
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_line_has_its_level, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_place_is_limited, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_next_line_tells_what_was_left_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_places_do_not_share, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_threads_are_counted_once_each, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_full_pipe_does_not_stop_anybody, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_socket_takes_lines_too, setup, teardown),
		cmocka_unit_test_setup_teardown(test_text_is_clean_for_terminals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_long_line_is_one_line, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
