/* SPDX-License-Identifier: MIT
 *
 * pagerctl run: programs that do not know of pagerd print what they print without it, in less
 * memory than they use.
 *
 * usage: e_run
 * program|rules|user|limited|jemalloc|mimalloc|private|python|perl|sort|report|pretend| refused
 */
#include "harness.h"

#include <json-c/json.h>
#include <sys/wait.h>

#define TEXT_BYTES 65536

static char alone[TEXT_BYTES], under[TEXT_BYTES];

/* What a shell's command prints. */
static void
shell(const char *command, char *text)
{
	FILE *pipe = popen(command, "re");
	size_t got;

	REQUIRE(pipe != NULL);
	got = fread(text, 1, TEXT_BYTES - 1, pipe);
	text[got] = '\0';
	EQ(pclose(pipe), 0);
}

/* A shell's command under `pagerctl run`, on the test's daemon, prints what it prints without. */
static void
same_output(struct live *d, const char *command)
{
	shell(command, alone);
	REQUIRE(alone[0] != '\0');
	EQ(live_pagerctl(d, under, sizeof(under), "run", "--", "/bin/sh", "-c", command, NULL), 0);
	REQUIRE(strcmp(alone, under) == 0, "alone:\n%s\nunder pagerctl run:\n%s", alone, under);
	WAIT_UNTIL(d, live_stat(d, "sessions") == 0);
	live_check(d);
}

/* The command needs so many times the daemon's memory, of its own. */
static void
in_less(const char *memory, uint64_t times, const char *command)
{
	struct live d;

	live_start(&d, memory, NULL);
	same_output(&d, command);
	/* Nearly all of it is managed. */
	REQUIRE((uint64_t)live_stat(&d, "zero_fills") * d.page_bytes >= times * d.memory_bytes,
	    "%lld pages", (long long)live_stat(&d, "zero_fills"));
	live_stop(&d);
}

static void
test_program(void)
{
	in_less("8M", 4, getenv("RUN_PROGRAM"));
}

static void
test_rules(void)
{
	in_less("8M", 2, getenv("RUN_RULES"));
}

/* As a user without rights, on a daemon that lets everybody in. */
static void
test_user(void)
{
	static const char *const programs[] = { "RUN_PROGRAM", "RUN_RULES" };
	static const char as[] =
	    "exec setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs";
	char command[1024];
	struct live d;

	if (geteuid() != 0) {
		puts("only root can become another user");
		exit(77);
	}
	snprintf(command, sizeof(command), "%s test -x %s -a -x %s", as, getenv("RUN_PROGRAM"),
	    getenv("PAGERCTL"));
	if (system(command) != 0) {
		puts("another user cannot run what was built here");
		exit(77);
	}
	live_start(&d, "8M", "--socket-mode", "0666", NULL);
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		snprintf(command, sizeof(command), "%s %s", as, getenv(programs[i]));
		shell(command, alone);
		REQUIRE(strstr(alone, "ok ") && !strstr(alone, "BROKEN"), "%s", alone);
		snprintf(command, sizeof(command), "%s %s -s %s run -- %s", as, getenv("PAGERCTL"),
		    d.socket, getenv(programs[i]));
		shell(command, under);
		REQUIRE(
		    strcmp(alone, under) == 0, "alone:\n%s\nunder pagerctl run:\n%s", alone, under);
		WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
		live_check(&d);
	}
	REQUIRE((uint64_t)live_stat(&d, "zero_fills") * d.page_bytes >= 6 * d.memory_bytes);
	live_stop(&d);
}

/* The programs, each by a shell that does something before. */
static void
in_less_after(const char *before)
{
	char command[1024];

	snprintf(command, sizeof(command), "%s; exec %s", before, getenv("RUN_PROGRAM"));
	in_less("8M", 4, command);
	snprintf(command, sizeof(command), "%s; exec %s", before, getenv("RUN_RULES"));
	in_less("8M", 2, command);
}

static void
test_limited(void)
{
	in_less_after("ulimit -v 2000000");
}

/* Another malloc, which is preloaded too. */
static void
with_malloc(const char *library)
{
	char before[256];

	snprintf(before, sizeof(before), "/usr/lib/x86_64-linux-gnu/%s", library);
	if (access(before, R_OK) < 0) {
		printf("there is no %s\n", before);
		exit(77);
	}
	snprintf(before, sizeof(before),
	    "export LD_PRELOAD=$LD_PRELOAD:/usr/lib/x86_64-linux-gnu/%s", library);
	in_less_after(before);
}

static void
test_jemalloc(void)
{
	with_malloc("libjemalloc.so.2");
}

static void
test_mimalloc(void)
{
	with_malloc("libmimalloc.so.2.0");
}

