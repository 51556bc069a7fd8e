/* SPDX-License-Identifier: MIT
 *
 * pagerctl record: the recording has what the programs of the run touch, and nobody else's touches,
 * and is whole however the program has ended.
 *
 * usage: e_record group|private|killed|refused
 */
#include "recording.h"

#include <signal.h>
#include <sys/wait.h>

static char said[4096], path[160];

/* The records of the file that `pagerctl record` with these words has made on the test's daemon.
 * status: as a shell has it */
static struct recording
record(struct live *d, int status, const char *words)
{
	char command[1024];
	struct recording r;
	FILE *pipe;
	size_t got;

	snprintf(path, sizeof(path), "%s/recording", d->directory);
	snprintf(command, sizeof(command), "%s -s %s record --output %s %s 2>&1 >%s/out",
	    getenv("PAGERCTL"), d->socket, path, words, d->directory);
	pipe = popen(command, "re");
	REQUIRE(pipe != NULL);
	got = fread(said, 1, sizeof(said) - 1, pipe);
	said[got] = '\0';
	got = (size_t)pclose(pipe);
	REQUIRE(WIFEXITED((int)got) && WEXITSTATUS((int)got) == status, "%s: %zx: %s", command, got,
	    said);
	r = recording_read(path);
	REQUIRE(r.count + r.dropped >= r.last_event);
	return r;
}

/* Pages of which a record says that they were not in memory. */
static size_t
majors(const struct recording *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->count; i++)
		n += r->records[i].kind == PAGER_TRACE_MAJOR;
	return n;
}

/* Another program runs through its memory all the time. */
static pid_t
other_start(struct live *d)
{
	pid_t other = fork();

	REQUIRE(other >= 0);
	if (other == 0) {
		execl(getenv("PAGERCTL"), "pagerctl", "-s", d->socket, "run", "--",
		    getenv("RUN_HOLD"), "24", (char *)NULL);
		_exit(127);
	}
	WAIT_UNTIL(d, live_stat(d, "decompressions") > 2000);
	return other;
}

static void
test_group(void)
{
	char words[512];
	struct recording r;
	struct live d;
	pid_t other;

	live_start(&d, "16M", NULL);
	other = other_start(&d);
	/* A program that has no managed memory touches nothing. */
	r = record(&d, 0, "-- sh -c 'sleep 0.2'");
	EQ(r.count + r.dropped, 0);
	recording_free(&r);
	snprintf(words, sizeof(words), "--window 64 -- %s", getenv("RUN_PROGRAM"));
	r = record(&d, 0, words);
	EQ(r.header.window_pages, 64);
	REQUIRE(r.count > 1000 && majors(&r) > 500, "%zu records", r.count);
	recording_free(&r);
	REQUIRE(strstr(said, "recording: ") && strstr(said, " records, "), "%s", said);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	live_check(&d);
	live_stop(&d);
}

static void
test_private(void)
{
	char words[512];
	struct recording r;
	struct live d;

	/* The daemon that runs is not the one. */
	live_start(&d, "8M", NULL);
	snprintf(words, sizeof(words), "--memory 8M -- %s", getenv("RUN_PROGRAM"));
	r = record(&d, 0, words);
	REQUIRE(majors(&r) > 4 * 2048, "%zu records", r.count);
	recording_free(&r);
	EQ(live_stat(&d, "zero_fills"), 0);
	live_stop(&d);
}

static void
test_killed(void)
{
	static const char program[] = "-- /usr/bin/python3 -c 'import os\n"
				      "b = bytearray(12 << 20)\n"
				      "for i in range(0, len(b), 4096): b[i] = 1\n"
				      "os.kill(os.getpid(), 9)'";
	char words[512];
	struct recording r;
	struct live d;

	live_start(&d, "16M", NULL);
	r = record(&d, 128 + SIGKILL, program);
	REQUIRE(majors(&r) >= 3 << 5, "%zu records", r.count);
	recording_free(&r);
	snprintf(words, sizeof(words), "--memory 8M %s", program);
	r = record(&d, 128 + SIGKILL, words);
	REQUIRE(majors(&r) >= 3 << 5, "%zu records", r.count);
	recording_free(&r);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	live_check(&d);
	live_stop(&d);
}

static void
test_refused(void)
{
	struct live d;

	live_start(&d, "16M", NULL);
	EQ(live_pagerctl(&d, said, sizeof(said), "record", "--output", "/nowhere/recording", "--",
	       "true", NULL),
	    125);
	REQUIRE(strstr(said, "cannot write /nowhere/recording") != NULL, "%s", said);
	snprintf(path, sizeof(path), "%s/first", d.directory);
	EQ(live_pagerctl(&d, said, sizeof(said), "trace", "start", path, NULL), 0);
	snprintf(path, sizeof(path), "%s/second", d.directory);
	EQ(live_pagerctl(&d, said, sizeof(said), "record", "--output", path, "--", "true", NULL),
	    125);
	REQUIRE(strstr(said, "a recording is under way") != NULL, "%s", said);
	EQ(access(path, F_OK), -1);
	EQ(live_pagerctl(&d, said, sizeof(said), "trace", "stop", NULL), 0);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = {
		{ "group", test_group },
		{ "private", test_private },
		{ "killed", test_killed },
		{ "refused", test_refused },
	};

	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
