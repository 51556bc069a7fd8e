/* SPDX-License-Identifier: MIT
 *
 * `pagerbench run`. With a private daemon it is two processes: one runs the workload, and may block
 * without end in a fault; the supervisor starts and stops the daemon and always cleans up.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "options.h"
#include "pattern.h"
#include "private_daemon.h"
#include "report.h"
#include "ticks.h"
#include "workload.h"

/* The compressor keeps almost nothing, so pages soon go to disk. */
#define CONFIG_TO_DISK "compressor_percent = 5\n"

/* Waits until `pagerbench compare` has set the limits from the memory that this process uses now.
 */
static int
gate_pass(void *context)
{
	int fd = *(const int *)context;
	char byte = 'R';

	if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
		return -EPIPE;
	return 0;
}

struct daemon_check {
	const char *socket;
	unsigned failures;
};

static int
daemon_check(void *context)
{
	struct daemon_check *check = context;
	int error = private_daemon_check(check->socket, &check->failures);

	if (error)
		fputs("pagerbench: pagerd cannot check its invariants\n", stderr);
	return error;
}

static void
results_print(const struct options *o, const struct report_head *heads,
    const struct workload_result *results, unsigned count)
{
	if (o->json) {
		json_object *json = report_json(&heads[0], &results[0]);

		if (count > 1)
			json_object_object_add(json, "beside", report_json(&heads[1], &results[1]));
		json_print(json);
		json_object_put(json);
	} else {
		for (unsigned i = 0; i < count; i++)
			report_text(&heads[i], &results[i]);
	}
}

/* Runs the workload and reports. owned: the daemon was started for this run. => the exit status. */
static int
workload_process(
    const struct options *o, const struct scenario *scenario, const char *socket, bool owned)
{
	unsigned count = o->beside_plain ? 2 : 1;
	struct workload_result *results = calloc(count, sizeof(*results));
	double ratio = o->ratio > 0 ? o->ratio : scenario->ratio;
	uint64_t bytes = o->working_set_bytes ? o->working_set_bytes
					      : (uint64_t)((double)o->memory_bytes * ratio);
	struct daemon_check check = { .socket = socket };
	enum pool_data data = scenario->flags & SCENARIO_FILE ? POOL_RANDOM : o->data;
	struct pool pool;
	struct workload_config configs[2] = { {
	    .scenario = scenario,
	    .ops = o->plain ? &backend_plain : &backend_pagerd,
	    .socket = socket,
	    .directory = o->directory,
	    .pool = &pool,
	    /* a multiple of 64 KiB, so that every page size divides it */
	    .units = (bytes + 65535) / 65536 * (65536 / UNIT_BYTES),
	    .threads = o->threads ? o->threads : 1,
	    .seconds = o->seconds > 0 ? o->seconds : scenario->seconds,
	    .touches = o->touches,
	    .seed = o->seed,
	    .write_percent =
		o->write_percent >= 0 ? (unsigned)o->write_percent : scenario->write_percent,
	    .pin = o->pin,
	    .stride = o->page_size ? (unsigned)atoi(o->page_size) / 4 : 1,
	    .gate = o->gate_fd >= 0 ? gate_pass : NULL,
	    .gate_context = (void *)&o->gate_fd,
	    .verified = owned ? daemon_check : NULL,
	    .verified_context = &check,
	} };
	struct report_head heads[2] = { { .config = &configs[0],
	    .memory_bytes = o->memory_bytes,
	    .page_size = o->page_size,
	    .data = pool_data_names[data],
	    .timer_overhead_ns = ticks_overhead_ns(),
	    .check_failures = -1 } };
	int error = o->pool_fd >= 0 && data == o->data
			? pool_open(&pool, o->pool_fd)
			: pool_create(&pool, data, POOL_PAGES_DEFAULT, o->seed);
	int status;

	if (!error)
		heads[0].compression_ratio = page_compression_ratio(&pool);
	/* The second run differs only in the source of its memory. */
	configs[1] = configs[0];
	configs[1].ops = &backend_plain;
	configs[1].gate = NULL;
	configs[1].verified = NULL;
	heads[1] = heads[0];
	heads[1].config = &configs[1];
	if (!results)
		error = -ENOMEM;
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	if (!error)
		error = workload_run(configs, count, results);
	if (error) {
		fprintf(stderr, "pagerbench: %s: %s\n", scenario->name, strerror(-error));
		free(results);
		return EXIT_FAILURE;
	}
	if (owned)
		heads[0].check_failures = (int)check.failures;
	results_print(o, heads, results, count);
	status = check.failures ? EXIT_FAILURE : EXIT_SUCCESS;
	for (unsigned i = 0; i < count; i++)
		if (results[i].bad_pages)
			status = EXIT_FAILURE;
	pool_close(&pool);
	free(results);
	return status;
}

