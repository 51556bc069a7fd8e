/* SPDX-License-Identifier: MIT
 *
 * The keeper's process. Runs on: its only thread. It waits for two things: packets of the worker
 * and signals. Before another worker is made, all that the last one has sent is read: packets
 * outlive their sender.
 */
#include "keeper/keeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base.h"
#include "check.h"
#include "clock.h"
#include "keeper/exec.h"
#include "keeper/keeper_priv.h"
#include "log.h"

/* A worker that has not served for so long is followed by another one only after a pause. */
#define SERVES_NS       100000000u
#define PAUSE_MIN_MS    10u
#define PAUSE_MAX_MS    5000u
#define PAUSE_SERVED_MS 160u /* the most behind one that has served */
/* The program of an upgrade is on trial until a worker of it has served for so long. If so many die
 * before, the program of before goes on. */
#define TRIAL_NS     UINT64_C(10000000000)
#define TRIAL_DEATHS 3u
/* What was left makes workers crash before they serve: after so many in a row it is not tried
 * again, since clients that wait for ever are worse off than clients that are told. */
#define CRASHES_MAX 10u
/* A worker that has asked to be followed ends by itself, or is ended after so long. */
#define STOPS_MS 1000u

/* An upgrade: asked for by a worker that then ends (STOPPING); its program is started, and has not
 * served yet (STARTING). */
enum upgrade { UPGRADE_NONE, UPGRADE_STOPPING, UPGRADE_STARTING };

struct keeper {
	const struct keeper_config *config;
	int program;        /* of the worker; -1: it is this one */
	int next_program;   /* of the upgrade under way */
	int program_before; /* as program: of the one that goes on if this one does not last */
	bool is_on_trial;
	unsigned trial_deaths;
	unsigned crashes; /* workers in a row that have crashed, and have not served */
	enum upgrade upgrade;
	uint32_t deadline_ms, upgrades;
	int32_t upgrade_error;
	char upgrade_text[KEEPER_TEXT];
	bool is_late; /* the worker was ended because of that */
	uint64_t
	    until_ns; /* clock: then a worker that is on its way is ended; 0: there is no end */
	struct kept *rows; /* in no order */
	unsigned count, room;
	int channel; /* to the worker */
	int signals;
	sigset_t mask; /* as it was */
	pid_t self;
	pid_t worker;      /* -1: none */
	int status;        /* of wait(2), once there is none */
	bool stopping;     /* the keeper was told to end */
	uint64_t ready_ns; /* clock: since when it serves; 0: not yet */
	uint64_t died_ns;
	uint64_t deaths, waited_ns;
	unsigned pause_ms;
};

/* --- what is kept --------------------------------------------------------------------------- */

static struct kept *
row_of(struct keeper *k, uint32_t kind, uint64_t id)
{
	for (unsigned i = 0; i < k->count; i++)
		if (k->rows[i].kind == kind && k->rows[i].id == id)
			return &k->rows[i];
	return NULL;
}

static void
row_drop(struct keeper *k, uint32_t kind, uint64_t id)
{
	struct kept *row = row_of(k, kind, id);

	if (!row)
		return;
	close(row->fd);
	*row = k->rows[--k->count];
}

static void
row_keep(struct keeper *k, uint32_t kind, uint64_t id, int fd)
{
	CHECK(fd >= 0);
	row_drop(k, kind, id);
	if (k->count == k->room) {
		unsigned room = k->room ? 2 * k->room : 64;
		struct kept *rows = realloc(k->rows, room * sizeof(*rows));

		if (!rows) {
			log_error_limited("no memory to keep a descriptor: a worker that dies "
					  "takes a client with it");
			close(fd);
			return;
		}
		k->rows = rows;
		k->room = room;
	}
	k->rows[k->count++] = (struct kept){ kind, fd, id };
}

/* --- what the worker says ------------------------------------------------------------------- */

/* => the descriptor that came with the packet; -1: none */
static int
descriptor_of(struct msghdr *message)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(message);
	int fd = -1;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

