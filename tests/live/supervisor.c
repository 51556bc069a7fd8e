/* SPDX-License-Identifier: MIT
 *
 * Plays systemd for a pagerd: starts it with --no-keeper in place of --keeper, keeps the
 * descriptors that it sends, and starts it again, with all of them, when it was killed. What a
 * process has sent that is dead when it is read is lost, as with systemd.
 *
 * usage, in place of pagerd: SUPERVISED=PAGERD supervisor [OPTION of pagerd]...
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FIRST = 3, STORE_MOST = 400 };

static struct stored {
	char name[64];
	int fd;
} stored[STORE_MOST];
static unsigned stored_count;
static int notify;
static char notify_name[128];

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("supervisor: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	exit(70);
}

static void
notify_open(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t size = sizeof(address);

	notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* The kernel chooses a name that nobody has. */
	if (notify < 0 || bind(notify, (struct sockaddr *)&address, sizeof(sa_family_t)) < 0 ||
	    getsockname(notify, (struct sockaddr *)&address, &size) < 0)
		die("socket: %s", strerror(errno));
	snprintf(notify_name, sizeof(notify_name), "@%.*s",
	    (int)(size - offsetof(struct sockaddr_un, sun_path) - 1), address.sun_path + 1);
}

static void
name_drop(const char *name)
{
	for (unsigned i = 0; i < stored_count;)
		if (strcmp(stored[i].name, name) == 0) {
			close(stored[i].fd);
			stored[i] = stored[--stored_count];
		} else {
			i++;
		}
}

/* The value behind "KEY="; "": there is none. */
static void
value_of(const char *text, const char *key, char *value, size_t size)
{
	size_t length = strlen(key);

	value[0] = '\0';
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, length) == 0 && line[length] == '=') {
			snprintf(value, size, "%.*s", (int)strcspn(line + length + 1, "\n"),
			    line + length + 1);
			return;
		}
		if (*line == '\0')
			return;
	}
}

/* => whether there was one */
static bool
message_read(bool counts)
{
	char text[512], store[8], drop[8], name[sizeof(stored[0].name)];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = { text, sizeof(text) - 1 };
	struct msghdr m = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	ssize_t got = recvmsg(notify, &m, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = got >= 0 ? CMSG_FIRSTHDR(&m) : NULL;
	int fd = -1;

	if (got < 0)
		return false;
	text[got] = '\0';
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	value_of(text, "FDSTORE", store, sizeof(store));
	value_of(text, "FDSTOREREMOVE", drop, sizeof(drop));
	value_of(text, "FDNAME", name, sizeof(name));
	if (counts && drop[0])
		name_drop(name);
	if (counts && store[0] && fd >= 0 && name[0] && stored_count < STORE_MOST) {
		snprintf(stored[stored_count].name, sizeof(name), "%s", name);
		stored[stored_count++].fd = fd;
		return true;
	}
	/* A barrier's end, too. */
	if (fd >= 0)
		close(fd);
	return true;
}

static void
pagerd_execute(char **arguments)
{
	static char names[STORE_MOST * sizeof(stored[0].name)];
	size_t used = 0;
	char number[16];
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* First out of the way of each other. */
	for (unsigned i = 0; i < stored_count; i++)
		stored[i].fd = fcntl(stored[i].fd, F_DUPFD_CLOEXEC, FIRST + STORE_MOST);
	for (unsigned i = 0; i < stored_count; i++) {
		if (dup2(stored[i].fd, FIRST + (int)i) < 0)
			_exit(71);
		if (i > 0)
			names[used++] = ':';
		memcpy(names + used, stored[i].name, strlen(stored[i].name));
		used += strlen(stored[i].name);
	}
	setenv("NOTIFY_SOCKET", notify_name, 1);
	snprintf(number, sizeof(number), "%d", STORE_MOST);
	setenv("FDSTORE", number, 1);
	snprintf(number, sizeof(number), "%d", (int)getpid());
	setenv("LISTEN_PID", number, 1);
	snprintf(number, sizeof(number), "%u", stored_count);
	setenv("LISTEN_FDS", number, 1);
	setenv("LISTEN_FDNAMES", names, 1);
	for (char **word = arguments; *word; word++)
		if (strcmp(*word, "--keeper") == 0)
			*word = (char *)(unsigned long)"--no-keeper";
	execv(getenv("SUPERVISED"), arguments);
	_exit(127);
}

/* => its wait status */
static int
pagerd_live(char **arguments, int signals, bool *ret_told)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		pagerd_execute(arguments);
	if (pid < 0)
		die("fork: %s", strerror(errno));
	for (;;) {
		struct pollfd fds[2] = { { signals, POLLIN, 0 }, { notify, POLLIN, 0 } };
		struct signalfd_siginfo info;

		poll(fds, 2, -1);
		if (fds[0].revents && read(signals, &info, sizeof(info)) == sizeof(info)) {
			if (info.ssi_signo != SIGCHLD) {
				*ret_told = true;
				kill(pid, (int)info.ssi_signo);
			} else if (waitpid(pid, &status, WNOHANG) == pid) {
				break;
			}
		} else if (fds[1].revents) {
			message_read(true);
		}
	}
	while (message_read(false))
		continue;
	return status;
}

int
main(int argc, char **argv)
{
	int signals, status;
	bool told = false;
	sigset_t set;

	(void)argc;
	if (!getenv("SUPERVISED"))
		die("SUPERVISED says which pagerd");
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	notify_open();
	do
		status = pagerd_live(argv, signals, &told);
	while (WIFSIGNALED(status) && !told);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
