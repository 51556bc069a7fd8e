/* SPDX-License-Identifier: MIT
 *
 * pagerctl top on a terminal, which tmux plays: what it shows, in which sizes, what its keys do to
 * clients, colours, and how it ends. Skipped where there is no tmux.
 *
 * usage: e_top acts|ends|runs
 */
#include "harness.h"

#include <stdarg.h>
#include <sys/wait.h>

#define MIB (1ull << 20)

static char text[1 << 16];
static char place[128]; /* of tmux's socket and of errors */

/* --- the terminal --- */

/* Runs a command of tmux's, in a server of the test's own, with its output in `text`. The server
 * ends with its last program, and that with the daemon. => the exit status */
static int __attribute__((format(printf, 1, 2))) tmux(const char *fmt, ...)
{
	char command[1024];
	va_list args;
	FILE *pipe;
	int n, status;

	n = snprintf(command, sizeof(command), "tmux -f /dev/null -S %s/tmux ", place);
	va_start(args, fmt);
	vsnprintf(command + n, sizeof(command) - (size_t)n, fmt, args);
	va_end(args);
	pipe = popen(command, "re");
	REQUIRE(pipe, "%s", strerror(errno));
	text[fread(text, 1, sizeof(text) - 1, pipe)] = '\0';
	status = pclose(pipe);
	REQUIRE(WIFEXITED(status), "%s: signal %d", command, WTERMSIG(status));
	return WEXITSTATUS(status);
}

/* before: settings of the environment. A server that is just ending takes no session any more. */
static void
top_start(struct live *d, const char *before, const char *options)
{
	WAIT_UNTIL(
	    d, tmux("new-session -d -x 80 -y 24 '%s %s --socket %s top -i 0.1 %s 2>%s/errors'",
		   before, getenv("PAGERCTL"), d->socket, options, place) == 0);
}

static bool
shows(const char *part)
{
	EQ(tmux("capture-pane -p"), 0);
	return strstr(text, part) != NULL;
}
#define WAIT_SHOWN(d, part)  WAIT_UNTIL(d, shows(part))
#define WAIT_HIDDEN(d, part) WAIT_UNTIL(d, !shows(part))

/* Text that is typed, then perhaps a key by its name. */
static void
type(const char *letters, const char *key)
{
	EQ(tmux("send-keys -l -- '%s'", letters), 0);
	if (key)
		EQ(tmux("send-keys %s", key), 0);
}

static bool
is_over(void)
{
	return tmux("has-session 2>/dev/null") != 0;
}

/* The program has ended, with this text on its standard error. */
static void
has_said(const char *error)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/errors", place);
	file = fopen(path, "re");
	REQUIRE(file, "%s: %s", path, strerror(errno));
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	if (error[0] == '\0')
		REQUIRE(text[0] == '\0', "%s", text);
	else
		REQUIRE(strstr(text, error), "no \"%s\" in: %s", error, text);
}

static void
ends_with(struct live *d, const char *error)
{
	WAIT_UNTIL(d, is_over());
	has_said(error);
}

/* --- clients --- */

static _Atomic unsigned *ready;

static void
client(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	size_t bytes = (size_t)(uintptr_t)argument;
	unsigned char *memory = client_allocate(p, bytes);

	for (size_t at = 0; at < bytes; at += d->page_bytes)
		memory[at] = 1;
	(*ready)++;
	for (;;)
		pause();
}

static void
says(struct live *d, const char *verb, pid_t pid, const char *argument, const char *part)
{
	char number[16], said[4096];

	snprintf(number, sizeof(number), "%d", (int)pid);
	EQ(live_pagerctl(d, said, sizeof(said), verb, number, argument, NULL), 0);
	REQUIRE(strstr(said, part), "no \"%s\" in: %s", part, said);
}

/* --- the tests --- */