/* The program that is on trial stays. */
static void
trial_end(struct keeper *k)
{
	if (k->is_on_trial && k->program_before >= 0)
		close(k->program_before);
	k->is_on_trial = false;
	k->program_before = -1;
}

static void
worker_ready(struct keeper *k, uint64_t waited_ns)
{
	k->waited_ns += waited_ns;
	k->ready_ns = clock_now_ns();
	if (k->upgrade != UPGRADE_STARTING)
		return;
	trial_end(k);
	k->program_before = k->program;
	k->is_on_trial = true;
	k->trial_deaths = 0;
	k->program = k->next_program;
	k->next_program = -1;
	k->upgrade = UPGRADE_NONE;
	k->until_ns = 0;
	log_notice_limited("the worker is process %d now, of another program", (int)k->worker);
}

static void
upgrade_begin(struct keeper *k, int program, uint64_t deadline_ms)
{
	if (k->upgrade != UPGRADE_NONE || !k->config->arguments) {
		close(program);
		return;
	}
	k->next_program = program;
	k->upgrade = UPGRADE_STOPPING;
	k->upgrades++;
	k->upgrade_error = 0;
	k->upgrade_text[0] = '\0';
	k->deadline_ms = (uint32_t)min_u64(deadline_ms, 3600000u);
	k->died_ns = clock_now_ns();
	k->until_ns = k->died_ns + STOPS_MS * UINT64_C(1000000);
}

/* The worker of the new program has ended without having served. */
static void
upgrade_failed(struct keeper *k, bool was_late)
{
	if (was_late)
		snprintf(k->upgrade_text, sizeof(k->upgrade_text), "it did not serve within %u ms",
		    k->deadline_ms);
	else if (WIFEXITED(k->status))
		snprintf(k->upgrade_text, sizeof(k->upgrade_text),
		    "it ended with exit status %d before it served", WEXITSTATUS(k->status));
	else
		snprintf(k->upgrade_text, sizeof(k->upgrade_text),
		    "it was ended by SIG%s before it served", sigabbrev_np(WTERMSIG(k->status)));
	k->upgrade_error = was_late ? -ETIMEDOUT : -ECHILD;
	close(k->next_program);
	k->next_program = -1;
	k->upgrade = UPGRADE_NONE;
	log_warning_limited(
	    "the program of the upgrade does not serve (%s): the one of before goes "
	    "on",
	    k->upgrade_text);
}

