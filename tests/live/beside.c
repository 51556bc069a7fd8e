/* SPDX-License-Identifier: MIT */
#include "beside.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "harness_priv.h"
#include "log.h"
#include "raw.h"

static char place[128];

void
place_make(void)
{
	live_directory_make(place, sizeof(place));
}

const char *
place_path(const char *name)
{
	static char paths[8][256];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", place, name);
	return path;
}

void
process_start(struct process *p, const char *socket, prepare *before, unsigned argument,
    const char *const *more)
{
	const char *argv[24] = { getenv("PAGERD"), "--socket", socket, "--memory", "4M",
		"--no-swap" };
	static unsigned number;
	int n = 6, fd;

	snprintf(p->log, sizeof(p->log), "%s/log.%u", place, number++);
	while (more && *more)
		argv[n++] = *more++;
	fflush(NULL);
	p->pid = fork();
	REQUIRE(p->pid >= 0, "%s", strerror(errno));
	if (p->pid > 0)
		return;
	child_begin();
	fd = open(p->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	if (before)
		before(argument);
	execv(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

const char *
process_text(const struct process *p)
{
	static char text[65536];
	int fd = open(p->log, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	close(fd);
	text[got > 0 ? got : 0] = '\0';
	return text;
}

bool
process_serves(const struct process *p)
{
	return strstr(process_text(p), "pagerd: ready on ") != NULL;
}

bool
process_ended(struct process *p, int *ret_status)
{
	pid_t r = waitpid(p->pid, ret_status, WNOHANG);

	REQUIRE(r >= 0, "%s", strerror(errno));
	return r == p->pid;
}

void
process_wait_serves(struct process *p)
{
	int status;

	while (!process_serves(p)) {
		REQUIRE(!process_ended(p, &status), "it ended (%x): %s", status, process_text(p));
		usleep(1000);
	}
}

void
process_stop(struct process *p, int signal)
{
	int status;

	kill(p->pid, signal);
	status = child_reap(p->pid);
	REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0, "its end: %x: %s", status,
	    process_text(p));
}

void
process_refuses(const char *socket, const char *expected)
{
	struct process p;
	int status;

	process_start(&p, socket, NULL, 0, NULL);
	while (!process_ended(&p, &status)) {
		REQUIRE(!process_serves(&p), "it serves on %s", socket);
		usleep(1000);
	}
	REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %x: %s", status,
	    process_text(&p));
	REQUIRE(strstr(process_text(&p), expected) && strstr(process_text(&p), socket),
	    "the message lacks \"%s\": %s", expected, process_text(&p));
}

int
who_answers(const char *socket)
{
	struct pager_rep_hello hello;
	struct chan chan;
	int r;

	chan_init(&chan);
	r = chan_open(&chan, socket);
	if (r == 0)
		r = chan_hello(&chan, PAGER_ROLE_TOOL, "door", &hello, NULL);
	chan_close(&chan);
	return r < 0 ? r : (int)hello.daemon_pid;
}

int
socket_bound(const char *path, int type)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	REQUIRE(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		    listen(fd, 4) == 0,
	    "%s", strerror(errno));
	return fd;
}

void
file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	REQUIRE(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "%s: %s", path,
	    strerror(errno));
	close(fd);
}

void
file_is(const char *path, const char *expected)
{
	char text[256] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	REQUIRE(fd >= 0 && read(fd, text, sizeof(text) - 1) >= 0, "%s: %s", path, strerror(errno));
	close(fd);
	REQUIRE(strcmp(text, expected) == 0, "%s is \"%s\"", path, text);
}

unsigned
names_in_place(const char *beginning)
{
	DIR *dir = opendir(place);
	unsigned count = 0;
	struct dirent *e;

	REQUIRE(dir, "%s", strerror(errno));
	while ((e = readdir(dir)) != NULL)
		count += strncmp(e->d_name, beginning, strlen(beginning)) == 0;
	closedir(dir);
	return count;
}

uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

unsigned
lines_allowed(uint64_t since_ms)
{
	return (LOG_LIMIT_LINES + 1) *
	       (unsigned)((now_ms() - since_ms) / (LOG_LIMIT_NS / 1000000) + 2);
}

void
break_protocol(const char *socket_path)
{
	int fd = raw_socket(socket_path);
	char byte;

	REQUIRE(send(fd, "x", 1, MSG_NOSIGNAL) == 1, "%s", strerror(errno));
	/* Until it hangs up. */
	while (recv(fd, &byte, 1, 0) > 0)
		continue;
	close(fd);
}
