/* SPDX-License-Identifier: MIT
 *
 * pagerctl run: a program that does not know of pagerd, with libpagerrun.so preloaded. With a
 * running daemon this process becomes the program. With --memory it starts a daemon, and with
 * --report it has something to say afterwards: then it waits for the program as a shell would, and
 * ends the way the program has ended.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bands.h"
#include "clock.h"
#include "out.h"
#include "run.h"
#include "size.h"

/* As env(1) and nice(1) have them: this program's own failures, and those of exec(2). */
enum { STATUS_OWN = 125, STATUS_NOT_RUN = 126, STATUS_NOT_FOUND = 127 };
#define LOOK_NS       50000000
#define SILENT_LOOKS  200u     /* ten seconds */
#define SAMPLE_NS     10000000 /* until the first look, and twice as long after each */
#define SAMPLE_NS_MAX 250000000

/* What was asked for. */
struct run {
	struct ctl *ctl;
	char **argv;
	uint64_t limit;           /* bytes; 0: none */
	int32_t band;             /* or PAGER_WIRE_BAND_NONE */
	struct run_daemon daemon; /* with --memory */
	struct run_group group;
	struct run_report report;
	sigset_t signals, before; /* those that are waited for; as it was */
};

/* => the status to exit with, explained */
static int
program_become(char **argv)
{
	int error;

	execvp(argv[0], argv);
	error = errno;
	fprintf(stderr, "pagerctl: run: %s: %s\n", argv[0], strerror(error));
	return error == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_RUN;
}

/* The daemon must serve in pages as the program knows them. => CTL_OK or CTL_FAILED, explained */
static int
daemon_look(struct ctl *ctl)
{
	int r = ctl_connect(ctl);

	if (r != CTL_OK)
		return r;
	if (ctl->hello.page_size == RUN_PROGRAM_PAGE)
		return CTL_OK;
	fprintf(stderr,
	    "pagerctl: run: this pagerd has pages of %llu bytes, and a program expects 4096; start "
	    "one with --page-size 4K, or use run --memory SIZE\n",
	    (unsigned long long)ctl->hello.page_size);
	return CTL_FAILED;
}

/* Whether a client of the daemon is left: a child that the program has left behind, for example.
 * => -1: the daemon does not answer */
static int
clients_are_left(struct ctl *ctl)
{
	static struct pager_rep_clients reply;
	struct pager_req_clients request = { 0 };
	struct chan_call call = { CHAN_CALL(CLIENTS, &request, &reply) };

	call.reply_bytes_min = offsetof(struct pager_rep_clients, clients);
	return ctl_ask(ctl, &call) == CTL_OK ? reply.count > 0 : -1;
}

/* The next of the signals; 0: it is time to look. */
static int
signal_wait(const struct run *run, struct run_samples *samples, uint64_t *pause, siginfo_t *got)
{
	struct timespec time = { .tv_nsec = (long)*pause };
	int r;

	if (!samples)
		return sigwaitinfo(&run->signals, got);
	r = sigtimedwait(&run->signals, got, &time);
	if (r >= 0 || errno != EAGAIN)
		return r;
	run_samples_take(samples);
	*pause = *pause < SAMPLE_NS_MAX / 2 ? 2 * *pause : SAMPLE_NS_MAX;
	return 0;
}

/* Waits for the program, and sends on to it what is sent to this process. What the terminal sends
 * goes to both. => its status as of wait(2); -1: the daemon has ended before it */
static int
program_wait(struct run *run, pid_t program, struct run_samples *samples)
{
	uint64_t pause = SAMPLE_NS;

	for (;;) {
		siginfo_t got = { 0 };
		int status;
		pid_t ended;

		if (signal_wait(run, samples, &pause, &got) <= 0)
			continue;
		if (got.si_signo != SIGCHLD) {
			if (got.si_code <= 0)
				kill(program, got.si_signo);
			continue;
		}
		while ((ended = waitpid(-1, &status, WNOHANG)) > 0) {
			if (ended == program)
				return status;
			if (ended == run->daemon.pid) {
				run->daemon.has_ended = true;
				return -1;
			}
		}
	}
}

