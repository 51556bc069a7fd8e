/* SPDX-License-Identifier: MIT
 *
 * pagerctl upgrade [BINARY]: another program takes over from a pagerd that has a keeper. The daemon
 * asks the program first; then its worker ends, this command's connection with it, and whoever
 * serves then says what has become of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "out.h"
#include "top_sample.h"

#define DEADLINE_S 10.0
/* Beyond the deadline: the worker's end, and that of a program that does not serve. */
#define MORE_MS 20000
/* Between two attempts to connect. */
#define LOOK_NS 5000000

/* The file that the daemon was started from, which may have been replaced since. */
static int
own_path(struct ctl *ctl, char *path, size_t size)
{
	static const char gone[] = " (deleted)";
	char link[64];
	ssize_t length = -1;

	if (top_pids_are_ours(ctl)) {
		snprintf(link, sizeof(link), "/proc/%u/exe", (unsigned)ctl->hello.daemon_pid);
		length = readlink(link, path, size - 1);
	}
	if (length < 0)
		return ctl_fail(ctl, -ENOENT,
		    "it cannot be seen from here which program pagerd is: name one (pagerctl "
		    "upgrade BINARY)");
	path[length] = '\0';
	if ((size_t)length > strlen(gone) && strcmp(path + length - strlen(gone), gone) == 0)
		path[length - (ssize_t)strlen(gone)] = '\0';
	return CTL_OK;
}

static int
ask(struct ctl *ctl, const char *path, uint32_t deadline_ms, uint64_t *ret_number)
{
	struct pager_req_upgrade request = { .deadline_ms = deadline_ms };
	struct pager_rep_upgrade reply;
	struct chan_call call = { CHAN_CALL(UPGRADE, &request, &reply) };
	int fd = open(path, O_RDONLY | O_CLOEXEC), r;

	if (fd < 0)
		return ctl_fail(ctl, -errno, "cannot open %s", path);
	call.fds_out = &fd;
	call.fds_out_count = 1;
	r = ctl_ask(ctl, &call);
	close(fd);
	if (r != CTL_OK)
		return ctl_fail(ctl, r, "pagerd cannot ask %s", path);
	if (reply.number == 0) {
		fprintf(stderr, "pagerctl %s: %s is refused: %.*s\n", ctl->verb, path,
		    (int)sizeof(reply.text), reply.text);
		return CTL_FAILED;
	}
	*ret_number = reply.number;
	return CTL_OK;
}

static int
go(struct ctl *ctl, uint64_t number, struct pager_rep_upgrade_go *reply)
{
	struct pager_req_upgrade_go request = { .number = number };
	struct chan_call call = { CHAN_CALL(UPGRADE_GO, &request, reply) };

	return ctl_ask(ctl, &call);
}

/* Who serves after the worker that has hung up? => 0 or -errno */
static int
look(struct ctl *ctl, struct pager_rep_upgrade_go *reply)
{
	struct pager_req_upgrade_go request = { 0 };
	struct chan_call call = { CHAN_CALL(UPGRADE_GO, &request, reply) };
	int error;

	chan_init(&ctl->chan);
	error = chan_open(&ctl->chan, ctl->socket);
	if (error)
		return error;
	error = chan_hello(&ctl->chan, PAGER_ROLE_TOOL, "pagerctl", &ctl->hello, NULL);
	if (!error)
		error = chan_exchange(&ctl->chan, &call);
	chan_close(&ctl->chan);
	return error;
}

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static int
wait_for(struct ctl *ctl, uint32_t deadline_ms, struct pager_rep_upgrade_go *reply)
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	uint64_t until_ms = now_ms() + deadline_ms + MORE_MS;
	struct pollfd polled = { .fd = ctl->chan.fd };
	int error;

	if (poll(&polled, 1, MORE_MS) <= 0)
		return ctl_fail(ctl, -ETIMEDOUT, "pagerd does not stop");
	ctl_disconnect(ctl);
	while ((error = look(ctl, reply)) != 0 && now_ms() < until_ms)
		nanosleep(&pause, NULL);
	return error ? ctl_fail(ctl, error, "nobody serves on the socket") : CTL_OK;
}

int
cmd_upgrade(struct ctl *ctl, int argc, char **argv)
{
	uint32_t deadline_ms = (uint32_t)((ctl->deadline > 0 ? ctl->deadline : DEADLINE_S) * 1000);
	struct pager_rep_upgrade_go before, after;
	char path[PATH_MAX];
	uint64_t number = 0, began_ms;
	struct json_object *object;
	int r = ctl_connect(ctl);

	if (r != CTL_OK)
		return r;
	if (argc > 0)
		snprintf(path, sizeof(path), "%s", argv[0]);
	else if ((r = own_path(ctl, path, sizeof(path))) != CTL_OK)
		return r;
	r = ask(ctl, path, deadline_ms, &number);
	if (r != CTL_OK)
		return r;
	began_ms = now_ms();
	r = go(ctl, number, &before);
	if (r != CTL_OK)
		return ctl_fail(ctl, r, "pagerd does not begin: is another upgrade under way?");
	r = wait_for(ctl, deadline_ms, &after);
	if (r != CTL_OK)
		return r;
	if (after.upgrades == before.upgrades || after.error) {
		fprintf(stderr,
		    "pagerctl %s: %s does not serve: %.*s; the program of before goes on, and no "
		    "client has lost anything\n",
		    ctl->verb, path, (int)sizeof(after.text),
		    after.text[0] ? after.text : "it was not begun");
		return CTL_FAILED;
	}
	if (ctl->json) {
		object = json_object_new_object();
		out_add_u64(object, "pid", ctl->hello.daemon_pid);
		json_object_object_add(object, "version", json_object_new_string(after.version));
		out_add_u64(object, "milliseconds", now_ms() - began_ms);
		out_json(ctl, object);
	} else {
		printf("%s serves (version %s, process %u), after %" PRIu64 " ms\n", path,
		    after.version, (unsigned)ctl->hello.daemon_pid, now_ms() - began_ms);
	}
	return CTL_OK;
}
