/* SPDX-License-Identifier: MIT
 *
 * pagerctl run, and how it may end: the launcher is killed, or the daemon, or both, and however
 * long the chains of its processes are: nothing is left, no process, none that waits for ever, no
 * file, no descriptor.
 *
 * What the test starts is handed to it when it is orphaned, so it can wait until all has ended.
 *
 * usage: e_run_ends daemon|launcher|both|left|execs|forks|heirs
 */
#include "harness.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#define WORDS_MAX 12

static char place[128]; /* of the test's files */

/* A run with a daemon of its own. */
struct running {
	pid_t launcher, daemon, program;
	int output;
	char socket[100], directory[100];
};

/* Starts `pagerctl` with these words. */
static void
launch(struct running *r, const char *const *words)
{
	char errors[256];
	int output[2];

	snprintf(errors, sizeof(errors), "%s/errors", place);
	REQUIRE(pipe2(output, O_CLOEXEC) == 0);
	r->launcher = fork();
	REQUIRE(r->launcher >= 0);
	if (r->launcher == 0) {
		char *arguments[WORDS_MAX + 2] = { getenv("PAGERCTL") };

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int i = 0; i < WORDS_MAX && words[i]; i++)
			arguments[i + 1] = (char *)(uintptr_t)words[i];
		dup2(output[1], STDOUT_FILENO);
		dup2(open(errors, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), STDERR_FILENO);
		execv(arguments[0], arguments);
		_exit(127);
	}
	close(output[1]);
	r->output = output[0];
}

/* => what the program has printed first, without the end of the line */
static void
line_read(const struct running *r, char *line, size_t size)
{
	size_t used = 0;

	while (used + 1 < size && read(r->output, line + used, 1) == 1 && line[used] != '\n')
		used++;
	line[used] = '\0';
}

/* Whose socket it is. */
static pid_t
daemon_of(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	socklen_t length = sizeof(struct ucred);
	struct ucred peer;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	REQUIRE(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "%s: %s", path,
	    strerror(errno));
	REQUIRE(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0);
	close(fd);
	return peer.pid;
}

/* A run whose processes have all gone through their memory, which is more than there is. */
static void
run_hold(struct running *r, const char *const *who)
{
	const char *words[WORDS_MAX + 1] = { "run", "--memory", "8M", "--", getenv("RUN_HOLD"),
		"4" };
	char line[256];

	for (int i = 0; who && who[i]; i++)
		words[6 + i] = who[i];
	launch(r, words);
	line_read(r, line, sizeof(line));
	REQUIRE(sscanf(line, "%d %99s", &r->program, r->socket) == 2 &&
		    strncmp(r->socket, "/var/tmp/pagerctl-run.", 22) == 0,
	    "%s", line);
	snprintf(r->directory, sizeof(r->directory), "%.*s",
	    (int)(strrchr(r->socket, '/') - r->socket), r->socket);
	r->daemon = daemon_of(r->socket);
	REQUIRE(access(r->directory, F_OK) == 0);
}

static bool
has_said(const char *text)
{
	char path[256], said[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/errors", place);
	file = fopen(path, "re");
	REQUIRE(file != NULL);
	said[fread(said, 1, sizeof(said) - 1, file)] = '\0';
	fclose(file);
	return strstr(said, text) != NULL;
}

/* Waits until nothing is left of it that could wait for ever. => how the launcher has ended */
static int
all_end(const struct running *r)
{
	int status, launchers = -1;
	pid_t pid;

	while ((pid = waitpid(-1, &status, 0)) > 0 || errno == EINTR)
		if (pid == r->launcher)
			launchers = status;
	EQ(errno, ECHILD);
	return launchers;
}

static const char *const many[] = { "child", "orphan", "over", NULL };

static void
test_daemon(void)
{
	struct running r;
	int status;

	run_hold(&r, many);
	REQUIRE(kill(r.daemon, SIGKILL) == 0);
	status = all_end(&r);
	REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 125, "status %x", (unsigned)status);
	REQUIRE(has_said("pagerd has ended, and its memory with it: the program was killed"));
	EQ(access(r.directory, F_OK), -1);
}

