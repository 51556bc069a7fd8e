/* SPDX-License-Identifier: MIT */
#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "harness_priv.h"
#include "threads.h"

#define CHILDREN_MAX 1024

/* Where a process of the test is, as it has written itself. The strings are the program's. */
struct place {
	const char *file, *condition; /* what it last waited for; NULL: it never has */
	int line;
	time_t at_s;    /* when it last looked whether the condition holds */
	unsigned stage; /* the last one that it was at, or waited for; 0: none */
};

/* A process of the test. Lies in memory that all of them share. */
struct process {
	_Atomic pid_t pid; /* 0: no process */
	struct place place;
};

struct harness harness;
uint64_t live_seed;
static uint64_t scale = 100;
static struct process *children; /* [CHILDREN_MAX] clients and the daemon */
static struct process *first;    /* the test itself */

/* A test without progress for LIVE_TIMEOUT seconds hangs; with progress it may take ten times as
 * long, on a slow or busy machine. */
#define PATIENCE_TIMES 10u
#define LOOK_S         5u
static unsigned patience_s; /* LIVE_TIMEOUT */

/* --- the end --- */

void
directory_remove(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	char name[512];

	while (dir && (e = readdir(dir)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		if (unlink(name) < 0)
			directory_remove(name);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

static void
remove_directories(void)
{
	for (int i = 0; i < 2 && !getenv("LIVE_KEEP"); i++)
		if (harness.directories[i][0])
			directory_remove(harness.directories[i]);
}

static void
kill_all(void)
{
	for (int i = 0; i < CHILDREN_MAX; i++) {
		if (children[i].pid > 0)
			kill(children[i].pid, SIGKILL);
		children[i].pid = 0;
	}
}

static void
at_end(void)
{
	if (getpid() != harness.first_process)
		return;
	kill_all();
	remove_directories();
}

static void
show_file(const char *path, const char *title)
{
	char text[8192];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	lseek(fd, -(off_t)sizeof(text), SEEK_END);
	n = read(fd, text, sizeof(text));
	close(fd);
	if (n > 0)
		fprintf(stderr, "--- %s\n%.*s---\n", title, (int)n, text);
}

/* Threads of a process that wait in the same place are shown in one line. */
struct group {
	char where[256], threads[400];
};
struct groups {
	struct group groups[64];
	unsigned count;
};

static bool
group_thread(pid_t pid, pid_t thread, void *argument)
{
	char name[32], wait[64], call[128], where[sizeof(((struct group *)0)->where)];
	struct groups *g = argument;
	size_t end;
	unsigned i;

	thread_file_read(pid, thread, "comm", name, sizeof(name));
	thread_file_read(pid, thread, "wchan", wait, sizeof(wait));
	thread_file_read(pid, thread, "syscall", call, sizeof(call));
	/* The number of the call without its arguments; "running", or -1 in a page fault. */
	call[strcspn(call, " ")] = '\0';
	snprintf(where, sizeof(where), "%s in %s, system call %s:", name, wait, call);
	for (i = 0; i < g->count && strcmp(g->groups[i].where, where) != 0; i++)
		continue;
	if (i == sizeof(g->groups) / sizeof(g->groups[0]))
		return true;
	if (i == g->count) {
		snprintf(g->groups[i].where, sizeof(g->groups[i].where), "%s", where);
		g->groups[i].threads[0] = '\0';
		g->count++;
	}
	end = strlen(g->groups[i].threads);
	snprintf(
	    g->groups[i].threads + end, sizeof(g->groups[i].threads) - end, " %d", (int)thread);
	return true;
}

/* What each thread of the process waits in. */
static void
show_threads(pid_t pid)
{
	static struct groups groups;

	groups.count = 0;
	threads_each(pid, group_thread, &groups);
	for (unsigned i = 0; i < groups.count; i++)
		fprintf(stderr, "  %s%s\n", groups.groups[i].where, groups.groups[i].threads);
}

static time_t
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* The stage that it has got to, and what it waits for or waited for last. */
static void
show_place(const char *who, const struct process *process)
{
	const struct place *place = &process->place;

	fprintf(stderr, "%s %d:", who, (int)process->pid);
	if (place->stage)
		fprintf(stderr, " stage %u;", place->stage);
	if (place->file)
		fprintf(stderr, " %s:%d: waited for %s, %lld s ago", place->file, place->line,
		    place->condition, (long long)(seconds() - place->at_s));
	fputc('\n', stderr);
}

static void
show_statistics(void)
{
	static int64_t values[512];
	struct live *d = harness.current;
	int r;

	if (!d || !d->pid || !d->stats.header)
		return;
	r = statread_snapshot(&d->stats, values);
	fprintf(stderr, "--- statistics");
	if (r != 0)
		fprintf(stderr, " cannot be read: %s", strerror(-r));
	for (uint32_t i = 0; r == 0 && i < d->stats.count; i++)
		if (values[i])
			fprintf(
			    stderr, " %s %lld", d->stats.descriptors[i].name, (long long)values[i]);
	fputc('\n', stderr);
}

/* What matters most comes last: a long report is cut at its beginning. */
static void
show_state(void)
{
	char path[200];

	if (!harness.directories[0][0])
		return;
	snprintf(path, sizeof(path), "%s/log", harness.directories[0]);
	show_file(path, "pagerd's log");
	if (harness.daemon_pid) {
		fprintf(stderr, "--- pagerd %d\n", (int)harness.daemon_pid);
		show_threads(harness.daemon_pid);
	}
	show_statistics();
	for (int i = 0; i < CHILDREN_MAX; i++) {
		pid_t pid = children[i].pid;

		if (pid <= 0 || pid == harness.daemon_pid)
			continue;
		show_place("--- client", &children[i]);
		show_threads(pid);
	}
	show_place("--- the test", first);
}

void
live_fail(const char *file, int line, const char *fmt, ...)
{
	va_list args;
	char text[2048];

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	fprintf(stderr, "FAILED (process %d, seed %llu): %s:%d: %s\n", (int)getpid(),
	    (unsigned long long)live_seed, file, line, text);
	if (getpid() != harness.first_process)
		_exit(1);
	show_state();
	exit(1);
}

void
live_fail_condition(const char *file, int line, const char *condition, const char *fmt, ...)
{
	va_list args;
	char text[2048];

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	live_fail(file, line, "not: %s%s%s", condition, text[1] ? ":" : "", text[1] ? text : "");
}

/* Whether a counter of the daemon has changed since the last look: everything that happens in
 * the daemon is counted somewhere. Without a daemon there is nothing to look at. */
static bool
makes_progress(void)
{
	static int64_t values[512], last;
	int64_t sum = 0;
	bool changed;

	if (!harness.current || !harness.current->pid || !harness.current->stats.header ||
	    statread_snapshot(&harness.current->stats, values) != 0)
		return true;
	for (uint32_t i = 0; i < harness.current->stats.count; i++)
		if (harness.current->stats.descriptors[i].kind == SHMSTAT_COUNTER)
			sum += values[i];
	changed = sum != last;
	last = sum;
	return changed;
}

/* Every LOOK_S seconds. => whether the test may go on */
static bool
is_patient(void)
{
	static unsigned total_s, still_s;

	total_s += LOOK_S;
	still_s = makes_progress() ? 0 : still_s + LOOK_S;
	if (still_s >= patience_s || total_s >= PATIENCE_TIMES * patience_s)
		return false;
	alarm(LOOK_S);
	return true;
}

static void
on_signal(int signal)
{
	if (getpid() != harness.first_process)
		_exit(1);
	if (signal == SIGALRM && is_patient())
		return;
	/* Not async-signal-safe, but the test is over, and the text is worth the risk. */
	fprintf(stderr, "FAILED (seed %llu): %s\n", (unsigned long long)live_seed,
	    signal == SIGALRM ? "the test hangs" : "told to end");
	show_state();
	if (getenv("LIVE_PAUSE"))
		pause();
	kill_all();
	remove_directories();
	_exit(1);
}

/* --- start --- */

static uint64_t
number_from(const char *name, uint64_t fallback)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : fallback;
}

void
live_init(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	int fd = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);

	(void)argc;
	if (fd < 0) {
		fprintf(
		    stderr, "skipped: /dev/userfaultfd cannot be opened: %s\n", strerror(errno));
		exit(77);
	}
	close(fd);
	harness.pagerd = getenv("PAGERD");
	harness.pagerctl = getenv("PAGERCTL");
	if (!harness.pagerd || !harness.pagerctl) {
		fprintf(stderr,
		    "%s: PAGERD and PAGERCTL must name the built programs (meson test does it)\n",
		    argv[0]);
		exit(2);
	}
	harness.first_process = getpid();
	children = shared_alloc((CHILDREN_MAX + 1) * sizeof(*children));
	first = &children[CHILDREN_MAX];
	first->pid = harness.first_process;
	live_seed = number_from("LIVE_SEED", 1);
	scale = number_from("LIVE_SCALE", 100);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("seed %llu (LIVE_SEED), scale %llu%% (LIVE_SCALE)\n", (unsigned long long)live_seed,
	    (unsigned long long)scale);
	atexit(at_end);
	sigaction(SIGALRM, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	patience_s = (unsigned)number_from("LIVE_TIMEOUT", 100);
	alarm(LOOK_S);
}

uint64_t
live_scaled(uint64_t n)
{
	uint64_t scaled = n * scale / 100;

	return scaled ? scaled : 1;
}

int
live_run(int argc, char **argv, const struct live_test *tests, size_t count)
{
	for (size_t i = 0; argc > 1 && i < count; i++)
		if (strcmp(argv[1], tests[i].name) == 0) {
			tests[i].run();
			return 0;
		}
	fprintf(stderr, "usage: %s TEST, which is one of", argv[0]);
	for (size_t i = 0; i < count; i++)
		fprintf(stderr, " %s", tests[i].name);
	fputc('\n', stderr);
	return 2;
}

/* --- processes --- */

void
child_add(pid_t pid)
{
	/* A client's own children end with it. */
	if (getpid() != harness.first_process)
		return;
	for (int i = 0; i < CHILDREN_MAX; i++)
		if (children[i].pid == 0) {
			memset(&children[i].place, 0, sizeof(children[i].place));
			children[i].pid = pid;
			return;
		}
	FAIL("too many processes");
}

void
child_remove(pid_t pid)
{
	for (int i = 0; i < CHILDREN_MAX; i++)
		if (children[i].pid == pid)
			children[i].pid = 0;
}

/* The caller's own place, or NULL: its parent has not noted it yet, or does not watch it. */
static struct place *
place_mine(void)
{
	static struct process *mine;
	pid_t self = getpid();

	if (self == harness.first_process)
		return &first->place;
	for (int i = 0; (!mine || mine->pid != self) && i < CHILDREN_MAX; i++)
		if (children[i].pid == self)
			mine = &children[i];
	return mine && mine->pid == self ? &mine->place : NULL;
}

void
live_stage_note(unsigned stage)
{
	struct place *place = place_mine();

	if (place)
		place->stage = stage;
}

void
child_begin(void)
{
	signal(SIGALRM, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

int
child_reap(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	child_remove(pid);
	return status;
}

void
must_be_alive(struct live *d)
{
	pid_t pid = d->keeper ? d->keeper : d->pid;
	int status;

	if (pid && waitpid(pid, &status, WNOHANG) == pid) {
		child_remove(pid);
		harness.daemon_pid = 0;
		FAIL("pagerd ended: %s %d", WIFSIGNALED(status) ? "signal" : "status",
		    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	}
}

/* A client that has failed ends the test at once, even if the test waits for another one. */
static void
clients_must_be_well(void)
{
	for (int i = 0; i < CHILDREN_MAX; i++) {
		siginfo_t info = { 0 };

		pid_t pid = children[i].pid;

		if (pid <= 0 || pid == harness.daemon_pid)
			continue;
		if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
		    info.si_pid == 0)
			continue;
		if (info.si_code != CLD_EXITED)
			FAIL("client %d was ended by signal %d (%s)", (int)pid, info.si_status,
			    strsignal(info.si_status));
		if (info.si_status != 0)
			FAIL("client %d ended with status %d", (int)pid, info.si_status);
	}
}

void
live_tick_at(struct live *d, const char *file, int line, const char *condition)
{
	struct place *place = place_mine();

	if (place)
		*place = (struct place){ file, condition, line, seconds(), place->stage };
	/* Clients wait for events too; only the first process may wait for processes. */
	if (getpid() == harness.first_process) {
		must_be_alive(d);
		clients_must_be_well();
	}
	usleep(1000);
}