/* As the program has ended. */
static int
end_as(int status)
{
	const struct rlimit none = { 0, 0 };
	sigset_t all;

	if (!WIFSIGNALED(status))
		return WEXITSTATUS(status);
	/* The program's core is the one of interest. */
	setrlimit(RLIMIT_CORE, &none);
	signal(WTERMSIG(status), SIG_DFL);
	sigfillset(&all);
	sigprocmask(SIG_UNBLOCK, &all, NULL);
	raise(WTERMSIG(status));
	return 128 + WTERMSIG(status);
}

static void
signals_block(struct run *run)
{
	sigfillset(&run->signals);
	/* Those end or stop this process as they would the program. */
	for (const int *s = (const int[]){ SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTSTP,
		 SIGTTIN, SIGTTOU, SIGCONT, SIGPIPE, 0 };
	     *s; s++)
		sigdelset(&run->signals, *s);
	sigprocmask(SIG_BLOCK, &run->signals, &run->before);
}

/* Runs in the child. */
static _Noreturn void
program_child(const struct run *run, pid_t launcher)
{
	/* Without the daemon, which ends with the launcher, its memory is lost. */
	if (run->daemon.pid > 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != launcher)
		_exit(STATUS_OWN);
	if (run_environment_set(run->ctl, &run->group, launcher, run->argv[0]) != CTL_OK)
		_exit(STATUS_OWN);
	sigprocmask(SIG_SETMASK, &run->before, NULL);
	_exit(program_become(run->argv));
}

/* Runs the program as a child. => its status as of wait(2); -1, explained: there is no daemon any
 * more, or no program */
static int
program_run(struct run *run)
{
	struct run_samples *samples = NULL;
	pid_t launcher = getpid(), program;
	double begin = clock_seconds();
	int status;

	fflush(NULL);
	program = fork();
	if (program == 0)
		program_child(run, launcher);
	if (program < 0) {
		fprintf(stderr, "pagerctl: run: %s\n", strerror(errno));
		return -1;
	}
	if (run->ctl->report)
		samples = run_samples_open(run->ctl, run->group.id);
	status = program_wait(run, program, samples);
	if (status < 0) {
		kill(program, SIGKILL);
		run_rest_end();
		fprintf(stderr,
		    "pagerctl: run: pagerd has ended, and its memory with it: the program was "
		    "killed\n");
		run_daemon_show_log(&run->daemon);
	} else if (run->ctl->report) {
		run->report.program = run->argv[0];
		run->report.pid = program;
		run->report.status = status;
		run->report.seconds = clock_seconds() - begin;
		(void)run_report_write(run->ctl, &run->report, &run->group, samples);
	}
	run_samples_close(samples);
	return status;
}

/* What is recorded of the group ends. A daemon that has ended has written what it had. */
static void
record_end(struct run *run)
{
	if (run->ctl->output)
		(void)record_stop(run->ctl);
}

/* The group, and where the report and the recording go. => CTL_OK or CTL_FAILED, explained */
static int
run_prepare(struct run *run)
{
	int r = run_report_open(run->ctl, &run->report);

	if (r == CTL_OK)
		r = run_group_make(run->ctl, run->limit, run->band, &run->group);
	if (r != CTL_OK)
		return r;
	/* What is brought in ahead would change what is recorded. */
	if (run->ctl->output)
		return record_start(run->ctl, run->group.id);
	run_profile_begin(run->ctl, run->group.id);
	return CTL_OK;
}

/* Children end unseen meanwhile: what the program has left behind. */
static bool
daemon_has_ended(struct run *run)
{
	pid_t ended;

	while ((ended = waitpid(-1, NULL, WNOHANG)) > 0)
		run->daemon.has_ended |= ended == run->daemon.pid;
	return run->daemon.has_ended;
}

