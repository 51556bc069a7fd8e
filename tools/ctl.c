/* SPDX-License-Identifier: MIT
 *
 * The connection to the daemon, and errors in words: what failed, why, and what the user can do.
 */
#include "ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>

#define WORKERS_TRIED 3u

static const char *
connect_remedy(int error)
{
	switch (error) {
	case -ENOENT:
	case -ECONNREFUSED:
		return "is pagerd running? Start it with `pagerd`, or name its socket with "
		       "--socket PATH";
	case -EACCES:
	case -EPERM:
		return "this user may not use the socket; ask for access, or run as root";
	case -EPROTO:
	case -EPROTONOSUPPORT:
		return "the program that listens there is not pagerd, or of another version";
	case -ENFILE:
		return "pagerd has no room or no descriptor left for another connection: end some "
		       "clients, or raise its max_sessions or its limit of open files";
	case -EDQUOT:
		return "this user has used up its share of pagerd's connections: end some clients, "
		       "or raise pagerd's user_percent or max_sessions";
	case -EAGAIN:
		return "clients of this user have delayed pagerd until it ended them; wait a "
		       "minute";
	case -ENOTCONN:
		return "pagerd hung up; its log says why";
	case -EINVAL:
		return "a socket's path has at most 107 bytes";
	default:
		return NULL;
	}
}

const char *
ctl_remedy(int error)
{
	switch (error) {
	case -EPERM:
	case -EACCES:
		return "only root and the user that runs pagerd may do this, and the client's own "
		       "user may look";
	case -ENOTCONN:
		return "pagerd hung up: it stopped, or refused the request; its log says why";
	case -EPROTO:
		return "the answer makes no sense; are pagerctl and pagerd of the same version?";
	case -EOPNOTSUPP:
	case -ENOSYS:
		return "this pagerd cannot do that";
	default:
		return NULL;
	}
}

/* A worker that dies while it is asked hangs up, and under --keeper another one goes on. => 0 or
 * -errno */
static int
connect_quietly(struct ctl *ctl)
{
	int r = -ENOTCONN;

	for (unsigned i = 0; i < WORKERS_TRIED && r == -ENOTCONN; i++) {
		chan_init(&ctl->chan);
		r = chan_open(&ctl->chan, ctl->socket);
		if (r == 0)
			r = chan_hello(&ctl->chan, PAGER_ROLE_TOOL, "pagerctl", &ctl->hello, NULL);
		if (r < 0)
			chan_close(&ctl->chan);
	}
	ctl->connected = r == 0;
	return r;
}

int
ctl_connect(struct ctl *ctl)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)] = "the default socket";
	const char *shown = ctl->socket ? ctl->socket : path, *remedy;
	int r;

	if (ctl->connected)
		return CTL_OK;
	if (!ctl->socket)
		chan_default_path(path, sizeof(path));
	r = connect_quietly(ctl);
	if (r == 0)
		return CTL_OK;
	remedy = connect_remedy(r);
	fprintf(stderr, "pagerctl: cannot connect to %s: %s%s%s\n", shown, strerror(-r),
	    remedy ? "; " : "", remedy ? remedy : "");
	return CTL_FAILED;
}

void
ctl_disconnect(struct ctl *ctl)
{
	if (ctl->connected)
		chan_close(&ctl->chan);
	ctl->connected = false;
}

/* Requests that change nothing, and name nothing that only one worker knows; and one that leaves an
 * empty group if it was carried out already. */
static bool
may_repeat(uint16_t type)
{
	static const uint16_t repeatable[] = { PAGER_MSG_GROUP_MAKE, PAGER_MSG_CLIENTS,
		PAGER_MSG_MAP, PAGER_MSG_FOOTPRINT, PAGER_MSG_DEVICES, PAGER_MSG_PORTS,
		PAGER_MSG_LEDGER, PAGER_MSG_EXPLAIN, PAGER_MSG_PROCESS_LIMITS, PAGER_MSG_LIMITS,
		PAGER_MSG_FROZEN, PAGER_MSG_WIRED, PAGER_MSG_TABLES, PAGER_MSG_FILES,
		PAGER_MSG_GROUP, PAGER_MSG_GROUPS };
	bool is = false;

	for (size_t i = 0; i < sizeof(repeatable) / sizeof(repeatable[0]); i++)
		is |= repeatable[i] == type;
	return is;
}

int
ctl_ask(struct ctl *ctl, struct chan_call *call)
{
	int r = ctl_connect(ctl);

	if (r != CTL_OK)
		return r;
	r = chan_exchange(&ctl->chan, call);
	/* Under --keeper another worker goes on, but not with sessions of tools. */
	if (r == -ENOTCONN && may_repeat(call->type)) {
		ctl_disconnect(ctl);
		if (connect_quietly(ctl) == 0)
			r = chan_exchange(&ctl->chan, call);
	}
	return r;
}

int
ctl_refresh(struct ctl *ctl, struct statread *stat)
{
	int r = statread_refresh(&ctl->chan);
	struct statread anew;

	if (r != -ENOTCONN)
		return r;
	ctl_disconnect(ctl);
	if (connect_quietly(ctl) != 0 || statread_open(&ctl->chan, &anew) != 0)
		return r;
	/* Whoever asks has room for that many values. */
	if (anew.count != stat->count) {
		statread_close(&anew);
		return r;
	}
	statread_close(stat);
	*stat = anew;
	return 1;
}

int
ctl_fail(const struct ctl *ctl, int error, const char *fmt, ...)
{
	const char *remedy = ctl_remedy(error);
	va_list args;

	if (error == CTL_FAILED)
		return CTL_FAILED;
	fprintf(stderr, "pagerctl %s: ", ctl->verb);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, ": %s%s%s\n", strerror(-error), remedy ? "; " : "", remedy ? remedy : "");
	return CTL_FAILED;
}

int
ctl_usage(const struct ctl *ctl, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "pagerctl %s: ", ctl->verb);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "; see `pagerctl %s --help`\n", ctl->verb);
	return CTL_USAGE;
}

bool
ctl_next_report(const struct ctl *ctl, uint64_t reports)
{
	struct timespec pause = { .tv_sec = (time_t)ctl->interval };

	if (ctl->interval <= 0 || (ctl->count != 0 && reports >= ctl->count))
		return false;
	/* A reader at the other end of a pipe must see each report when it is made. */
	if (fflush(stdout) != 0)
		return false;
	pause.tv_nsec = (long)((ctl->interval - (double)pause.tv_sec) * 1e9);
	while (nanosleep(&pause, &pause) < 0 && errno == EINTR)
		continue;
	return true;
}
