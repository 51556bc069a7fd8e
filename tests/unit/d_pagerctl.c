/* SPDX-License-Identifier: MIT
 *
 * pagerctl as a user meets it: output, JSON, messages, exit status. argv[1] is the program.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <json-c/json.h>

#include "d_test.h"
#include "d_command.h"

#define OUTPUT_BYTES 65536

static const char *program;
static char output[OUTPUT_BYTES];

/* Runs `pagerctl ARGUMENTS` by the shell; `output` has the text of both streams. => its exit
 * status */
static int
run(void **state, const char *arguments)
{
	struct d_fixture *d = *state;
	char command[1024];

	setenv("PAGERD_SOCKET", fake_socket(d->fake), 1);
	snprintf(command, sizeof(command), "{ %s %s; } 2>&1", program, arguments);
	return command_run(command, output, sizeof(output));
}

#define RUN(arguments, status) assert_int_equal(run(state, arguments), status)
#define SAYS(text)                                                                                 \
	do {                                                                                       \
		if (!strstr(output, text))                                                         \
			fail_msg("no \"%s\" in: %s", text, output);                                \
	} while (0)

static int64_t
number(struct json_object *object, const char *name)
{
	struct json_object *member;

	if (!json_object_object_get_ex(object, name, &member))
		fail_msg("no member %s", name);
	return json_object_get_int64(member);
}

static void
stat_all(void **state)
{
	struct json_object *object;

	RUN("stat", 0);
	SAYS("a_row_nobody_knows");
	SAYS("text of faults");
	SAYS("compression ratio                      2.50");
	RUN("stat --json", 0);
	object = json_tokener_parse(output);
	assert_int_equal(number(object, "free") + number(object, "active") +
			     number(object, "inactive") + number(object, "laundry") +
			     number(object, "wired") + number(object, "speculative") +
			     number(object, "compressor"),
	    number(object, "total"));
	assert_int_equal(number(object, "faults"), 21); /* three shards of 7 */
	assert_int_equal(number(object, "a_row_nobody_knows"), -5);
	assert_int_equal(json_object_object_length(object), 14);
	json_object_put(object);
}

static void
stat_interval(void **state)
{
	RUN("stat -i 0.01 -c 21 | awk '{ print $1, $7, $8 }' | sort | uniq -c | tr -s ' '", 0);
	SAYS(" 2 free faults 0fill\n"); /* the header comes again */
	SAYS(" 1 100 21 -\n");          /* since the start; there is no row zero_fills */
	SAYS(" 20 100 0 -\n");          /* since the row before */
	RUN("stat -i 0.01 -c 3 --json | wc -l", 0); /* one object a line */
	SAYS("3\n");
	RUN("stat -i 0.01 | head -n 1", 0); /* ends with its reader */
}

static void
clients(void **state)
{
	struct json_object *array, *object;

	RUN("clients", 0);
	SAYS("4244");
	SAYS("evil?[2J\"?3J\\n\xc3\xa4me");
	assert_null(strchr(output, '\033'));
	assert_null(strchr(output, '\x9b'));
	RUN("clients --json", 0);
	array = json_tokener_parse(output);
	assert_int_equal(json_object_array_length(array), 3);
	object = json_object_array_get_idx(array, 2);
	assert_int_equal(number(object, "pid"), 4244);
	assert_int_equal(number(object, "phys_mem"), 4244000);
	assert_int_equal(number(object, "limit"), 64 << 20);
	json_object_put(array);
}

