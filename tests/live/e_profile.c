/* SPDX-License-Identifier: MIT
 *
 * Profiles: the second run of a program waits for fewer pages to come back, with the same output;
 * what is damaged or somebody else's is not used; what does not help is given up.
 *
 * usage: e_profile second|other|refused|user|killed|unwritten
 */
#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char said[4096], made[64], directory[160], report[160], name[500];

struct ran {
	char state[16];
	uint64_t refills, foreseen, hits, wasted, gathered;
};

/* => the number of files of profiles; `name` is the path of one */
static unsigned
files(void)
{
	DIR *listed = opendir(directory);
	struct dirent *entry;
	unsigned count = 0;

	while (listed && (entry = readdir(listed)) != NULL) {
		/* One is just being written; it makes rmdir(2) fail if it stays. */
		if (entry->d_name[0] == '.' || strstr(entry->d_name, ".new"))
			continue;
		snprintf(name, sizeof(name), "%s/%s", directory, entry->d_name);
		count++;
	}
	if (listed)
		closedir(listed);
	return count;
}

static uint64_t
member(struct json_object *object, const char *key)
{
	object = json_object_object_get(object, key);
	REQUIRE(object != NULL, "there is no %s", key);
	return json_object_get_uint64(object);
}

/* A run on the test's daemon, as `as` says, which ends when its profile has been written. status:
 * as a shell has it */
static struct ran
run(struct live *d, const char *as, const char *how, int status)
{
	char command[1024];
	struct json_object *all, *profile;
	struct ran ran = { 0 };
	FILE *pipe;
	size_t got;
	int ended;

	snprintf(command, sizeof(command), "%s %s -s %s run --json --report=%s -- %s %s; exit $?",
	    as, getenv("PAGERCTL"), d->socket, report, getenv("RUN_AGAIN"), how);
	pipe = popen(command, "re");
	REQUIRE(pipe != NULL);
	got = fread(said, 1, sizeof(said) - 1, pipe);
	said[got] = '\0';
	ended = pclose(pipe);
	REQUIRE(WIFEXITED(ended) && WEXITSTATUS(ended) == status, "%s: %x: %s", command,
	    (unsigned)ended, said);
	REQUIRE(strncmp(said, "ok ", 3) == 0, "%s", said);
	all = json_object_from_file(report);
	REQUIRE(all != NULL, "%s", report);
	profile = json_object_object_get(all, "profile");
	REQUIRE(profile != NULL, "%s", json_object_to_json_string(all));
	snprintf(ran.state, sizeof(ran.state), "%s",
	    json_object_get_string(json_object_object_get(profile, "state")));
	ran.refills = member(profile, "refills");
	ran.foreseen = member(profile, "foreseen");
	ran.hits = member(profile, "hits");
	ran.wasted = member(profile, "wasted");
	ran.gathered = member(profile, "gathered");
	json_object_put(all);
	WAIT_UNTIL(d, live_stat(d, "sessions") == 0);
	return ran;
}

static void
start(struct live *d, const char *more, const char *value)
{
	int fd;

	/* Where another user may look for what is his, and write a report. */
	snprintf(made, sizeof(made), "/var/tmp/pagerd-profile.XXXXXX");
	REQUIRE(mkdtemp(made) != NULL && chmod(made, 0755) == 0);
	snprintf(report, sizeof(report), "%s/report", made);
	fd = open(report, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0 && fchmod(fd, 0666) == 0);
	close(fd);
	snprintf(directory, sizeof(directory), "%s/profiles", made);
	live_start(d, "8M", "--no-swap", "--profiles", directory, more, value, NULL);
}

static void
end(struct live *d)
{
	live_check(d);
	live_stop(d);
	while (files() > 0)
		EQ(unlink(name), 0);
	EQ(unlink(report), 0);
	EQ(rmdir(directory), 0);
	EQ(rmdir(made), 0);
}

/* The first run, whose profile is there when this returns. */
static struct ran
first(struct live *d, const char *as, unsigned count)
{
	struct ran ran = run(d, as, "", 0);

	REQUIRE(strcmp(ran.state, "new") == 0, "%s", ran.state);
	EQ(ran.foreseen, 0);
	REQUIRE(ran.refills > 2000 && ran.gathered > 2000, "%llu", (unsigned long long)ran.refills);
	WAIT_UNTIL(d, files() == count);
	return ran;
}

