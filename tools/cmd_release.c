/* SPDX-License-Identifier: MIT
 *
 * pagerctl release CLIENT: the client gets all its memory, and has no pager any more. pagerctl
 * stop: ends pagerd, with --release when all clients have been let go of.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "out.h"
#include "top_sample.h"

/* Between two looks at a client that is on its way. */
#define LOOK_NS 20000000
/* A client that has not begun by then does not listen (looks). */
#define PATIENCE 500u
/* pagerd ends within 5 s, or is ended by itself (milliseconds). */
#define END_MS 20000

static int
release_ask(struct ctl *ctl, const struct ctl_client *client, uint32_t what,
    struct pager_rep_release *reply)
{
	struct pager_req_release request = {
		.pid = client->pid, .session = client->session, .what = what
	};
	struct chan_call call = { CHAN_CALL(RELEASE, &request, reply) };

	return ctl_ask(ctl, &call);
}

static int
refused(struct ctl *ctl, const char *name, const struct pager_rep_release *reply)
{
	const struct pager_wire_release_refusal *refusal = &reply->refusal;
	char n[2][OUT_NUMBER];

	fprintf(stderr, "pagerctl %s: client %s (session s%" PRIu64 ") is not let go of: %s",
	    ctl->verb, name, reply->session, release_why_text(refusal->why));
	if (refusal->error)
		fprintf(stderr, " (%s)", strerror(-refusal->error));
	if (refusal->address)
		fprintf(stderr, "; at 0x%" PRIx64, refusal->address);
	if (refusal->available)
		fprintf(stderr, "; %s are away, %s available", out_bytes(ctl, refusal->away, n[0]),
		    out_bytes(ctl, refusal->available, n[1]));
	fputs("; nothing has changed\n", stderr);
	return CTL_FAILED;
}

/* Nobody waits for it any more; unless it begins just now. => CTL_OK: it has begun */
static int
take_back(struct ctl *ctl, const char *name, const struct ctl_client *client)
{
	struct pager_rep_release reply;
	int r = release_ask(ctl, client, PAGER_WIRE_RELEASE_TAKE_BACK, &reply);

	if (r != CTL_OK || reply.state != PAGER_WIRE_RELEASE_NONE)
		return CTL_OK;
	return ctl_fail(ctl, -ETIMEDOUT,
	    "client %s does not listen: is it stopped, or has it no thread of libpager's (pagerctl "
	    "run)? Nothing has changed",
	    name);
}

/* => CTL_OK: it is gone from pagerd's books, and *ret is what it had; or explained */
static int
release(struct ctl *ctl, const char *name, const struct ctl_client *client,
    struct pager_rep_release *ret)
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	struct pager_rep_release reply;
	unsigned looks = 0;
	int r = release_ask(ctl, client, PAGER_WIRE_RELEASE_ASK, &reply);

	if (r != CTL_OK)
		return out_no_client(ctl, r, name);
	*ret = reply;
	while (r == CTL_OK && reply.state != PAGER_WIRE_RELEASE_REFUSED) {
		if (reply.state == PAGER_WIRE_RELEASE_ASKED && ++looks > PATIENCE) {
			looks = 0;
			r = take_back(ctl, name, client);
			if (r != CTL_OK)
				return r;
		}
		nanosleep(&pause, NULL);
		r = release_ask(ctl, client, PAGER_WIRE_RELEASE_LOOK, &reply);
	}
	if (r == CTL_OK)
		return refused(ctl, name, &reply);
	if (r != -ESRCH)
		return out_no_client(ctl, r, name);
	if (client->pid && kill((pid_t)client->pid, 0) < 0 && errno == ESRCH)
		return ctl_fail(ctl, -ESRCH, "client %s has ended meanwhile", name);
	return CTL_OK;
}

int
cmd_release(struct ctl *ctl, int argc, char **argv)
{
	struct pager_rep_release had;
	struct json_object *object;
	struct ctl_client client;
	char n[2][OUT_NUMBER];
	int r = out_take_client(ctl, argv[0], &client);

	(void)argc;
	if (r == CTL_OK)
		r = release(ctl, argv[0], &client, &had);
	if (r != CTL_OK)
		return r;
	if (ctl->json) {
		object = json_object_new_object();
		out_add_u64(object, "pid", client.pid);
		out_add_u64(object, "sessions", had.clients);
		out_add_u64(object, "resident", had.resident);
		out_add_u64(object, "away", had.away);
		out_json(ctl, object);
	} else {
		printf(
		    "client %s has been let go of: %s that were resident and %s that were away are "
		    "its own memory\n",
		    argv[0], out_bytes(ctl, had.resident, n[0]), out_bytes(ctl, had.away, n[1]));
	}
	return CTL_OK;
}

/* The first client that there is. => CTL_OK, with a session of 0 if there is none; or explained */
static int
client_first(struct ctl *ctl, struct ctl_client *ret)
{
	static struct pager_rep_clients reply;
	struct pager_req_clients request = { 0 };
	struct chan_call call = { CHAN_CALL(CLIENTS, &request, &reply) };
	int r;

	*ret = (struct ctl_client){ 0 };
	call.reply_bytes_min = offsetof(struct pager_rep_clients, clients);
	do {
		r = ctl_ask(ctl, &call);
		if (r != CTL_OK)
			return ctl_fail(ctl, r, "cannot ask which clients there are");
		request.cursor = reply.next_cursor;
	} while (reply.count == 0 && reply.next_cursor != 0);
	if (reply.count > 0)
		*ret = (struct ctl_client){ .session = reply.clients[0].session_id };
	return CTL_OK;
}

int
cmd_stop(struct ctl *ctl, int argc, char **argv)
{
	struct pager_rep_release had;
	struct ctl_client client = { 0 };
	struct pollfd polled = { 0 };
	char name[24];
	int pid, r = ctl_connect(ctl);

	(void)argc;
	(void)argv;
	while (r == CTL_OK && ctl->release) {
		r = client_first(ctl, &client);
		if (r != CTL_OK || client.session == 0)
			break;
		snprintf(name, sizeof(name), "s%" PRIu64, client.session);
		r = release(ctl, name, &client, &had);
	}
	if (r != CTL_OK)
		return r;
	pid = (int)ctl->hello.daemon_pid;
	if (!top_pids_are_ours(ctl))
		return ctl_fail(ctl, -ESRCH,
		    "pagerd's process is not seen from here (it has another pid namespace): end it "
		    "there");
	if (kill(pid, SIGTERM) < 0)
		return ctl_fail(ctl, -errno, "cannot end process %d", pid);
	polled.fd = ctl->chan.fd;
	if (poll(&polled, 1, END_MS) <= 0)
		return ctl_fail(ctl, -ETIMEDOUT, "process %d has not ended yet", pid);
	if (!ctl->json)
		printf("pagerd (process %d) ends\n", pid);
	return CTL_OK;
}
