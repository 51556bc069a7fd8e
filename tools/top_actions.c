/* SPDX-License-Identifier: MIT */
#include "top_actions.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clients.h"
#include "top_sample.h"

static int
limit(struct ctl *ctl, const struct top_action *action)
{
	struct pager_req_limit request = { .session = action->session, .bytes = action->bytes };
	struct pager_rep_limit reply;
	struct chan_call call = { CHAN_CALL(LIMIT, &request, &reply) };

	return ctl_ask(ctl, &call);
}

static int
band(struct ctl *ctl, const struct top_action *action)
{
	struct pager_req_priority request = { .session = action->session, .band = action->band };
	struct pager_rep_priority reply;
	struct chan_call call = { CHAN_CALL(PRIORITY, &request, &reply) };

	return ctl_ask(ctl, &call);
}

/* The answer comes at once; how far it is, the list shows. ret_has_begun false: there was nothing
 * to do. */
static int
freeze(struct ctl *ctl, const struct top_action *action, bool *ret_has_begun)
{
	struct pager_req_freeze request = { .session = action->session,
		.what = action->act == TOP_ACT_FREEZE ? PAGER_WIRE_FREEZE : PAGER_WIRE_THAW };
	struct pager_rep_freeze reply;
	struct chan_call call = { CHAN_CALL(FREEZE, &request, &reply) };
	int r = ctl_ask(ctl, &call);

	*ret_has_begun = r == 0 && reply.has_begun != 0;
	return r;
}

/* Whether the session still belongs to that process. => 0; -ESRCH; as ctl_ask */
static int
session_is_there(struct ctl *ctl, const struct top_action *action)
{
	struct pager_wire_client *clients;
	size_t count;
	int r = clients_fetch(ctl, &clients, &count);

	if (r != 0)
		return r;
	r = -ESRCH;
	for (size_t i = 0; i < count; i++)
		if (clients[i].session_id == action->session && clients[i].pid == action->pid)
			r = 0;
	free(clients);
	return r;
}

/* A process id may be used again when its process has ended. So the process is held first, by a
 * descriptor, and gets the signal if its session is still there after that. => -EXDEV: the daemon
 * counts processes otherwise than we do */
static int
kill_process(struct ctl *ctl, const struct top_action *action)
{
	int fd, r;

	if (action->pid == 0 || !top_pids_are_ours(ctl))
		return -EXDEV;
	fd = pidfd_open((pid_t)action->pid, 0);
	if (fd < 0)
		return -errno;
	r = session_is_there(ctl, action);
	if (r == 0 && pidfd_send_signal(fd, action->signal, NULL, 0) < 0)
		r = -errno;
	close(fd);
	return r;
}

int
top_action_do(struct ctl *ctl, const struct top_action *action, char *message, size_t message_size)
{
	bool has_begun = true;
	const char *remedy;
	char text[200];
	int r = 0;

	switch (action->act) {
	case TOP_ACT_LIMIT:
		r = limit(ctl, action);
		break;
	case TOP_ACT_BAND:
		r = band(ctl, action);
		break;
	case TOP_ACT_FREEZE:
	case TOP_ACT_THAW:
		r = freeze(ctl, action, &has_begun);
		break;
	case TOP_ACT_KILL:
		r = kill_process(ctl, action);
		break;
	}
	top_action_text(action, text, sizeof(text));
	if (r == 0) {
		snprintf(message, message_size, "%s: %s", text,
		    has_begun ? "done" : "there was nothing to do");
		return 0;
	}
	remedy = r == -EXDEV ? "its process belongs to another pid namespace; end it there"
		 : r == -ENOENT || r == -ESRCH ? "it has ended"
		 : r == -ERANGE                ? "a client cannot run with so little"
					       : ctl_remedy(r);
	snprintf(message, message_size, "cannot %s: %s%s%s", text, strerror(-r), remedy ? "; " : "",
	    remedy ? remedy : "");
	return r;
}
