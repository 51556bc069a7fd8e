/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/wait.h>

#include "harness_priv.h"

int
live_pagerctl(struct live *d, char *text, size_t text_size, ...)
{
	const char *argv[ARGUMENTS_MAX] = { harness.pagerctl, "--socket", d->socket };
	int n = 3, output[2], status;
	size_t used = 0;
	va_list args;
	ssize_t got;
	pid_t pid;

	va_start(args, text_size);
	while (n < ARGUMENTS_MAX - 1 && (argv[n] = va_arg(args, const char *)) != NULL)
		n++;
	va_end(args);
	REQUIRE(pipe2(output, O_CLOEXEC) == 0, "%s", strerror(errno));
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		child_begin();
		dup2(output[1], STDOUT_FILENO);
		dup2(output[1], STDERR_FILENO);
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	REQUIRE(pid > 0, "%s", strerror(errno));
	close(output[1]);
	while (used + 1 < text_size &&
	       (got = read(output[0], text + used, text_size - 1 - used)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			break;
		used += (size_t)got;
	}
	text[used] = '\0';
	close(output[0]);
	status = child_reap(pid);
	REQUIRE(WIFEXITED(status), "pagerctl %s: signal %d", argv[3], WTERMSIG(status));
	return WEXITSTATUS(status);
}

void
live_check(struct live *d)
{
	char text[4096];
	int status = live_pagerctl(d, text, sizeof(text), "check", NULL);

	if (status != 0)
		FAIL("pagerctl check: status %d\n%s", status, text);
}

static void
debug_call(
    struct live *d, enum pager_debug_op op, const char *argument, struct pager_rep_debug *reply)
{
	struct pager_req_debug request = { .op = op };
	struct chan_call call = { CHAN_CALL(DEBUG, &request, reply) };

	snprintf(request.argument, sizeof(request.argument), "%s", argument ? argument : "");
	OK(chan_exchange(&d->chan, &call));
}

void
live_debug_fail(struct live *d, const char *spec)
{
	struct pager_rep_debug reply;

	debug_call(d, spec ? PAGER_DEBUG_FAIL_ARM : PAGER_DEBUG_FAIL_DISARM, spec, &reply);
}

uint64_t
live_fail_count(struct live *d, const char *name)
{
	struct pager_rep_debug reply;
	char *line;

	debug_call(d, PAGER_DEBUG_SHOW, NULL, &reply);
	reply.text[sizeof(reply.text) - 1] = '\0';
	line = strstr(reply.text, name);
	REQUIRE(line, "no fail point %s", name);
	return strtoull(line + strlen(name), NULL, 10);
}

void
live_limit(struct live *d, pid_t pid, uint64_t bytes)
{
	struct pager_req_limit request = { .pid = (uint32_t)pid, .bytes = bytes };
	struct pager_rep_limit reply;
	struct chan_call call = { CHAN_CALL(LIMIT, &request, &reply) };

	OK(chan_exchange(&d->chan, &call));
}

void
live_param(struct live *d, const char *name, const char *value)
{
	struct pager_req_param request = { .set = 1 };
	struct pager_rep_param reply;
	struct chan_call call = { CHAN_CALL(PARAM, &request, &reply) };

	snprintf(request.name, sizeof(request.name), "%s", name);
	snprintf(request.value, sizeof(request.value), "%s", value);
	OK(chan_exchange(&d->chan, &call));
}