static void
test_launcher(void)
{
	struct running r;
	int status;

	run_hold(&r, many);
	REQUIRE(kill(r.launcher, SIGKILL) == 0);
	status = all_end(&r);
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %x", (unsigned)status);
	EQ(access(r.directory, F_OK), -1);
}

/* What nobody could remove is removed by the next one, and only that. */
static void
test_both(void)
{
	const char *const words[] = { "run", "--memory", "8M", "--", "true", NULL };
	struct running lives, dead, next;
	int status;

	run_hold(&lives, NULL);
	run_hold(&dead, NULL);
	REQUIRE(kill(dead.launcher, SIGSTOP) == 0 && kill(dead.daemon, SIGKILL) == 0 &&
		kill(dead.launcher, SIGKILL) == 0);
	/* The daemon and the program, which are handed over. */
	for (int i = 0; i < 3; i++)
		REQUIRE(waitpid(-1, &status, 0) > 0);
	/* Or by one of another test. */
	launch(&next, words);
	REQUIRE(waitpid(next.launcher, &status, 0) == next.launcher);
	EQ(status, 0);
	EQ(access(dead.directory, F_OK), -1);
	EQ(access(lives.socket, F_OK), 0);
	/* What is sent to the launcher is for the program. */
	REQUIRE(kill(lives.launcher, SIGTERM) == 0);
	status = all_end(&lives);
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "status %x", (unsigned)status);
	EQ(access(lives.directory, F_OK), -1);
}

/* The program has ended, and the daemon is killed while what it has left behind lives on. */
static void
test_left(void)
{
	static const char *const who[] = { "child", "orphan", "end", NULL };
	struct running r;
	int status;

	run_hold(&r, who);
	/* It ends, and the launcher waits for what is left. */
	while (kill(r.program, 0) == 0)
		usleep(1000);
	REQUIRE(kill(r.daemon, SIGKILL) == 0);
	status = all_end(&r);
	EQ(status, 0);
	REQUIRE(has_said("its memory with it: what the program had left behind was killed"));
	EQ(access(r.directory, F_OK), -1);
}

/* --- long chains, with the test's daemon --- */

static void
chain_run(struct live *d, const char *kind, const char *count)
{
	const char *words[] = { "--socket", d->socket, "run", "--", getenv("RUN_CHAIN"), kind,
		count, NULL };
	struct running r;
	char line[64];

	launch(&r, words);
	line_read(&r, line, sizeof(line));
	REQUIRE(strcmp(line, "done") == 0, "it says \"%s\"", line);
	close(r.output);
	WAIT_UNTIL(d, live_stat(d, "sessions") == 0);
}

/* Descriptors that clients make. Others the daemon opens once, when it first needs them. */
static unsigned
descriptors_of_clients(struct live *d)
{
	static const char *const kinds[] = { "userfaultfd", "pidfd", "socket:", "memfd:" };
	unsigned count = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		count += live_descriptors_count(d->pid, kinds[i]);
	return count;
}

/* A long chain leaves no more than a short one. */
static void
chain(const char *kind, const char *count)
{
	unsigned descriptors;
	struct running none = { .launcher = 0 };
	struct live d;

	live_start(&d, "8M", NULL);
	chain_run(&d, kind, "2");
	live_rest(&d);
	descriptors = descriptors_of_clients(&d);
	chain_run(&d, kind, count);
	WAIT_UNTIL(&d, descriptors_of_clients(&d) <= descriptors);
	live_check(&d);
	live_stop(&d);
	(void)all_end(&none);
}

static void
test_execs(void)
{
	chain("execs", "100");
}

static void
test_forks(void)
{
	chain("forks", "1000");
}

static void
test_heirs(void)
{
	chain("heirs", "1000");
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = {
		{ "daemon", test_daemon },
		{ "launcher", test_launcher },
		{ "both", test_both },
		{ "left", test_left },
		{ "execs", test_execs },
		{ "forks", test_forks },
		{ "heirs", test_heirs },
	};

	live_init(argc, argv);
	live_directory_make(place, sizeof(place));
	REQUIRE(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	return LIVE_RUN(argc, argv, tests);
}