/* Waits for what the program has left behind, or for the daemon. */
static void
rest_wait(struct run *run)
{
	const struct timespec tick = { .tv_nsec = LOOK_NS };
	unsigned silent = 0;

	/* A daemon that is killed answers no more for a while before it has ended. */
	while (!daemon_has_ended(run) && silent < SILENT_LOOKS) {
		int left = clients_are_left(run->ctl);

		if (left == 0)
			return;
		silent = left < 0 ? silent + 1 : 0;
		nanosleep(&tick, NULL);
	}
}

static int
run_privately(struct run *run)
{
	struct ctl *ctl = run->ctl;
	int status = -1;

	signals_block(run);
	if (run_daemon_start(ctl, &run->daemon) != CTL_OK)
		return STATUS_OWN;
	ctl->socket = run->daemon.socket;
	if (run_prepare(run) != CTL_OK) {
		run_daemon_stop(&run->daemon, false);
		return STATUS_OWN;
	}
	run_rest_adopt();
	status = program_run(run);
	if (status >= 0)
		rest_wait(run);
	if (!run->daemon.has_ended)
		record_end(run);
	ctl_disconnect(ctl);
	if (status >= 0 && daemon_has_ended(run)) {
		run_rest_end();
		fprintf(stderr,
		    "pagerctl: run: pagerd has ended, and its memory with it: what the program "
		    "had left behind was killed\n");
		run_daemon_show_log(&run->daemon);
	}
	run_daemon_stop(&run->daemon, daemon_has_ended(run));
	return status < 0 ? STATUS_OWN : end_as(status);
}

static int
run_here(struct run *run)
{
	int status;

	if (daemon_look(run->ctl) != CTL_OK || run_prepare(run) != CTL_OK)
		return STATUS_OWN;
	if (run->ctl->report || run->ctl->output) {
		signals_block(run);
		status = program_run(run);
		record_end(run);
		return status < 0 ? STATUS_OWN : end_as(status);
	}
	ctl_disconnect(run->ctl);
	return run_environment_set(run->ctl, &run->group, getpid(), run->argv[0]) == CTL_OK
		   ? program_become(run->argv)
		   : STATUS_OWN;
}

/* => CTL_OK or CTL_USAGE, explained */
static int
arguments_take(struct run *run)
{
	struct ctl *ctl = run->ctl;
	uint64_t bytes;

	if (ctl->memory && (size_parse(ctl->memory, &bytes) < 0 || bytes == 0))
		return ctl_usage(
		    ctl, "\"%s\" is not a size; say 64M or 2G, for example", ctl->memory);
	if (ctl->swap_directory && !ctl->memory)
		return ctl_usage(ctl, "--swap-dir goes with --memory");
	if (ctl->profiles && (!ctl->memory || ctl->profiles[0] == '\0'))
		return ctl_usage(ctl, "--profiles DIR goes with --memory");
	if (ctl->limit && (size_parse(ctl->limit, &run->limit) < 0 || run->limit == 0))
		return ctl_usage(
		    ctl, "\"%s\" is not a size; say 64M or 2G, for example", ctl->limit);
	if (ctl->priority && band_parse(ctl->priority, &run->band) < 0)
		return ctl_usage(ctl,
		    "\"%s\" is no band; say idle, background or foreground, for example, or a "
		    "number of those in the manual",
		    ctl->priority);
	if (ctl->name && strlen(ctl->name) >= sizeof(((struct pager_req_group_make *)0)->name))
		return ctl_usage(ctl, "a name has at most 63 bytes");
	return CTL_OK;
}

int
cmd_run(struct ctl *ctl, int argc, char **argv)
{
	struct run run = { .ctl = ctl, .argv = argv, .band = PAGER_WIRE_BAND_NONE };

	(void)argc;
	if (arguments_take(&run) != CTL_OK)
		return CTL_USAGE;
	if (ctl->pretend)
		return run_pretend(ctl, run.limit, argv);
	return ctl->memory ? run_privately(&run) : run_here(&run);
}

int
cmd_record(struct ctl *ctl, int argc, char **argv)
{
	if (!ctl->output)
		ctl->output = "pagerd.trace";
	return cmd_run(ctl, argc, argv);
}