static void
test_python(void)
{
	in_less("8M", 4,
	    "/usr/bin/python3 -c 'b = bytearray(34 << 20)\n"
	    "for i in range(0, len(b), 4096): b[i] = i >> 12 & 255\n"
	    "d = {i: str(i) for i in range(20000)}\n"
	    "print(sum(b[::4096]), sum(map(len, d.values())), len(b))'");
}

static void
test_perl(void)
{
	in_less("8M", 4,
	    "perl -e 'my $x = \"ab\" x (17 << 20); my %h = map { $_, $_ * 2 } 1 .. 9999; "
	    "print length($x), substr($x, -4), $h{77}, \"\\n\"'");
}

static void
test_sort(void)
{
	in_less("8M", 1,
	    "seq 1 150000 | awk '{ print $1 * 7919 % 1000003, $1 }' | "
	    "LC_ALL=C sort -S 20M --parallel=1 | md5sum");
}

/* With a daemon of its own. The exit status is the command's. */
static void
test_private(void)
{
	const char *program = getenv("PAGERCTL");
	char command[1024];
	struct live d;
	int status;

	shell(getenv("RUN_PROGRAM"), alone);
	snprintf(
	    command, sizeof(command), "%s run --memory 8M -- %s", program, getenv("RUN_PROGRAM"));
	shell(command, under);
	REQUIRE(strcmp(alone, under) == 0, "alone:\n%s\nunder pagerctl run:\n%s", alone, under);
	/* Standard input, and the daemon's end. */
	snprintf(command, sizeof(command),
	    "echo one | %s run --memory 16M -- /bin/sh -c 'cat; echo $PAGERD_SOCKET'", program);
	shell(command, under);
	REQUIRE(strncmp(under, "one\n/var/tmp/", 13) == 0, "%s", under);
	*strrchr(under, '/') = '\0';
	EQ(access(under + 4, F_OK), -1);
	live_start(&d, "16M", NULL);
	EQ(live_pagerctl(&d, under, sizeof(under), "run", "--memory", "16M", "--", "/bin/sh", "-c",
	       "exit 7", NULL),
	    7);
	live_stop(&d);
	snprintf(command, sizeof(command), "exec %s run --memory 16M -- /bin/sh -c 'kill -9 $$'",
	    program);
	status = system(command);
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %x", (unsigned)status);
}

/* A number of a JSON object, or of an object in it; the path has points. */
static uint64_t
number(struct json_object *object, const char *path)
{
	char part[64];

	for (const char *at = path; at; at = strchr(at, '.') ? strchr(at, '.') + 1 : NULL) {
		snprintf(part, sizeof(part), "%.*s", (int)strcspn(at, "."), at);
		object = json_object_object_get(object, part);
		REQUIRE(object != NULL, "there is no %s", path);
	}
	return json_object_get_uint64(object);
}

/* What is said of a shell's command, of which --report has been asked. status: as a shell has it */
static struct json_object *
report_of(struct live *d, int status, const char *text)
{
	char command[1024], path[160];
	struct json_object *report;
	int got;

	snprintf(path, sizeof(path), "%s/report", d->directory);
	snprintf(command, sizeof(command),
	    "%s -s %s run --json --report=%s --limit 6M --priority background -- /bin/sh -c "
	    "\"%s\" > /dev/null; exit $?",
	    getenv("PAGERCTL"), d->socket, path, text);
	got = system(command);
	REQUIRE(WIFEXITED(got) && WEXITSTATUS(got) == status, "%s: %x", command, (unsigned)got);
	report = json_object_from_file(path);
	REQUIRE(report != NULL);
	EQ(unlink(path), 0);
	EQ(number(report, "processes_left"), 0);
	return report;
}