static void
act(struct live *d, pid_t pid)
{
	char row[32], number[16], said[1024];
	int status;

	snprintf(row, sizeof(row), "\n%7d ", (int)pid);
	EQ(tmux("send-keys -l -- '/%d'", (int)pid), 0);
	type("", "Enter");
	WAIT_SHOWN(d, "; only ");
	WAIT_SHOWN(d, row);
	type("l4M", "Enter");
	WAIT_SHOWN(d, "to 4M of resident memory? (y/n)");
	type("n", NULL);
	WAIT_SHOWN(d, "nothing was done");
	says(d, "limit", pid, "none", "(was none)");
	type("l4M", "Enter");
	type("y", NULL);
	WAIT_SHOWN(d, "to 4M of resident memory: done");
	says(d, "limit", pid, "none", "(was 4M)");
	/* Limits of other kinds are shown, too. */
	snprintf(number, sizeof(number), "%d", (int)pid);
	EQ(live_pagerctl(d, said, sizeof(said), "limit", number, "64M", "footprint-fatal", NULL),
	    0);
	WAIT_SHOWN(d, "   64M  180 ");
	EQ(live_pagerctl(d, said, sizeof(said), "limit", number, "none", "footprint-fatal", NULL),
	    0);
	WAIT_SHOWN(d, "     -  180 ");
	type("pidle", "Enter");
	type("y", NULL);
	WAIT_SHOWN(d, "into band 0 (idle): done");
	says(d, "priority", pid, NULL, ": 0 (idle)");
	type("fy", NULL);
	WAIT_SHOWN(d, " frozen ");
	type("uy", NULL);
	WAIT_HIDDEN(d, " frozen ");
	type("", "Enter");
	WAIT_SHOWN(d, "REGION TYPE");
	WAIT_SHOWN(d, " 8M");
	type("q", NULL);
	WAIT_SHOWN(d, row);
	type("k", "BSpace BSpace BSpace BSpace");
	type("KILL", "Enter");
	WAIT_SHOWN(d, "send signal 9 (KILL)");
	client_forget(pid);
	type("y", NULL);
	EQ(waitpid(pid, &status, 0), pid);
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %x", status);
	WAIT_HIDDEN(d, row);
}

static void
acts(void)
{
	char first_row[32], second_row[32];
	pid_t first, second;
	struct live d;

	live_start(&d, "16M", NULL);
	live_directory_make(place, sizeof(place));
	ready = shared_alloc(sizeof(*ready));
	first = client_start(&d, client, (void *)(uintptr_t)(8 * MIB));
	second = client_start(&d, client, (void *)(uintptr_t)MIB);
	WAIT_UNTIL(&d, *ready == 2);
	snprintf(first_row, sizeof(first_row), "\n%7d ", (int)first);
	snprintf(second_row, sizeof(second_row), "\n%7d ", (int)second);
	top_start(&d, "", "");
	WAIT_SHOWN(&d, "memory 16M [A");
	WAIT_SHOWN(&d, "C compressor");
	WAIT_SHOWN(&d, "FOOTP*");
	WAIT_SHOWN(&d, "q quit\n");
	/* By footprint, and the other way round. */
	WAIT_UNTIL(&d, shows(first_row) && strstr(text, second_row) > strstr(text, first_row));
	type("r", NULL);
	WAIT_UNTIL(&d, shows(second_row) && strstr(text, first_row) > strstr(text, second_row));
	type("t", NULL);
	WAIT_SHOWN(&d, "user ");
	type("t", NULL);
	WAIT_HIDDEN(&d, "user ");
	type("h", NULL);
	WAIT_SHOWN(&d, "columns: pid");
	/* Any size; the help stays. */
	EQ(tmux("resize-window -x 130 -y 30"), 0);
	WAIT_SHOWN(&d, "stall limit band state name\n");
	type("h", NULL);
	WAIT_SHOWN(&d, "SWIN/s");
	EQ(tmux("resize-window -x 40 -y 8"), 0);
	WAIT_UNTIL(&d, !shows("memory") && strstr(text, "FOOTP*"));
	EQ(tmux("resize-window -x 9 -y 2"), 0);
	WAIT_HIDDEN(&d, "FOOTP*");
	EQ(tmux("resize-window -x 80 -y 24"), 0);
	WAIT_SHOWN(&d, "memory 16M [A");
	act(&d, first);
	type("q", NULL);
	ends_with(&d, "");
	client_kill(second);
	live_stop(&d);
}

/* => whether the screen has a coloured letter (SGR 30 to 37) */
static bool
is_coloured(void)
{
	EQ(tmux("capture-pane -p -e"), 0);
	for (const char *at = text; (at = strstr(at, "\033[")) != NULL; at++)
		if (at[2] == '3' && at[3] >= '0' && at[3] <= '7')
			return true;
	return false;
}