/* On a machine with much else to do the daemon may take a program for one that holds its calls up,
 * and foresees nothing for it for a while; or is late with all. Then it is tried again, so often.
 */
#define TRIES_MAX 10u

/* What the daemon has foreseen for runs that use the profile, one after the other. */
struct used {
	struct ran last;
	uint64_t foreseen; /* for all of them */
};

static bool
has_helped(const struct ran *ran, const struct ran *before)
{
	return ran->hits > ran->wasted && (!before || ran->refills * 10 <= before->refills * 8);
}

/* Runs it until that has helped: it waited for fewer pages than `before`, if that is not NULL. */
static struct used
run_helped(struct live *d, const char *how, int status, const struct ran *before)
{
	struct used used = { .foreseen = 0 };

	for (unsigned n = 0; n < TRIES_MAX && !has_helped(&used.last, before); n++) {
		used.last = run(d, "", how, status);
		used.foreseen += used.last.foreseen;
		REQUIRE(strcmp(used.last.state, "used") == 0, "%s", used.last.state);
	}
	REQUIRE(has_helped(&used.last, before), "refills %llu, before %llu, hits %llu, wasted %llu",
	    (unsigned long long)used.last.refills,
	    (unsigned long long)(before ? before->refills : 0), (unsigned long long)used.last.hits,
	    (unsigned long long)used.last.wasted);
	return used;
}

static void
test_second(void)
{
	char output[sizeof(said)];
	struct used after;
	struct ran before;
	struct stat st;
	struct live d;

	start(&d, NULL, NULL);
	before = first(&d, "", 1);
	memcpy(output, said, sizeof(said));
	EQ(stat(name, &st), 0);
	EQ(st.st_mode & 0777, 0600);
	after = run_helped(&d, "", 0, &before);
	REQUIRE(strcmp(output, said) == 0, "%s%s", output, said);
	/* Of a group that has not ended yet those at the end are not judged. */
	REQUIRE(after.last.hits + after.last.wasted <= after.last.foreseen);
	WAIT_UNTIL(&d, (uint64_t)(live_stat(&d, "foreseen_hits") +
				  live_stat(&d, "foreseen_wasted")) == after.foreseen);
	EQ(live_stat(&d, "foreseen"), after.foreseen);
	EQ(live_stat(&d, "profiles_ended"), 0);
	end(&d);
}

static void
test_other(void)
{
	struct ran ran = { .refills = 0 };
	struct live d;

	start(&d, NULL, NULL);
	for (unsigned n = 0; n < TRIES_MAX && strcmp(ran.state, "ended") != 0; n++) {
		while (files() > 0)
			EQ(unlink(name), 0);
		(void)first(&d, "", 1);
		ran = run(&d, "", "broken", 0);
	}
	REQUIRE(strcmp(ran.state, "ended") == 0, "%s, %llu hits, %llu wasted", ran.state,
	    (unsigned long long)ran.hits, (unsigned long long)ran.wasted);
	EQ(live_stat(&d, "profiles_ended"), 1);
	/* It has cost a part of what there was to come back to. */
	REQUIRE(ran.wasted < ran.refills / 2, "%llu of %llu", (unsigned long long)ran.wasted,
	    (unsigned long long)ran.refills);
	end(&d);
}

static void
damage(off_t at)
{
	int fd = open(name, O_RDWR | O_CLOEXEC);
	unsigned char byte;

	REQUIRE(fd >= 0 && pread(fd, &byte, 1, at) == 1);
	byte ^= 0x10;
	REQUIRE(pwrite(fd, &byte, 1, at) == 1);
	close(fd);
}

