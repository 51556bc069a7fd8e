/* SPDX-License-Identifier: MIT
 *
 * pagerctl run: programs and memory that are not managed. They do what they do without it, and the
 * report says why nothing, or not all, of them was managed.
 *
 * usage: e_run_odd static|sanitizer|huge|executable|shared|pieces|watched
 */
#include "harness.h"

#include <json-c/json.h>

#define TEXT_BYTES 4096
#define MIB        (1ull << 20)

static char alone[TEXT_BYTES], under[TEXT_BYTES];

static void
shell(const char *command, char *text)
{
	FILE *pipe = popen(command, "re");

	REQUIRE(pipe != NULL);
	text[fread(text, 1, TEXT_BYTES - 1, pipe)] = '\0';
	REQUIRE(pclose(pipe) == 0, "%s: %s", command, text);
}

/* Runs the program alone and under `pagerctl run`, by itself and from a shell that is managed. =>
 * what the reports say, in one. The caller puts it. */
static struct json_object *
odd(struct live *d, const char *program, const char *kind, bool by_shell)
{
	char command[1024], path[160];
	struct json_object *report, *part;

	REQUIRE(program && program[0], "not built");
	snprintf(command, sizeof(command), "exec %s %s 2>&1", program, kind);
	shell(command, alone);
	REQUIRE(alone[0] != '\0');
	snprintf(path, sizeof(path), "%s/report", d->directory);
	snprintf(command, sizeof(command), "exec %s -s %s run --json --report=%s -- %s%s %s%s 2>&1",
	    getenv("PAGERCTL"), d->socket, path, by_shell ? "/bin/sh -c 'exec " : "", program, kind,
	    by_shell ? "'" : "");
	shell(command, under);
	REQUIRE(strcmp(alone, under) == 0, "alone:\n%s\nunder pagerctl run:\n%s", alone, under);
	report = json_object_from_file(path);
	REQUIRE(report && json_object_object_get_ex(report, "not_managed", &part));
	json_object_get(part);
	json_object_put(report);
	EQ(unlink(path), 0);
	WAIT_UNTIL(d, live_stat(d, "sessions") == 0);
	live_check(d);
	return part;
}

static uint64_t
number(struct json_object *reasons, const char *reason, const char *what)
{
	struct json_object *object = json_object_object_get(reasons, reason);

	REQUIRE(object != NULL, "no %s", reason);
	return json_object_get_uint64(json_object_object_get(object, what));
}

/* A program of which nothing is managed. */
static void
program_is_left(const char *program, const char *reason)
{
	struct live d;

	live_start(&d, "8M", NULL);
	for (int by_shell = 0; by_shell < 2; by_shell++) {
		struct json_object *reasons = odd(&d, program, "plain", by_shell);

		EQ(number(reasons, reason, "times"), 1);
		json_object_put(reasons);
	}
	EQ(live_stat(&d, "zero_fills"), 0);
	live_stop(&d);
}

static void
test_static(void)
{
	program_is_left(getenv("RUN_ODD_STATIC"), "static");
}

static void
test_sanitizer(void)
{
	const char *program = getenv("RUN_ODD_SANITIZER");

	if (!program || program[0] == '\0') {
		puts("this compiler has no AddressSanitizer");
		exit(77);
	}
	program_is_left(program, "sanitizer");
}

/* A program of which all but some memory is managed: 12 MiB at least, in 8. */
static void
memory_is_left(const char *kind, const char *reason, uint64_t times, uint64_t bytes)
{
	struct json_object *reasons;
	struct live d;

	live_start(&d, "8M", NULL);
	reasons = odd(&d, getenv("RUN_ODD"), kind, false);
	if (strstr(under, "none: ") || strstr(under, "not watched: "))
		times = bytes = 0;
	EQ(number(reasons, reason, "times"), times);
	EQ(number(reasons, reason, "bytes"), bytes);
	json_object_put(reasons);
	REQUIRE((uint64_t)live_stat(&d, "zero_fills") * d.page_bytes >= 12 * MIB);
	REQUIRE(live_stat(&d, "decompressions") > 0);
	live_stop(&d);
}

static void
test_huge(void)
{
	memory_is_left("huge", "huge", 1, 2 * MIB);
}

static void
test_executable(void)
{
	memory_is_left("executable", "executable", 1, 2 * MIB);
}

static void
test_shared(void)
{
	memory_is_left("shared", "shared", 1, 4 * MIB);
}

/* All of it is managed, though no piece is large. */
static void
test_pieces(void)
{
	struct live d;

	live_start(&d, "8M", NULL);
	json_object_put(odd(&d, getenv("RUN_ODD"), "pieces", false));
	REQUIRE((uint64_t)live_stat(&d, "zero_fills") * d.page_bytes >= 12 * MIB);
	REQUIRE(live_stat(&d, "decompressions") > 0);
	live_stop(&d);
}

static void
test_watched(void)
{
	memory_is_left("watched", "watched", 1, 2 * MIB);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = {
		{ "static", test_static },
		{ "sanitizer", test_sanitizer },
		{ "huge", test_huge },
		{ "executable", test_executable },
		{ "shared", test_shared },
		{ "pieces", test_pieces },
		{ "watched", test_watched },
	};

	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