static void
map(void **state)
{
	struct json_object *array, *last;

	RUN("map 4242", 0);
	SAYS("007f0004000000-007f0004010000");
	SAYS("rw-/rwx");
	SAYS("malloc small     007f");
	SAYS("tag 59           007f"); /* XNU has no such name, either */
	SAYS(" PRV       2 ");
	SAYS(" ?         2 ");
	SAYS("3 400000 external\n");
	SAYS("\nmalloc tiny ");
	SAYS("65 regions");
	SAYS("of that billed to other clients");
	SAYS(" 5 regions");
	SAYS("resident 520K, compressed or swapped 260K");
	RUN("map 4242 --json", 0);
	array = json_tokener_parse(output);
	assert_int_equal(json_object_array_length(array), 65);
	last = json_object_array_get_idx(array, 64);
	assert_int_equal(number(last, "object_offset"), 64 * 65536);
	assert_int_equal(number(last, "ref_count"), 2);
	assert_int_equal(number(last, "billed"), 0);
	assert_int_equal(number(last, "external_pager"), 1);
	assert_int_equal(number(last, "proportional_resident"), 8192);
	assert_string_equal(
	    json_object_get_string(json_object_object_get(last, "type")), "jit code");
	assert_string_equal(
	    json_object_get_string(json_object_object_get(last, "share_mode")), "private");
	json_object_put(array);
	RUN("map 1", 1);
	SAYS("process 1 is not a client: No such process");
	RUN("map", 2);
	RUN("map x", 2);
	RUN("map 4242 1", 2);
}

static void
footprint_and_limit(void **state)
{
	struct json_object *object;
	char value[32];

	snprintf(value, sizeof(value), "%d", 4242000 + PAGER_LEDGER_PHYS_FOOTPRINT);
	RUN("footprint 4242", 0);
	SAYS("phys_footprint ");
	SAYS("4.0M");
	RUN("footprint 4242 --units bytes", 0);
	SAYS(value);
	SAYS("shared_proportional_stored ");
	SAYS(" 266240  ");
	RUN("footprint --json 4242", 0);
	object = json_tokener_parse(output);
	assert_int_equal(number(object, "faults"), 4242000 + PAGER_LEDGER_FAULTS);
	assert_int_equal(number(object, "shared_resident"), 65 * 4 * 4096);
	assert_int_equal(number(object, "shared_proportional_resident"), 65 * 8192);
	json_object_put(object);
	RUN("limit 4242 32M", 0);
	SAYS("32M (was 64M)");
	RUN("limit 4242 none", 0);
	SAYS("none (was 64M)");
	RUN("limit s4242 none", 1);
	SAYS("session s4242");
	RUN("limit s 32M", 2);
	SAYS("\"s\" is not a client");
	RUN("limit 4243 1G", 1);
	SAYS("Operation not permitted; only root and the user that runs pagerd");
	RUN("limit 4242 -- -5", 2);
	RUN("limit 4242 5X", 2);
	SAYS("say 64M or 2G");
}

static void
wired(void **state)
{
	struct json_object *object, *row;

	RUN("wired", 0);
	SAYS("wired 5M, in page lists 0B");
	SAYS("      s7 ");
	SAYS("      s8 ");
	SAYS("evil?[2J");
	SAYS("mapping                10          128.0  a place where");
	SAYS("library                 4          500.5  a file");
	SAYS("page_list               0              -  a page list");
	SAYS("vnodes                    4      1000B  library");
	SAYS("  1.7K               of malloc");
	SAYS("  3.9K               malloc's");
	RUN("wired --json", 0);
	object = json_tokener_parse(output);
	assert_int_equal(number(object, "other_heap"), 5000 - 3282);
	row = json_object_object_get(object, "clients");
	assert_int_equal(json_object_array_length(row), 2);
	assert_int_equal(number(json_object_array_get_idx(row, 0), "by_others"), 0);
	assert_int_equal(number(json_object_array_get_idx(row, 1), "by_others"), 2 << 20);
	row = json_object_object_get(json_object_object_get(object, "costs"), "library");
	assert_int_equal(number(row, "bytes"), 2002);
	json_object_put(object);
}

