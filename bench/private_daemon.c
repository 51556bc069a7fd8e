/* SPDX-License-Identifier: MIT */
#include "private_daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "chan.h"
#include "clock.h"
#include "process.h"

#define READY_TIMEOUT_MS 20000
#define STOP_TIMEOUT_S   10

static const char ready_text[] = "pagerd: ready on ";

/* Runs in the child. */
static void
daemon_exec(const struct private_daemon_config *c, const struct private_daemon *d, int output)
{
	static const char *const places[] = { "../daemon/pagerd", "pagerd", "../sbin/pagerd",
		NULL };
	char found[PATH_MAX], memory[32], swap[300], log_path[300], config[300];
	const char *argv[16];
	int n = 0, log;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	snprintf(memory, sizeof(memory), "%llu", (unsigned long long)c->memory_bytes);
	snprintf(swap, sizeof(swap), "%s/swap", d->directory);
	snprintf(log_path, sizeof(log_path), "%s/log", d->directory);
	snprintf(config, sizeof(config), "%s/config", d->directory);
	log = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	dup2(output, STDOUT_FILENO);
	if (log >= 0)
		dup2(log, STDERR_FILENO);
	argv[n++] = c->program ? c->program
			       : program_find("PAGERD", places, "pagerd", found, sizeof(found));
	argv[n++] = "--socket";
	argv[n++] = d->socket;
	argv[n++] = "--memory";
	argv[n++] = memory;
	if (c->under_keeper) {
		argv[n++] = "--keeper";
		argv[n++] = "--no-swap";
	} else {
		argv[n++] = "--swap-dir";
		argv[n++] = swap;
	}
	if (c->page_size) {
		argv[n++] = "--page-size";
		argv[n++] = c->page_size;
	}
	if (c->config_text || c->more_config) {
		argv[n++] = "--config";
		argv[n++] = config;
	}
	argv[n] = NULL;
	execvp(argv[0], (char *const *)argv);
	fprintf(stderr, "cannot start %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static int
write_config(const struct private_daemon_config *c, const struct private_daemon *d)
{
	char path[300];
	FILE *f;

	if (!c->config_text && !c->more_config)
		return 0;
	snprintf(path, sizeof(path), "%s/config", d->directory);
	f = fopen(path, "we");
	if (!f)
		return -errno;
	fprintf(f, "%s%s\n", c->config_text ? c->config_text : "",
	    c->more_config ? c->more_config : "");
	return fclose(f) ? -errno : 0;
}

/* => 0; -ETIMEDOUT; -ECHILD: the daemon ended. */
static int
wait_ready(const struct private_daemon *d)
{
	uint64_t end_ns = clock_now_ns() + (uint64_t)READY_TIMEOUT_MS * 1000000u, now;
	struct pollfd p = { .fd = d->output, .events = POLLIN };
	char text[4096];
	size_t used = 0;
	ssize_t got;

	while ((now = clock_now_ns()) < end_ns) {
		if (poll(&p, 1, (int)((end_ns - now) / 1000000u) + 1) <= 0)
			continue;
		got = read(d->output, text + used, sizeof(text) - 1 - used);
		if (got <= 0)
			return -ECHILD;
		used += (size_t)got;
		text[used] = '\0';
		if (strstr(text, ready_text))
			return 0;
		if (used == sizeof(text) - 1)
			used = 0;
	}
	return -ETIMEDOUT;
}

int
private_daemon_start(const struct private_daemon_config *config, struct private_daemon *ret)
{
	struct private_daemon d = { .output = -1 };
	int pipe_fds[2], error;

	snprintf(d.directory, sizeof(d.directory), "%s/pagerbench.XXXXXX", config->directory);
	if (!mkdtemp(d.directory)) {
		error = -errno;
		fprintf(stderr, "pagerbench: cannot make a directory in %s: %s\n",
		    config->directory, strerror(-error));
		return error;
	}
	snprintf(d.socket, sizeof(d.socket), "%s/socket", d.directory);
	error = write_config(config, &d);
	if (!error && pipe2(pipe_fds, O_CLOEXEC))
		error = -errno;
	if (error) {
		directory_remove(d.directory);
		return error;
	}
	d.pid = fork();
	if (d.pid == 0)
		daemon_exec(config, &d, pipe_fds[1]);
	error = d.pid < 0 ? -errno : 0;
	close(pipe_fds[1]);
	d.output = pipe_fds[0];
	if (!error)
		error = wait_ready(&d);
	if (error) {
		fprintf(stderr, "pagerbench: pagerd did not become ready: %s\n",
		    error == -ECHILD ? "it ended" : strerror(-error));
		private_daemon_show_log(&d);
		if (d.pid > 0)
			private_daemon_stop(&d);
		return error;
	}
	*ret = d;
	return 0;
}

void
private_daemon_show_log(const struct private_daemon *d)
{
	char path[300], line[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/log", d->directory);
	f = fopen(path, "re");
	if (!f)
		return;
	if (fseek(f, -4000, SEEK_END) == 0)
		(void)!fgets(line, sizeof(line), f);
	while (fgets(line, sizeof(line), f))
		fprintf(stderr, "  %s", line);
	fclose(f);
}

int
private_daemon_check(const char *socket, unsigned *ret_failures)
{
	struct pager_req_check request = { 0 };
	struct pager_rep_check reply;
	struct chan_call call = { CHAN_CALL(CHECK, &request, &reply) };
	struct pager_rep_hello hello;
	struct chan chan;
	int error;

	chan_init(&chan);
	error = chan_open(&chan, socket);
	if (error)
		return error;
	error = chan_hello(&chan, PAGER_ROLE_TOOL, "pagerbench", &hello, NULL);
	if (!error)
		error = chan_exchange(&chan, &call);
	chan_close(&chan);
	if (error)
		return error;
	if (reply.failures)
		fprintf(stderr, "pagerbench: %u of pagerd's %u checks failed:\n%.*s\n",
		    reply.failures, reply.checks, (int)sizeof(reply.text), reply.text);
	*ret_failures = reply.failures;
	return 0;
}

int
private_daemon_stop(struct private_daemon *d)
{
	const struct timespec tick = { .tv_nsec = 5000000 };
	uint64_t end_ns = clock_now_ns() + (uint64_t)STOP_TIMEOUT_S * 1000000000u;
	int status = 0;
	pid_t gone;

	kill(d->pid, SIGTERM);
	while ((gone = waitpid(d->pid, &status, WNOHANG)) == 0 && clock_now_ns() < end_ns)
		nanosleep(&tick, NULL);
	if (gone == 0) {
		fputs("pagerbench: pagerd does not stop on SIGTERM\n", stderr);
		kill(d->pid, SIGKILL);
		waitpid(d->pid, &status, 0);
	}
	if (d->output >= 0)
		close(d->output);
	if (status)
		private_daemon_show_log(d);
	directory_remove(d->directory);
	return status ? -EIO : 0;
}