static void
test_refused(void)
{
	struct ran ran;
	struct stat st;
	struct live d;
	ino_t old;

	start(&d, NULL, NULL);
	(void)first(&d, "", 1);
	EQ(stat(name, &st), 0);
	/* A page, the header; what is too short; what others may read; what is only a name. */
	for (int i = 0; i < 5; i++) {
		EQ(files(), 1);
		if (i < 2)
			damage(i == 0 ? st.st_size - 3 : 40);
		else if (i == 2)
			EQ(truncate(name, st.st_size / 2), 0);
		else if (i == 3)
			EQ(chmod(name, 0644), 0);
		else
			REQUIRE(unlink(name) == 0 && symlink("/etc/passwd", name) == 0);
		EQ(lstat(name, &st), 0);
		old = st.st_ino;
		ran = run(&d, "", "", 0);
		REQUIRE(strcmp(ran.state, "new") == 0 && ran.foreseen == 0, "%d: %s", i, ran.state);
		EQ(live_stat(&d, "profiles_refused"), i + 1);
		/* A good one takes its place. */
		WAIT_UNTIL(&d, lstat(name, &st) == 0 && st.st_ino != old);
		REQUIRE(S_ISREG(st.st_mode) && (st.st_mode & 0777) == 0600);
	}
	end(&d);
}

/* As another user. */
#define AS "setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs"

static void
test_user(void)
{
	char command[4096], roots[sizeof(name)], theirs[sizeof(name)];
	struct stat st;
	struct ran ran;
	struct live d;

	if (geteuid() != 0) {
		puts("only root can become another user");
		exit(77);
	}
	snprintf(command, sizeof(command), AS " test -x %s -a -x %s", getenv("RUN_AGAIN"),
	    getenv("PAGERCTL"));
	if (system(command) != 0) {
		puts("another user cannot run what was built here");
		exit(77);
	}
	start(&d, "--socket-mode", "0666");
	(void)first(&d, "", 1);
	memcpy(roots, name, sizeof(name));
	snprintf(command, sizeof(command), "! " AS " cat %s >/dev/null 2>&1", roots);
	EQ(system(command), 0);
	snprintf(command, sizeof(command), "! " AS " ls %s >/dev/null 2>&1", directory);
	EQ(system(command), 0);
	/* What root has is nothing of another user's. */
	(void)first(&d, AS, 2);
	snprintf(theirs, sizeof(theirs), "%s/65534-%s", directory, strrchr(roots, '-') + 1);
	EQ(stat(theirs, &st), 0);
	EQ(st.st_uid, 65534);
	EQ(st.st_mode & 0777, 0600);
	snprintf(command, sizeof(command), AS " cat %s >/dev/null", theirs);
	EQ(system(command), 0);
	/* Nor is it under that user's name. */
	snprintf(command, sizeof(command), "cp %s %s && chown 65534 %s && chmod 0600 %s", roots,
	    theirs, theirs, theirs);
	EQ(system(command), 0);
	ran = run(&d, AS, "", 0);
	REQUIRE(strcmp(ran.state, "new") == 0, "%s", ran.state);
	EQ(live_stat(&d, "profiles_refused"), 1);
	end(&d);
}

static void
test_killed(void)
{
	struct ran ran;
	struct live d;

	start(&d, NULL, NULL);
	ran = run(&d, "", "killed", 128 + SIGKILL);
	REQUIRE(ran.gathered > 2000);
	WAIT_UNTIL(&d, files() == 1);
	(void)run_helped(&d, "killed", 128 + SIGKILL, NULL);
	end(&d);
}

/* A profile that cannot be written leaves the one that there was. */
static void
test_unwritten(void)
{
	struct stat before, after;
	struct live d;

	start(&d, NULL, NULL);
	(void)first(&d, "", 1);
	EQ(stat(name, &before), 0);
	EQ(live_pagerctl(&d, said, sizeof(said), "debug", "fail", "PROFILE_WRITE:0:1", NULL), 0);
	(void)run(&d, "", "", 0);
	live_stop(&d);
	EQ(files(), 1);
	EQ(stat(name, &after), 0);
	EQ(before.st_ino, after.st_ino);
	live_start(&d, "8M", "--no-swap", "--profiles", directory, NULL);
	REQUIRE(strcmp(run(&d, "", "", 0).state, "used") == 0);
	end(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = {
		{ "second", test_second },
		{ "other", test_other },
		{ "refused", test_refused },
		{ "user", test_user },
		{ "killed", test_killed },
		{ "unwritten", test_unwritten },
	};

	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
