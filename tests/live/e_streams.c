/* SPDX-License-Identifier: MIT
 *
 * The daemon's surroundings: closed standard streams (its own and a client's), signals, a flooded
 * log, the file of a refused recording.
 *
 * usage: e_streams closed|closed-client|signals|flood|recording
 */
#include "beside.h"

#include <fcntl.h>
#include <sys/stat.h>

/* --- closed streams --- */

static void
streams_close(unsigned which)
{
	for (int fd = 0; fd < 3; fd++)
		if (which & (1u << fd))
			close(fd);
}

static void
fill_and_check(struct pager *p, uint32_t pages)
{
	uint64_t *memory = client_allocate(p, pages * 4096ull);

	/* Words that repeat within a page: there is no swap. */
	for (uint32_t i = 0; i < pages * 512; i++)
		memory[i] = mix64(i / 64);
	for (uint32_t i = 0; i < pages * 512; i++)
		REQUIRE(memory[i] == mix64(i / 64), "word %u", i);
}

static void
ordinary_client(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);

	(void)argument;
	fill_and_check(p, 4096);
	OK(pager_disconnect(p));
}

static void
test_closed(void)
{
	struct live d = { 0 };

	snprintf(d.socket, sizeof(d.socket), "%s", place_path("socket"));
	for (unsigned which = 1; which < 8; which++) {
		struct process p;
		int status;

		process_start(&p, d.socket, streams_close, which, NULL);
		while (who_answers(d.socket) != p.pid) {
			REQUIRE(!process_ended(&p, &status), "it ended: %x: %s", status,
			    process_text(&p));
			usleep(1000);
		}
		for (int fd = 0; fd < 3; fd++) {
			char path[64], target[64] = "";

			snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)p.pid, fd);
			REQUIRE(
			    readlink(path, target, sizeof(target) - 1) > 0, "%s", strerror(errno));
			if (which & (1u << fd))
				REQUIRE(strcmp(target, "/dev/null") == 0, "%d is %s", fd, target);
		}
		/* Log lines. */
		for (unsigned i = 0; i < 20; i++)
			break_protocol(d.socket);
		client_join(&d, client_start(&d, ordinary_client, NULL), false);
		process_stop(&p, SIGTERM);
	}
}

static void
closed_client(struct live *d, void *argument)
{
	struct pager *p;

	streams_close((unsigned)(uintptr_t)argument);
	OK(pager_connect(d->socket, NULL, &p));
	for (int fd = 0; fd < 3; fd++)
		if ((uintptr_t)argument & (1u << fd))
			REQUIRE(write(fd, "progress\n", 9) < 0 && errno == EBADF,
			    "libpager uses %d", fd);
	fill_and_check(p, 4096);
	for (int fd = 0; fd < 3; fd++)
		if ((uintptr_t)argument & (1u << fd))
			REQUIRE(fcntl(fd, F_GETFD) < 0, "libpager uses %d", fd);
	OK(pager_disconnect(p));
}

static void
test_closed_client(void)
{
	struct live d;

	live_start(&d, "4M", "--no-swap", NULL);
	for (uintptr_t which = 1; which < 8; which++)
		client_join(&d, client_start(&d, closed_client, (void *)which), false);
	live_stop(&d);
}

/* --- signals --- */

static void
test_signals(void)
{
	static const int harmless[] = { SIGHUP, SIGPIPE, SIGUSR1, SIGXFSZ, SIGTTOU };
	static const int ends[] = { SIGINT, SIGQUIT, SIGTERM };
	const char *path = place_path("socket");
	struct process p;

	for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		process_start(&p, path, NULL, 0, NULL);
		process_wait_serves(&p);
		for (unsigned n = 0; n < sizeof(harmless) / sizeof(harmless[0]); n++) {
			kill(p.pid, harmless[n]);
			EQ(who_answers(path), p.pid);
		}
		process_stop(&p, ends[i]);
		EQ(access(path, F_OK), -1);
	}
}

/* --- the log --- */