/* Whether that file has that content by now. */
static bool
has_written(const char *name, const char *content)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", place, name);
	file = fopen(path, "re");
	if (!file)
		return false;
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	return strcmp(text, content) == 0;
}

static void
ends(void)
{
	struct live d;
	pid_t pid;

	live_start(&d, "16M", NULL);
	live_directory_make(place, sizeof(place));
	ready = shared_alloc(sizeof(*ready));
	pid = client_start(&d, client, (void *)(uintptr_t)MIB);
	WAIT_UNTIL(&d, *ready == 1);
	top_start(&d, "env -u NO_COLOR TERM=screen", "");
	WAIT_UNTIL(&d, is_coloured());
	type("q", NULL);
	ends_with(&d, "");
	top_start(&d, "NO_COLOR=1", "");
	WAIT_SHOWN(&d, "memory 16M [A");
	REQUIRE(!is_coloured(), "%s", text);
	type("", "C-c");
	ends_with(&d, "");
	top_start(&d, "", "-c 2"); /* two pictures */
	ends_with(&d, "");
	top_start(&d, "TERM=nonsense", "");
	ends_with(&d, "cannot draw on this terminal; set TERM, or use --batch");
	/* The terminal goes, and the signal that says so is ignored. */
	WAIT_UNTIL(&d,
	    tmux("new-session -d -x 80 -y 24 'trap \"\" HUP; %s --socket %s top; echo $? >%s/over'",
		getenv("PAGERCTL"), d.socket, place) == 0);
	WAIT_SHOWN(&d, "memory 16M [");
	(void)tmux("kill-server");
	WAIT_UNTIL(&d, has_written("over", "0\n"));
	/* The daemon goes: the terminal is given back, and the reason is said. */
	top_start(&d, "", "");
	WAIT_SHOWN(&d, "memory 16M [");
	client_kill(pid);
	live_kill(&d);
	while (!is_over())
		continue;
	has_said("cannot read statistics and clients: ");
	REQUIRE(strstr(text, "pagerd hung up"), "%s", text);
}

/* Programs under `pagerctl run`, in a process group of their own. */
static void
run_client(struct live *d, void *argument)
{
	const char *name = argument;

	setpgid(0, 0);
	if (name)
		execl(getenv("PAGERCTL"), "pagerctl", "--socket", d->socket, "run", "--name", name,
		    "--", getenv("RUN_HOLD"), "2", "child", (char *)NULL);
	else
		execl(getenv("PAGERCTL"), "pagerctl", "--socket", d->socket, "run", "--",
		    getenv("RUN_HOLD"), "1", (char *)NULL);
	_exit(127);
}

static void
run_end(pid_t pid)
{
	client_forget(pid);
	EQ(kill(-pid, SIGKILL), 0);
	EQ(waitpid(pid, NULL, 0), pid);
}

/* In the tree a run is a line with its programs below it. */
static void
runs(void)
{
	pid_t named, unnamed, other;
	struct live d;

	live_start(&d, "16M", NULL);
	live_directory_make(place, sizeof(place));
	ready = shared_alloc(sizeof(*ready));
	named = client_start(&d, run_client, (void *)(uintptr_t) "sorter");
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 2);
	unnamed = client_start(&d, run_client, NULL);
	other = client_start(&d, client, (void *)(uintptr_t)MIB);
	top_start(&d, "", "-t");
	EQ(tmux("resize-window -x 130 -y 30"), 0);
	WAIT_SHOWN(&d, ", 4 clients\n");
	WAIT_SHOWN(&d, "   run sorter, 2 clients\n");
	/* The program and its child, one below the other. */
	WAIT_UNTIL(&d, shows(", 1 client\n") && strstr(text, "   run 2, 1 client\n") &&
			   strstr(text, "     sorter\n") && strstr(text, "       run_hold\n"));
	type("/sorter", "Enter");
	WAIT_HIDDEN(&d, "run 2, ");
	WAIT_SHOWN(&d, "   run sorter, 2 clients\n");
	type("q", NULL);
	ends_with(&d, "");
	run_end(named);
	run_end(unnamed);
	client_kill(other);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = { { "acts", acts }, { "ends", ends },
		{ "runs", runs } };

	if (system("command -v tmux >/dev/null") != 0) {
		puts("there is no tmux");
		return 77;
	}
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