/* => whether there was a packet */
static bool
packet_read(struct keeper *k)
{
	struct keeper_message m = { 0 };
	struct iovec part = { &m, sizeof(m) };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr message = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	ssize_t got;
	int fd;

	do
		got = recvmsg(k->channel, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		return false;
	fd = descriptor_of(&message);
	if (message.msg_flags & MSG_CTRUNC)
		log_error_limited("a descriptor could not be kept: raise RLIMIT_NOFILE");
	if (got == sizeof(m) && fd >= 0 && (m.verb == KEEPER_KEEP || m.verb == KEEPER_UPGRADE)) {
		if (m.verb == KEEPER_KEEP)
			row_keep(k, m.kind, m.id, fd);
		else
			upgrade_begin(k, fd, m.id);
		return true;
	}
	if (fd >= 0)
		close(fd);
	if (got == sizeof(m) && m.verb == KEEPER_DROP)
		row_drop(k, m.kind, m.id);
	else if (got == sizeof(m) && m.verb == KEEPER_READY)
		worker_ready(k, m.id);
	return true;
}

/* --- the worker's life ---------------------------------------------------------------------- */

static void NORETURN
worker_begin(struct keeper *k, int channel)
{
	int program = k->upgrade == UPGRADE_STARTING ? k->next_program : k->program;
	struct keeper_link link = { .channel = channel,
		.store = -1,
		.found = k->rows,
		.count = k->count,
		.takeovers = k->deaths,
		.waited_ns = k->waited_ns,
		.died_ns = k->died_ns,
		.upgrades = k->upgrades,
		.upgrade_error = k->upgrade_error };

	memcpy(link.upgrade_text, k->upgrade_text, sizeof(link.upgrade_text));
	close(k->signals);
	sigprocmask(SIG_SETMASK, &k->mask, NULL);
	/* Without the keeper nobody would take over, and who ends the keeper means both. It may
	 * have gone before this was said. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != k->self)
		_exit(1);
	if (program < 0)
		exit(k->config->work(&link, k->config->context));
	keeper_exec(program, k->config->arguments, &link);
	_exit(127);
}

/* => whether there is one */
static bool
worker_make(struct keeper *k)
{
	int pair[2];

	CHECK(k->worker < 0 && k->channel < 0);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	k->ready_ns = 0;
	k->until_ns = k->upgrade == UPGRADE_STARTING
			  ? clock_now_ns() + k->deadline_ms * UINT64_C(1000000)
			  : 0;
	k->worker = fork();
	if (k->worker == 0) {
		close(pair[0]);
		worker_begin(k, pair[1]);
	}
	close(pair[1]);
	if (k->worker < 0) {
		close(pair[0]);
		return false;
	}
	k->channel = pair[0];
	return true;
}

static void
worker_gone(struct keeper *k)
{
	/* One that was to be followed has stopped before, and of a program that has not served the
	 * clients know nothing. */
	if (k->upgrade == UPGRADE_NONE)
		k->died_ns = clock_now_ns();
	k->worker = -1;
	while (packet_read(k))
		continue;
	close(k->channel);
	k->channel = -1;
	if (k->ready_ns && k->died_ns - k->ready_ns >= SERVES_NS)
		k->pause_ms = 0;
	else
		k->pause_ms = k->pause_ms ? (unsigned)min_u64(2 * k->pause_ms,
						k->ready_ns ? PAUSE_SERVED_MS : PAUSE_MAX_MS)
					  : PAUSE_MIN_MS;
}

static void
signal_read(struct keeper *k)
{
	struct signalfd_siginfo info;

	if (read(k->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo != SIGCHLD) {
		k->stopping = true;
		if (k->worker > 0)
			kill(k->worker, (int)info.ssi_signo);
		return;
	}
	if (k->worker > 0 && waitpid(k->worker, &k->status, WNOHANG) == k->worker)
		worker_gone(k);
}

/* => milliseconds for poll(2); the worker is ended if it is late */
static int
worker_time(struct keeper *k)
{
	uint64_t now = clock_now_ns();

	if (!k->until_ns)
		return -1;
	if (now < k->until_ns)
		return (int)min_u64((k->until_ns - now) / 1000000u + 1, 3600000u);
	k->until_ns = 0;
	k->is_late = true;
	if (k->upgrade == UPGRADE_STOPPING)
		log_notice_limited("the worker has not come to a quiet point within %u ms: it is "
				   "killed",
		    STOPS_MS);
	kill(k->worker, SIGKILL);
	return -1;
}

/* Waits for the worker's end, or that long where there is none. */
static void
keeper_wait(struct keeper *k, unsigned pause_ms)
{
	uint64_t until = clock_now_ns() + (uint64_t)pause_ms * 1000000u;

	while (k->worker > 0 || !k->stopping) {
		struct pollfd fds[2] = { { k->signals, POLLIN, 0 }, { k->channel, POLLIN, 0 } };
		uint64_t now = clock_now_ns();
		bool had = k->worker > 0;
		int timeout = had           ? worker_time(k)
			      : now < until ? (int)((until - now) / 1000000u) + 1
					    : 0;

		if (poll(fds, 2, timeout) == 0 && !had)
			return;
		if (fds[1].revents & POLLIN)
			packet_read(k);
		else if (fds[1].revents)
			/* Only its end closes it, which is about to be told. */
			poll(fds, 1, worker_time(k));
		if (fds[0].revents)
			signal_read(k);
		if (had && k->worker < 0)
			return;
	}
}

static bool
keeper_open(struct keeper *k)
{
	static const int taken[] = { SIGCHLD, SIGTERM, SIGINT, SIGQUIT };
	struct rlimit limit;
	sigset_t set;

	sigemptyset(&set);
	for (unsigned i = 0; i < ARRAY_LEN(taken); i++)
		sigaddset(&set, taken[i]);
	sigprocmask(SIG_BLOCK, &set, &k->mask);
	k->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	return k->signals >= 0;
}

/* The worker, of a program that is on trial, has gone. => whether the program of before goes on */
static bool
trial_fails(struct keeper *k)
{
	bool has_exited = WIFEXITED(k->status);

	if (!k->is_on_trial || (has_exited && k->ready_ns))
		return false;
	if (k->ready_ns && k->died_ns - k->ready_ns >= TRIAL_NS) {
		trial_end(k);
		return false;
	}
	k->trial_deaths++;
	if (!has_exited && k->trial_deaths < TRIAL_DEATHS)
		return false;
	snprintf(k->upgrade_text, sizeof(k->upgrade_text),
	    "it was taken, and its worker died %u times, at last by %s%s", k->trial_deaths,
	    has_exited ? "its own exit" : "SIG",
	    has_exited ? "" : sigabbrev_np(WTERMSIG(k->status)));
	k->upgrade_error = -ECHILD;
	close(k->program);
	k->program = k->program_before;
	k->program_before = -1;
	k->is_on_trial = false;
	k->pause_ms = 0;
	log_warning_limited("the program of the upgrade does not last (%s): the one of before goes "
			    "on",
	    k->upgrade_text);
	return true;
}

/* The worker, which was ended by a signal, has gone. => whether it was one too many that has
 * crashed before it served. Who is killed from outside, or for want of memory, has not crashed. */
static bool
crashes_again(struct keeper *k)
{
	bool has_crashed = !k->ready_ns && WTERMSIG(k->status) != SIGKILL;

	k->crashes = has_crashed ? k->crashes + 1 : k->ready_ns ? 0 : k->crashes;
	if (k->crashes < CRASHES_MAX)
		return false;
	log_error_limited("%u workers in a row were ended by SIG%s before they served: what was "
			  "left cannot be taken over, and clients lose their memory",
	    k->crashes, sigabbrev_np(WTERMSIG(k->status)));
	return true;
}

/* The worker has gone. => whether there is to be another one */
static bool
worker_follows(struct keeper *k)
{
	bool was_late = k->is_late;

	k->is_late = false;
	if (k->stopping)
		return false;
	if (k->upgrade == UPGRADE_STOPPING) {
		k->upgrade = UPGRADE_STARTING;
		k->pause_ms = 0;
	} else if (k->upgrade == UPGRADE_STARTING) {
		upgrade_failed(k, was_late);
		k->pause_ms = 0;
	} else if (trial_fails(k)) {
		/* It has said so. */
	} else if (WIFEXITED(k->status) || crashes_again(k)) {
		return false;
	} else {
		log_warning_limited("the worker was ended by SIG%s: another one takes over in "
				    "%u ms (takeover %llu, %u descriptors)",
		    sigabbrev_np(WTERMSIG(k->status)), k->pause_ms,
		    (unsigned long long)k->deaths + 1, k->count);
	}
	k->deaths++;
	return true;
}

int
keeper_run(const struct keeper_config *config)
{
	struct keeper k = { .config = config,
		.program = -1,
		.next_program = -1,
		.program_before = -1,
		.channel = -1,
		.self = getpid(),
		.worker = -1 };
	int status;

	CHECK(config->work);
	if (!keeper_open(&k)) {
		log_error_limited("the keeper cannot receive signals: %s", strerror(errno));
		return 1;
	}
	for (;;) {
		if (!worker_make(&k)) {
			log_error_limited("no worker can be made: %s", strerror(errno));
			if (k.deaths == 0)
				return 1;
			k.pause_ms = PAUSE_MAX_MS;
		} else {
			keeper_wait(&k, 0);
			if (!worker_follows(&k))
				break;
		}
		if (k.pause_ms > 0)
			keeper_wait(&k, k.pause_ms);
		if (k.stopping)
			break;
	}
	status = WIFEXITED(k.status) ? WEXITSTATUS(k.status) : 1;
	while (k.count > 0)
		row_drop(&k, k.rows[0].kind, k.rows[0].id);
	free(k.rows);
	close(k.signals);
	sigprocmask(SIG_SETMASK, &k.mask, NULL);
	return status;
}