/* Waits until the workload ends, a signal comes, the daemon dies, or the time is up. => the exit
 * status. */
static int
supervise(
    const struct options *o, pid_t workload, struct private_daemon *daemon, const sigset_t *signals)
{
	struct timespec limit = { .tv_sec = (time_t)o->timeout_s };
	int status = 0, got;
	pid_t gone;

	for (;;) {
		got = o->timeout_s > 0 ? sigtimedwait(signals, NULL, &limit)
				       : sigwaitinfo(signals, NULL);
		if (got < 0 && errno == EINTR)
			continue;
		if (got != SIGCHLD)
			break;
		gone = waitpid(workload, &status, WNOHANG);
		if (gone == workload)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		/* WNOWAIT: private_daemon_stop will reap it. */
		siginfo_t info = { 0 };

		if (waitid(P_PID, (id_t)daemon->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
		    info.si_pid == daemon->pid) {
			fputs("pagerbench: pagerd ended during the run\n", stderr);
			break;
		}
	}
	if (got < 0)
		fputs("pagerbench: the run took too long\n", stderr);
	kill(workload, SIGKILL);
	waitpid(workload, &status, 0);
	return got > 0 && got != SIGCHLD ? 128 + got : EXIT_FAILURE;
}

static int
run_supervised(const struct options *o, const struct scenario *scenario)
{
	struct private_daemon_config config = { .program = o->daemon,
		.directory = o->directory,
		.memory_bytes = o->memory_bytes,
		.page_size = o->page_size,
		.config_text = scenario->flags & SCENARIO_TO_DISK ? CONFIG_TO_DISK : NULL,
		.more_config = o->daemon_config };
	struct private_daemon daemon;
	sigset_t signals, before;
	pid_t workload;
	int status;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, &before);
	if (private_daemon_start(&config, &daemon))
		return EXIT_FAILURE;
	workload = fork();
	if (workload == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sigprocmask(SIG_SETMASK, &before, NULL);
		_exit(workload_process(o, scenario, daemon.socket, true));
	}
	status = workload < 0 ? EXIT_FAILURE : supervise(o, workload, &daemon, &signals);
	if (private_daemon_stop(&daemon))
		fputs("pagerbench: pagerd did not end cleanly\n", stderr);
	return status;
}

int
run_command(const struct options *o)
{
	const struct scenario *scenario;

	if (o->scenario_count != 1) {
		fputs("pagerbench: run takes one scenario (see 'pagerbench list')\n", stderr);
		return 2;
	}
	scenario = scenario_find(o->scenarios[0]);
	if (!scenario) {
		fprintf(stderr, "pagerbench: no scenario '%s' (see 'pagerbench list')\n",
		    o->scenarios[0]);
		return 2;
	}
	if (o->beside_plain && scenario_has_rounds(scenario)) {
		fprintf(stderr, "pagerbench: %s is measured in rounds, not in slices\n",
		    scenario->name);
		return 2;
	}
	if (o->plain || o->socket)
		return workload_process(o, scenario, o->socket, false);
	return run_supervised(o, scenario);
}