static void
footprint_forms(void **state)
{
	struct json_object *object, *row;

	RUN("footprint 4242 --entries", 0);
	SAYS("ENTRY ");
	SAYS("CREDIT");
	RUN("footprint 4242 --entries --json", 0);
	object = json_tokener_parse(output);
	assert_true(json_object_object_get_ex(object, "phys_mem", &row));
	assert_int_equal(number(row, "balance"), 3 << 20);
	assert_int_equal(number(row, "debit"), 7 << 20);
	assert_int_equal(number(row, "interval_most"), 4 << 20);
	json_object_put(object);
	RUN("footprint 4242 -i 0.01 -c 3", 0);
	SAYS("SECONDS");
	RUN("footprint 4242 -i 0.01 -c 2 --json", 0);
	RUN("footprint 4242 --explain", 0);
	SAYS("resident by fault 3M, neighbour 1M\n");
	SAYS("stored by wire 1M\n");
	SAYS("not mapped");
	SAYS("sum 325M, phys_footprint");
	RUN("footprint 4242 --explain --json", 0);
	object = json_tokener_parse(output);
	assert_int_equal(number(object, "sum"), 65 * 5 << 20);
	assert_true(json_object_object_get_ex(object, "objects", &row));
	assert_int_equal(json_object_array_length(row), 65);
	json_object_put(object);
	RUN("footprint 1 --explain", 1);
	SAYS("process 1 is not a client");
	RUN("footprint 1 --entries", 1);
	RUN("footprint 1 -i 0.01", 1);
	RUN("footprint 4242 --explain --entries", 2);
	RUN("map 4242 --explain", 2);
}

static void
check(void **state)
{
	RUN("check", 0);
	SAYS("12 checks, 0 failed");
	SAYS(
	    "clients: 3 looked at (5 regions, 678 mapped pages), 1 not; 9 pages left out; 2 notes");
	RUN("check", 1);
	SAYS("first thing is wrong\nsecond?thing\n12 checks, 2 failed");
	RUN("check --json", 0);
	RUN("check --json", 1);
	SAYS("\"second?thing\"");
}

static void
other_commands(void **state)
{
	RUN("debug", 0);
	SAYS("op 4 argument \n");
	RUN("debug fail SWAP_READ_EIO:3:1", 0);
	SAYS("op 1 argument SWAP_READ_EIO:3:1");
	RUN("debug log debug --json", 0);
	SAYS("\"op 3 argument debug\"");
	RUN("debug log", 2);
	RUN("debug walk", 2);
	RUN("policy", 0);
	SAYS("pid 0 set 0 policy \n");
	RUN("policy lru:window=5 --client 7", 0);
	SAYS("pid 7 set 1 policy lru:window=5");
	RUN("policy none --client 7", 0);
	SAYS("pid 7 set 1 policy \n");
	RUN("policy none", 2);
	RUN("param", 0);
	SAYS("swap_depth");
	RUN("param get fault_cluster", 0);
	assert_string_equal(output, "32\n");
	RUN("param get nothing", 1);
	RUN("param set fault_cluster 8", 0);
	SAYS("fault_cluster = 8");
	RUN("param set nothing 9999", 1);
	SAYS("no parameter \"nothing\"");
	RUN("param set fault_cluster 9999", 1);
	SAYS("param list` shows its range");
	RUN("param set swap_depth 8", 1);
	SAYS("cannot change while pagerd runs");
	RUN("param set swap_depth", 2);
	RUN("trace start /tmp/fake-trace.$$ --window 512 && cat /tmp/fake-trace.$$ && rm "
	    "/tmp/fake-trace.$$",
	    0);
	SAYS("recording: 3 records, 0 dropped, 512B written\ntrace\n");
	RUN("trace start /nonexistent/file", 1);
	SAYS("cannot write /nonexistent/file");
	RUN("trace stop", 0);
	SAYS("not recording");
	RUN("trace start", 2);
	RUN("top -i 0.01 -c 2", 0);
	SAYS("FOOTP*");
	SAYS("C compressor 800K");
	SAYS("(2.50:1)");
	assert_true(strstr(output, "4244") < strstr(output, "4243")); /* sorted */
	RUN("top -i 0.01 -c 2 --json", 0);
	RUN("top -b -n 1 --sort pid --filter 4243", 0);
	SAYS("   4243 ");
	assert_null(strstr(output, "4244"));
	RUN("top -b -n 1 --tree", 0);
	SAYS(", 3 clients\n");
	RUN("top --sort nonsense", 2);
	SAYS("there is no column \"nonsense\"");
	RUN("top --filter \"$(printf %64s)\"", 2);
	SAYS("is too long");
}

static void
usage(void **state)
{
	RUN("", 2);
	RUN("fly", 2);
	SAYS("no command \"fly\"");
	RUN("stat --window 5", 2);
	SAYS("--window is not an option of this command");
	RUN("stat -i x", 2);
	RUN("stat --nonsense", 2);
	RUN("stat too many", 2);
	RUN("--help", 0);
	SAYS("footprint CLIENT");
	RUN("map --help", 0);
	RUN("--version", 0);
	RUN("stat --socket /nonexistent/s", 1);
	SAYS("cannot connect to /nonexistent/s: No such file or directory; is pagerd running?");
}

