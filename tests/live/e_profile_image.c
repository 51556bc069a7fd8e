/* SPDX-License-Identifier: MIT
 *
 * Profiles are of images: of what runs, and not of what was named to the launcher. What a shell
 * starts has its own, which serves it again whoever starts it; what a process forks is one more of
 * its image; more images than there may be at a time give way to each other when they have ended.
 *
 * usage: e_profile_image started|two|forked|many
 */
#include "harness.h"

#include <dirent.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* More than one user may have at a time (PROFILE_RUNS_USER_MAX). */
#define MANY 11u

static char made[64], directory[160], report[160];
static const char *again; /* the program's path */

/* What `formed` has made: it stays to the end. */
static char *texts[128];
static size_t text_count;

/* As printf has it. */
static char *__attribute__((format(printf, 1, 2))) formed(const char *format, ...)
{
	va_list arguments;
	char *text;

	va_start(arguments, format);
	REQUIRE(vasprintf(&text, format, arguments) >= 0);
	va_end(arguments);
	REQUIRE(text_count < sizeof(texts) / sizeof(texts[0]));
	texts[text_count++] = text;
	return text;
}

static unsigned
files(void)
{
	DIR *listed = opendir(directory);
	struct dirent *entry;
	unsigned count = 0;

	while (listed && (entry = readdir(listed)) != NULL)
		count += entry->d_name[0] != '.' && !strstr(entry->d_name, ".new");
	if (listed)
		closedir(listed);
	return count;
}

static void
start(struct live *d)
{
	snprintf(made, sizeof(made), "/var/tmp/pagerd-profile.XXXXXX");
	REQUIRE(mkdtemp(made) != NULL && chmod(made, 0755) == 0);
	snprintf(report, sizeof(report), "%s/report", made);
	snprintf(directory, sizeof(directory), "%s/profiles", made);
	again = realpath(getenv("RUN_AGAIN"), NULL);
	REQUIRE(again != NULL);
	live_start(d, "8M", "--no-swap", "--profiles", directory, NULL);
}

static void
end(struct live *d)
{
	live_check(d);
	live_stop(d);
	EQ(system(formed("rm -r %s", made)), 0);
}

/* Runs what a shell does with that script in one group. => what the report says of its profiles,
 * when these have been written; the caller puts it */
static struct json_object *
run(struct live *d, const char *script)
{
	char said[4096];
	struct json_object *all, *profile;
	FILE *pipe = popen(formed("%s -s %s run --json --report=%s -- %s; exit $?",
			       getenv("PAGERCTL"), d->socket, report, script),
	    "re");
	int ended;

	REQUIRE(pipe != NULL);
	said[fread(said, 1, sizeof(said) - 1, pipe)] = '\0';
	ended = pclose(pipe);
	REQUIRE(ended == 0 && !strstr(said, "BROKEN"), "%s: %x: %s", script, (unsigned)ended, said);
	all = json_object_from_file(report);
	REQUIRE(all != NULL, "%s", report);
	profile = json_object_get(json_object_object_get(all, "profile"));
	REQUIRE(profile != NULL, "%s", json_object_to_json_string(all));
	json_object_put(all);
	WAIT_UNTIL(d, live_stat(d, "sessions") == 0 &&
			  live_stat(d, "profile_runs") == live_stat(d, "profile_runs_over"));
	return profile;
}

static uint64_t
member(struct json_object *object, const char *key)
{
	object = json_object_object_get(object, key);
	REQUIRE(object != NULL, "there is no %s", key);
	return json_object_get_uint64(object);
}

static const char *
member_text(struct json_object *object, const char *key)
{
	object = json_object_object_get(object, key);
	REQUIRE(object != NULL, "there is no %s", key);
	return json_object_get_string(object);
}

/* => that of its images which the program of this path is, or NULL */
static struct json_object *
image(struct json_object *profile, const char *path)
{
	struct json_object *images = json_object_object_get(profile, "images");

	for (size_t i = 0; i < json_object_array_length(images); i++)
		if (strcmp(member_text(json_object_array_get_idx(images, i), "program"), path) == 0)
			return json_object_array_get_idx(images, i);
	return NULL;
}

/* On a machine with much else to do a run may not be helped (e_profile.c): then it is tried again.
 */
#define TRIES_MAX 10u

/* Runs it until its profile, that of the program, has helped. */
static void
run_helped(struct live *d, const char *script)
{
	bool helped = false;

	for (unsigned n = 0; n < TRIES_MAX && !helped; n++) {
		struct json_object *profile = run(d, script), *of = image(profile, again);

		REQUIRE(of && strcmp(member_text(of, "state"), "used") == 0, "%s",
		    json_object_to_json_string(profile));
		helped = member(of, "hits") > member(of, "wasted");
		json_object_put(profile);
	}
	REQUIRE(helped);
}

/* The same file under another path. */
static const char *
copy_make(unsigned number)
{
	char *path = formed("%s/again%u", made, number);

	EQ(system(formed("cp %s %s", again, path)), 0);
	return path;
}

static void
test_started(void)
{
	struct json_object *first;
	struct live d;

	start(&d);
	first = run(&d, formed("sh -c '%s; exit $?'", again));
	REQUIRE(strcmp(member_text(first, "program"), again) == 0 &&
		    strcmp(member_text(first, "state"), "new") == 0 &&
		    member(first, "gathered") > 2000,
	    "%s", json_object_to_json_string(first));
	json_object_put(first);
	/* No shell between. */
	run_helped(&d, again);
	end(&d);
}

/* Two images of one group, each at its second time in it; and another image is a new one. */
static void
test_two(void)
{
	struct json_object *profile, *of;
	const char *other, *third;
	struct live d;

	start(&d);
	other = copy_make(0);
	third = copy_make(1);
	json_object_put(run(&d, formed("sh -c '%s short && %s short'", again, other)));
	REQUIRE(files() >= 2);
	profile = run(&d, formed("sh -c '%s short && %s short && %s short'", other, third, again));
	for (int i = 0; i < 3; i++) {
		const char *path = i == 0 ? again : i == 1 ? other : third;

		of = image(profile, path);
		REQUIRE(of && member(of, "refills") + member(of, "hits") > 1000 &&
			    (strcmp(member_text(of, "state"), "new") == 0) == (path == third),
		    "%s: %s", path, json_object_to_json_string(profile));
	}
	json_object_put(profile);
	REQUIRE(files() >= 3);
	end(&d);
}

static void
test_forked(void)
{
	struct json_object *first;
	struct live d;

	start(&d);
	first = run(&d, formed("%s child", again));
	REQUIRE(member(first, "gathered") > 2000, "%s", json_object_to_json_string(first));
	json_object_put(first);
	run_helped(&d, formed("%s child", again));
	end(&d);
}

/* Each has its profile though not all can have one at a time, and all are in the report. */
static void
test_many(void)
{
	struct json_object *profile;
	const char *script = "true";
	struct live d;

	start(&d);
	for (unsigned i = 0; i < MANY; i++)
		script = formed("%s && %s short", script, copy_make(i));
	profile = run(&d, formed("sh -c '%s'", script));
	REQUIRE(
	    member(profile, "gathered") > MANY * 1000, "%s", json_object_to_json_string(profile));
	json_object_put(profile);
	REQUIRE(files() >= MANY);
	end(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = {
		{ "started", test_started },
		{ "two", test_two },
		{ "forked", test_forked },
		{ "many", test_many },
	};

	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