static void
test_flood(void)
{
	enum { TIMES = 500 };
	const char *path = place_path("socket"), *text;
	unsigned said = 0, left_out = 0;
	uint64_t start = now_ms();
	struct process p;

	process_start(&p, path, NULL, 0, NULL);
	process_wait_serves(&p);
	for (unsigned i = 0; i < TIMES; i++)
		break_protocol(path);
	process_stop(&p, SIGTERM);
	text = process_text(&p);
	for (const char *at = text; (at = strstr(at, "its session ends\n")) != NULL; at++)
		said++;
	for (const char *at = text; (at = strstr(at, " more like this w")) != NULL; at++) {
		const char *number = at;

		while (number[-1] != '(')
			number--;
		left_out += (unsigned)strtoul(number, NULL, 10);
	}
	REQUIRE(said > 0 && said <= lines_allowed(start), "%u lines", said);
	/* Each line is either in the log or counted as left out. */
	REQUIRE(said + left_out == TIMES, "%u said, %u left out: %s", said, left_out, text);
}

/* --- recordings --- */

static void
test_recording(void)
{
	char text[4096], recording[256], kept[256], fresh[256], broken[64];
	struct stat st;
	int ends[2];
	struct live d;

	snprintf(recording, sizeof(recording), "%s", place_path("recording"));
	snprintf(kept, sizeof(kept), "%s", place_path("kept"));
	snprintf(fresh, sizeof(fresh), "%s", place_path("fresh"));
	live_start(&d, "4M", "--no-swap", NULL);
	file_write(kept, "an older recording");
	REQUIRE(live_pagerctl(&d, text, sizeof(text), "trace", "start", recording, NULL) == 0, "%s",
	    text);
	client_join(&d, client_start(&d, ordinary_client, NULL), false);
	REQUIRE(
	    live_pagerctl(&d, text, sizeof(text), "trace", "start", kept, NULL) == 1, "%s", text);
	REQUIRE(
	    live_pagerctl(&d, text, sizeof(text), "trace", "start", fresh, NULL) == 1, "%s", text);
	REQUIRE(live_pagerctl(&d, text, sizeof(text), "trace", "start", recording, NULL) == 1, "%s",
	    text);
	file_is(kept, "an older recording");
	EQ(access(fresh, F_OK), -1);
	REQUIRE(live_pagerctl(&d, text, sizeof(text), "trace", "stop", NULL) == 0, "%s", text);
	REQUIRE(stat(recording, &st) == 0 && st.st_size > 64, "the recording has %lld bytes",
	    (long long)st.st_size);
	/* No window is that small, and no process has that number. */
	REQUIRE(live_pagerctl(
		    &d, text, sizeof(text), "trace", "start", kept, "--window", "3", NULL) == 1,
	    "%s", text);
	REQUIRE(live_pagerctl(&d, text, sizeof(text), "trace", "start", kept, "--client",
		    "2147483646", NULL) == 1,
	    "%s", text);
	file_is(kept, "an older recording");
	/* A recording that is no longer read is reported in the log and at its end. */
	REQUIRE(pipe2(ends, O_CLOEXEC) == 0, "%s", strerror(errno));
	snprintf(broken, sizeof(broken), "/proc/%d/fd/%d", (int)getpid(), ends[1]);
	REQUIRE(
	    live_pagerctl(&d, text, sizeof(text), "trace", "start", broken, NULL) == 0, "%s", text);
	close(ends[0]);
	close(ends[1]);
	/* Until there is a block to write. */
	while (live_log_count(&d, "a recording cannot be written (Broken pipe)") == 0)
		client_join(&d, client_start(&d, ordinary_client, NULL), false);
	REQUIRE(live_pagerctl(&d, text, sizeof(text), "trace", "stop", NULL) == 1 &&
		    strstr(text, "Broken pipe"),
	    "%s", text);
	/* An accepted recording starts with an empty file. Nobody's pages end any more. */
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	live_rest(&d);
	REQUIRE(live_pagerctl(&d, text, sizeof(text), "trace", "start", recording, NULL) == 0, "%s",
	    text);
	REQUIRE(live_pagerctl(&d, text, sizeof(text), "trace", "stop", NULL) == 0, "%s", text);
	REQUIRE(stat(recording, &st) == 0);
	EQ(st.st_size, 64);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = {
		{ "closed", test_closed },
		{ "closed-client", test_closed_client },
		{ "signals", test_signals },
		{ "flood", test_flood },
		{ "recording", test_recording },
	};

	live_init(argc, argv);
	place_make();
	return LIVE_RUN(argc, argv, tests);
}