/* Every command, since each prints by itself: output that cannot be written is a failure. */
static void
output_is_lost(void **state)
{
	static const char *const commands[] = { "stat", "stat --json", "stat -i 0.01 -c 2",
		"top -i 0.01 -c 2", "clients", "clients --json", "map 4242", "map 4242 --json",
		"footprint 4242", "footprint 4242 --explain", "footprint 4242 --entries", "wired",
		"wired --json", "export", "limit 4242 64M", "debug show", "policy", "param",
		"param get fault_cluster", "trace show", "trace show --json", "--help",
		"map --help", "--version" };
	char command[128];

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		snprintf(command, sizeof(command), "%s >/dev/full", commands[i]);
		RUN(command, 1);
		SAYS("cannot write the output");
		snprintf(command, sizeof(command), "%s >&-", commands[i]);
		RUN(command, 1);
		SAYS("cannot write the output");
		/* Unused standard input, or a closed stream for errors, is no failure. */
		snprintf(command, sizeof(command), "%s <&- 2>&-", commands[i]);
		RUN(command, 0);
	}
}

/* Only the daemon empties the file of a recording: a refused request leaves the file as it is. */
static void
trace_refused(void **state)
{
	struct d_fixture *d = *state;

	fake_fail_next(d->fake, PAGER_MSG_TRACE, -EBUSY);
	RUN("trace start /tmp/fake-refused.$$ ; s=$?; ls /tmp/fake-refused.$$; (exit $s)", 1);
	SAYS("a recording is under way");
	SAYS("No such file");
	fake_fail_next(d->fake, PAGER_MSG_TRACE, -EPERM);
	RUN("--version >/tmp/fake-kept.$$; $PROGRAM trace start /tmp/fake-kept.$$; "
	    "s=$?; cat /tmp/fake-kept.$$; rm /tmp/fake-kept.$$; (exit $s)",
	    1);
	SAYS("only root and the user that runs pagerd");
	SAYS("pagerctl " PAGERD_VERSION);
	fake_fail_next(d->fake, PAGER_MSG_TRACE, -ESRCH);
	RUN("trace start /tmp/fake-refused.$$ -p 999", 1);
	SAYS("cannot record client 999");
}

/* A daemon that answers nonsense or hangs up is reported, and nothing crashes. */
static void
bad_daemon(void **state)
{
	struct d_fixture *d = *state;

	for (enum fake_mangle mangle = FAKE_MANGLE_SEQUENCE; mangle < FAKE_MANGLE_COUNT; mangle++) {
		fake_mangle_next(d->fake, PAGER_MSG_STAT_SEGMENT, mangle);
		RUN("stat", 1);
		SAYS(mangle == FAKE_MANGLE_HANGUP ? "pagerd hung up"
		     : mangle == FAKE_MANGLE_FD   ? ""
						  : "makes no sense");
	}
	fake_fail_next(d->fake, PAGER_MSG_CHECK, -EPERM);
	RUN("check", 1);
	SAYS("only root and the user that runs pagerd");
	fake_fail_next(d->fake, PAGER_MSG_HELLO, -EACCES);
	RUN("check", 1);
	SAYS("cannot connect to");
}

#define WITH_DAEMON(name) cmocka_unit_test_setup_teardown(name, d_setup, d_teardown)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		WITH_DAEMON(stat_all),
		WITH_DAEMON(stat_interval),
		WITH_DAEMON(clients),
		WITH_DAEMON(map),
		WITH_DAEMON(footprint_and_limit),
		WITH_DAEMON(wired),
		WITH_DAEMON(footprint_forms),
		WITH_DAEMON(check),
		WITH_DAEMON(other_commands),
		WITH_DAEMON(usage),
		WITH_DAEMON(output_is_lost),
		WITH_DAEMON(trace_refused),
		WITH_DAEMON(bad_daemon),
	};

	if (argc < 2)
		return 77;
	program = argv[1];
	setenv("PROGRAM", program, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