static void
test_report(void)
{
	static const char *const stalls[] = { "stalled_ns.fill", "stalled_ns.swap",
		"stalled_ns.frame", "stalled_ns.limit" };
	char command[1024];
	struct json_object *report;
	uint64_t stalled = 0;
	struct live d;

	live_start(&d, "16M", NULL);
	/* The child has a bill of its own, and shared memory is not managed. */
	report = report_of(&d, 0,
	    "exec /usr/bin/python3 -c 'import os, mmap\n"
	    "m = mmap.mmap(-1, 4 << 20)\nb = bytearray(20 << 20)\n"
	    "for i in range(0, len(b), 4096): b[i] = i >> 12 & 255\n"
	    "if os.fork() == 0: os._exit(sum(b[:1 << 20]) & 1)\n"
	    "exit(os.wait()[1] + sum(b[::1 << 16]) % 2)'");
	EQ(number(report, "exit_status"), 0);
	EQ(number(report, "processes"), 2);
	REQUIRE(number(report, "phys_footprint_peak") >= 20 << 20);
	REQUIRE(number(report, "compressed_peak") >= 12 << 20);
	REQUIRE(number(report, "resident_peak") <= d.memory_bytes);
	REQUIRE(number(report, "faults.zero_fills") >= 5 << 10);
	REQUIRE(number(report, "faults.decompressions") > 0);
	for (size_t i = 0; i < sizeof(stalls) / sizeof(stalls[0]); i++)
		stalled += number(report, stalls[i]);
	REQUIRE(stalled > 0);
	REQUIRE(number(report, "not_managed.shared.bytes") >= 4 << 20);
	REQUIRE(number(report, "not_managed.small.times") > 0);
	EQ(number(report, "not_managed.refused.times"), 0);
	json_object_put(report);
	/* A program that is killed. What it has in memory is what its limit allows. */
	report = report_of(&d, 128 + SIGKILL,
	    "exec /usr/bin/python3 -c 'import os\nb = bytearray(12 << 20)\n"
	    "for i in range(0, len(b), 4096): b[i] = 1\nos.kill(os.getpid(), 9)'");
	EQ(number(report, "signal"), SIGKILL);
	EQ(number(report, "processes"), 1);
	REQUIRE(number(report, "phys_footprint_peak") >= 12 << 20);
	REQUIRE(number(report, "resident_peak") <= 8 << 20, "%llu",
	    (unsigned long long)number(report, "resident_peak"));
	REQUIRE(number(report, "faults.zero_fills") >= 3 << 10);
	json_object_put(report);
	/* To standard error, behind what the program has said there. */
	snprintf(command, sizeof(command), "%s -s %s run --report -- sh -c 'echo one >&2' 2>&1",
	    getenv("PAGERCTL"), d.socket);
	shell(command, under);
	REQUIRE(strncmp(under, "one\npagerctl run: sh [", 22) == 0, "%s", under);
	REQUIRE(strstr(under, "exit status 0") && strstr(under, "\nstalled"), "%s", under);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	live_check(&d);
	live_stop(&d);
}

static void
test_pretend(void)
{
	struct live d;

	live_start(&d, "16M", NULL);
	EQ(live_pagerctl(
	       &d, under, sizeof(under), "run", "--pretend", "--limit", "8M", "--", "sh", NULL),
	    0);
	REQUIRE(strstr(under, "ok   program: ") && strstr(under, "/sh\n") &&
		    strstr(under, "ok   daemon: process ") && strstr(under, "ok   limit: 8M"),
	    "%s", under);
	EQ(live_pagerctl(
	       &d, under, sizeof(under), "run", "--pretend", "--", "/nowhere/program", NULL),
	    125);
	REQUIRE(strstr(under, "NOT  program: /nowhere/program: No such file") != NULL, "%s", under);
	EQ(live_pagerctl(&d, under, sizeof(under), "run", "--pretend", "--memory", "8M",
	       "--swap-dir", "/nowhere", "--", "sh", NULL),
	    125);
	REQUIRE(strstr(under, "ok   page faults: ") && strstr(under, "NOT  swap files: /nowhere"),
	    "%s", under);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	live_stop(&d);
}

static void
refused(struct live *d, int status, const char *text, const char *option, const char *value)
{
	EQ(live_pagerctl(d, under, sizeof(under), "run", option, value, NULL), status);
	REQUIRE(strstr(under, text) != NULL, "%s", under);
}

static void
test_refused(void)
{
	struct live d;

	live_start(&d, "64M", "--page-size", "64K", NULL);
	refused(&d, 125, "a program expects 4096", "--", "true");
	live_stop(&d);
	live_start(&d, "16M", NULL);
	refused(&d, 127, "No such file", "--", "/nowhere/program");
	refused(&d, 126, "Permission denied", "--", "/var/tmp");
	refused(&d, 2, "not a size", "--memory=much", "true");
	refused(&d, 2, "--memory", "--swap-dir=/var/tmp", "true");
	refused(&d, 2, "not a size", "--limit=none", "true");
	refused(&d, 2, "no band", "--priority=high", "true");
	refused(&d, 125, "cannot run with", "--limit=4K", "true");
	refused(&d, 125, "cannot write", "--report=/nowhere/report", "true");
	refused(&d, 125, "did not start", "--memory=1", "true");
	live_stop(&d);
	refused(&d, 125, "is pagerd running", "--", "true");
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = {
		{ "program", test_program },
		{ "rules", test_rules },
		{ "user", test_user },
		{ "limited", test_limited },
		{ "jemalloc", test_jemalloc },
		{ "mimalloc", test_mimalloc },
		{ "private", test_private },
		{ "python", test_python },
		{ "perl", test_perl },
		{ "sort", test_sort },
		{ "report", test_report },
		{ "pretend", test_pretend },
		{ "refused", test_refused },
	};

	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
