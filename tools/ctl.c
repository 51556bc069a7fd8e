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
	chan_init(&ctl->chan);
	r = chan_open(&ctl->chan, ctl->socket);
	if (r == 0)
		r = chan_hello(&ctl->chan, PAGER_ROLE_TOOL, "pagerctl", &ctl->hello, NULL);
	if (r == 0) {
		ctl->connected = true;
		return CTL_OK;
	}
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

int
ctl_ask(struct ctl *ctl, struct chan_call *call)
{
	int r = ctl_connect(ctl);

	return r == CTL_OK ? chan_exchange(&ctl->chan, call) : r;
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
