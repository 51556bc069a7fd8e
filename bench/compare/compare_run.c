/* SPDX-License-Identifier: MIT */
#include "compare_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "pattern.h"
#include "process.h"
#include "report.h"
#include "scenario.h"
#include "signals.h"

#define ARGS_MAX   48
#define OUTPUT_MAX 65536

struct arguments {
	const char *argv[ARGS_MAX];
	char text[ARGS_MAX][40];
	int count, texts;
};

static void
arg(struct arguments *a, const char *option, const char *value)
{
	a->argv[a->count++] = option;
	if (value)
		a->argv[a->count++] = value;
}

static void
arg_number(struct arguments *a, const char *option, double value)
{
	char *text = a->text[a->texts++];

	/* Whole numbers in full, others with three decimals. */
	if (value == (double)(uint64_t)value)
		snprintf(text, sizeof(a->text[0]), "%llu", (unsigned long long)value);
	else
		snprintf(text, sizeof(a->text[0]), "%.3f", value);
	arg(a, option, text);
}

static double
run_seconds(const struct run_request *r)
{
	return r->options->seconds > 0 ? r->options->seconds
				       : scenario_find(r->row->scenario)->seconds;
}

static double
run_timeout(const struct run_request *r)
{
	return r->options->timeout_s > 0 ? r->options->timeout_s : run_seconds(r) * 4 + 180;
}

static void
arguments_make(struct arguments *a, const struct run_request *r, int gate_fd)
{
	const struct options *o = r->options;

	memset(a, 0, sizeof(*a));
	arg(a, "pagerbench", "run");
	arg(a, r->row->scenario, "--json");
	arg_number(a, "--memory", (double)r->memory_bytes);
	arg_number(
	    a, "--working-set", (double)(uint64_t)((double)r->row->memory_bytes * r->row->ratio));
	arg_number(a, "--threads", r->row->threads);
	arg_number(a, "--seconds", run_seconds(r));
	arg_number(a, "--seed", (double)o->seed);
	arg_number(a, "--pool-fd", o->pool_fd);
	if (o->touches)
		arg_number(a, "--touches", (double)o->touches);
	if (o->write_percent >= 0)
		arg_number(a, "--write-percent", o->write_percent);
	if (o->data != POOL_HALF)
		arg(a, "--data", pool_data_names[o->data]);
	if (o->pin || r->row->pin)
		arg(a, "--pin", NULL);
	if (gate_fd >= 0)
		arg_number(a, "--gate-fd", gate_fd);
	arg(a, "--dir", r->directory);
	if (r->plain) {
		arg(a, "--backend", "plain");
	} else {
		if (r->beside_plain)
			arg(a, "--beside-plain", NULL);
		arg_number(a, "--timeout", run_timeout(r));
		if (o->page_size)
			arg(a, "--page-size", o->page_size);
		if (r->build)
			arg(a, "--daemon", r->build->daemon);
		else if (o->daemon)
			arg(a, "--daemon", o->daemon);
		if (o->daemon_config)
			arg(a, "--daemon-config", o->daemon_config);
	}
	a->argv[a->count] = NULL;
}

static void
child_exec(const struct run_request *r, const struct arguments *a, int output, int gate_fd)
{
	char path[400];

	prctl(PR_SET_PDEATHSIG, r->plain ? SIGKILL : SIGTERM);
	sigprocmask(SIG_SETMASK, signals_unblocked(), NULL);
	signal(SIGPIPE, SIG_DFL);
	if (r->journal) {
		snprintf(path, sizeof(path), "%s/cgroup.procs", r->journal->cgroup);
		if (file_write(path, "0")) {
			fprintf(stderr, "pagerbench: cannot enter %s\n", path);
			_exit(126);
		}
	}
	dup2(output, STDOUT_FILENO);
	fcntl(r->options->pool_fd, F_SETFD, 0);
	if (gate_fd >= 0)
		fcntl(gate_fd, F_SETFD, 0);
	execv(r->build && r->build->bench[0] ? r->build->bench : "/proc/self/exe",
	    (char *const *)a->argv);
	_exit(127);
}

/* The run has allocated its own memory. Limits the cgroup to the memory that is compared, plus the
 * run's own and its future page tables, and lets the run go on. */
static int
gate_open(const struct run_request *r, int gate)
{
	uint64_t own_bytes,
	    tables_bytes = (uint64_t)((double)r->row->memory_bytes * r->row->ratio) / 512;
	const struct journal *j = r->journal;
	char byte;
	int error;

	if (read(gate, &byte, 1) != 1)
		return -EPIPE;
	error = cgroup_usage(&j->root, j->cgroup, &own_bytes);
	if (!error)
		error =
		    cgroup_limit(&j->root, j->cgroup, r->memory_bytes + own_bytes + tables_bytes);
	if (error) {
		fprintf(stderr, "pagerbench: cannot limit %s: %s\n", j->cgroup, strerror(-error));
		return error;
	}
	return write(gate, "G", 1) == 1 ? 0 : -EPIPE;
}

/* Collects the output until the child closes it. => 0; -EINTR: a signal; -ETIMEDOUT; or an error of
 * gate_open. */
static int
child_watch(const struct run_request *r, int output, int gate, char *text, size_t text_size)
{
	uint64_t end_ns = clock_now_ns() + (uint64_t)((run_timeout(r) + 30) * 1e9), now;
	size_t used = 0;
	ssize_t got;

	while ((now = clock_now_ns()) < end_ns) {
		struct pollfd fds[2] = { { .fd = output, .events = POLLIN },
			{ .fd = gate, .events = POLLIN } };
		struct timespec left = { .tv_sec = (time_t)((end_ns - now) / 1000000000u) + 1 };

		if (signals_received())
			return -EINTR;
		if (ppoll(fds, 2, &left, signals_unblocked()) <= 0)
			continue;
		if (fds[1].revents) {
			/* Hang-up alone: the child ended before the gate; its output says why. */
			int error = fds[1].revents & POLLIN ? gate_open(r, gate) : 0;

			if (error && error != -EPIPE)
				return error;
			gate = -1;
		}
		if (!fds[0].revents)
			continue;
		got = read(output, text + used, text_size - 1 - used);
		if (got <= 0)
			return 0;
		used += (size_t)got;
		text[used] = '\0';
	}
	return -ETIMEDOUT;
}

/* => 0 or -errno; *ret_status: as waitpid gives it. */
static int
child_run(const struct run_request *r, char *text, size_t text_size, int *ret_status)
{
	int output[2], gate[2] = { -1, -1 }, error;
	struct arguments a;
	pid_t pid;

	if (pipe2(output, O_CLOEXEC))
		return -errno;
	if (r->journal && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, gate)) {
		error = -errno;
		close(output[0]);
		close(output[1]);
		return error;
	}
	arguments_make(&a, r, gate[1]);
	pid = fork();
	if (pid == 0)
		child_exec(r, &a, output[1], gate[1]);
	error = pid < 0 ? -errno : 0;
	close(output[1]);
	if (r->journal)
		close(gate[1]);
	if (!error) {
		error = child_watch(r, output[0], gate[0], text, text_size);
		if (error)
			kill(pid, r->plain ? SIGKILL : SIGTERM);
		while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
			;
	}
	close(output[0]);
	if (r->journal)
		close(gate[0]);
	return error;
}

enum run_outcome
run_once(const struct run_request *r, json_object **ret)
{
	static char text[OUTPUT_MAX];
	int status = 0, error;

	text[0] = '\0';
	if (signals_received())
		return RUN_STOPPED;
	error = child_run(r, text, sizeof(text), &status);
	if (signals_received())
		return RUN_STOPPED;
	if (r->journal && cgroup_oom_kills(&r->journal->root, r->journal->cgroup))
		return RUN_OOM;
	*ret = error ? NULL : json_tokener_parse(text);
	/* A run with bad pages or broken invariants exits with 1, but has a result that says so. */
	if (*ret && WIFEXITED(status) && json_object_is_type(*ret, json_type_object))
		return RUN_DONE;
	if (*ret)
		json_object_put(*ret);
	fprintf(stderr, "pagerbench: the %s run of %s failed (%s %d)\n",
	    r->plain   ? "plain"
	    : r->build ? "peer's"
		       : "pagerd",
	    r->row->scenario, WIFSIGNALED(status) ? "signal" : "status",
	    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return RUN_FAILED;
}
