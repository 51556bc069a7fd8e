/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include "run.h"

#define LOG_SHOWN_BYTES 2000
/* Not /tmp, which is memory on many machines. */
#define PLACE  "/var/tmp"
#define PREFIX "pagerctl-run."
/* Directories that are made for a run until one can be held. */
#define TRIES_MAX 16u

static const char ready_text[] = "pagerd: ready on ";

bool
run_find(const char *near, const char *installed, char *path, size_t path_size)
{
	char self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[length > 0 ? length : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash) {
		*slash = '\0';
		if (snprintf(path, path_size, "%s/%s", self, near) < (int)path_size &&
		    access(path, F_OK) == 0)
			return true;
	}
	if (installed[0] == '/')
		snprintf(path, path_size, "%s", installed);
	else
		snprintf(path, path_size, "%.*s/%s", (int)(path_size / 2), self, installed);
	return access(path, F_OK) == 0;
}

const char *
run_daemon_program(char *buf, size_t buf_size)
{
	const char *program = getenv("PAGERD");

	if (program || !run_find("../daemon/pagerd", "../sbin/pagerd", buf, buf_size))
		snprintf(buf, buf_size, "%s", program ? program : "pagerd");
	return buf;
}

/* Runs in the child. */
static void
daemon_exec(const struct run_daemon *d, const struct ctl *ctl, int output)
{
	char log_path[128], swap[128], found[PATH_MAX];
	const char *program = run_daemon_program(found, sizeof(found));
	pid_t parent = getppid();
	sigset_t none;
	int log;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* What is typed at the terminal is for the command. */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(127);
	snprintf(log_path, sizeof(log_path), "%s/log", d->directory);
	snprintf(swap, sizeof(swap), "%s/swap", d->directory);
	log = open(log_path, O_WRONLY | O_APPEND | O_CLOEXEC);
	dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
	dup2(output, STDOUT_FILENO);
	if (log >= 0)
		dup2(log, STDERR_FILENO);
	/* Profiles of a service are not this user's. */
	unsetenv("STATE_DIRECTORY");
	execlp(program, program, "--private", "--socket", d->socket, "--memory", ctl->memory,
	    "--swap-dir", ctl->swap_directory ? ctl->swap_directory : swap, "--param",
	    "zero_ahead=256", ctl->profiles ? "--profiles" : NULL, ctl->profiles, (char *)NULL);
	dprintf(STDERR_FILENO, "cannot start %s: %s\n", program, strerror(errno));
	_exit(127);
}

/* => whether it serves; else it has ended */
static bool
wait_ready(const struct run_daemon *d)
{
	char text[4096];
	size_t used = 0;
	ssize_t got;

	while ((got = read(d->output, text + used, sizeof(text) - 1 - used)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return false;
		used += (size_t)got;
		text[used] = '\0';
		if (strstr(text, ready_text))
			return true;
		if (used == sizeof(text) - 1)
			used = 0;
	}
	return false;
}

/* Removes a directory with the files in it. */
static void
directory_remove(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;

	while (directory && (entry = readdir(directory)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(directory), entry->d_name, 0);
	if (directory)
		closedir(directory);
	rmdir(path);
}

/* => the directory, opened and locked by this process, if it is this user's and nobody holds it;
 * else -1 */
static int
directory_hold(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -1;
	/* Without a link it has just been removed. */
	if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
	    fstat(fd, &st) == 0 && st.st_nlink > 0)
		return fd;
	close(fd);
	return -1;
}

/* Of runs whose launcher and whose daemon were killed. */
static void
directories_clean(void)
{
	DIR *directory = opendir(PLACE);
	struct dirent *entry;
	char path[sizeof(PLACE) + 1 + sizeof(entry->d_name) + 8];
	int fd;

	while (directory && (entry = readdir(directory)) != NULL) {
		if (strncmp(entry->d_name, PREFIX, sizeof(PREFIX) - 1) != 0)
			continue;
		snprintf(path, sizeof(path), PLACE "/%s", entry->d_name);
		fd = directory_hold(path);
		if (fd < 0)
			continue;
		snprintf(path, sizeof(path), PLACE "/%s/swap", entry->d_name);
		directory_remove(path);
		snprintf(path, sizeof(path), PLACE "/%s", entry->d_name);
		directory_remove(path);
		close(fd);
	}
	if (directory)
		closedir(directory);
}

/* A new directory, which is held. => 0 or an errno */
static int
directory_make(struct run_daemon *d)
{
	unsigned tries = 0;
	char path[128];

	do {
		/* It cannot be opened, or not be locked there. */
		if (tries++ == TRIES_MAX)
			return ENOLCK;
		snprintf(d->directory, sizeof(d->directory), PLACE "/" PREFIX "XXXXXX");
		if (!mkdtemp(d->directory))
			return errno;
		/* Another run may just now believe that it was left behind, and remove it. */
		d->hold = directory_hold(d->directory);
		if (d->hold < 0)
			rmdir(d->directory);
	} while (d->hold < 0);
	snprintf(d->socket, sizeof(d->socket), "%s/socket", d->directory);
	snprintf(path, sizeof(path), "%s/log", d->directory);
	d->log = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return 0;
}

static void
directory_end(const struct run_daemon *d)
{
	char swap[128];

	snprintf(swap, sizeof(swap), "%s/swap", d->directory);
	directory_remove(swap);
	directory_remove(d->directory);
	close(d->hold);
	if (d->log >= 0)
		close(d->log);
}

int
run_daemon_start(const struct ctl *ctl, struct run_daemon *ret)
{
	struct run_daemon d = { .log = -1 };
	int output[2], error;

	directories_clean();
	error = directory_make(&d);
	if (error) {
		fprintf(stderr, "pagerctl: run: cannot make a directory in " PLACE ": %s\n",
		    strerror(error));
		return CTL_FAILED;
	}
	if (pipe2(output, O_CLOEXEC) < 0 || (d.pid = fork()) < 0) {
		fprintf(stderr, "pagerctl: run: cannot start pagerd: %s\n", strerror(errno));
		directory_end(&d);
		return CTL_FAILED;
	}
	if (d.pid == 0)
		daemon_exec(&d, ctl, output[1]);
	close(output[1]);
	d.output = output[0];
	if (!wait_ready(&d)) {
		fprintf(stderr,
		    "pagerctl: run: a pagerd with --memory %s did not start; it said:\n",
		    ctl->memory);
		waitpid(d.pid, NULL, 0);
		run_daemon_show_log(&d);
		run_daemon_stop(&d, true);
		return CTL_FAILED;
	}
	*ret = d;
	return CTL_OK;
}

void
run_daemon_show_log(const struct run_daemon *d)
{
	char text[LOG_SHOWN_BYTES + 1], *line = text;
	off_t end = d->log < 0 ? 0 : lseek(d->log, 0, SEEK_END);
	ssize_t got = end <= 0 ? 0
			       : pread(d->log, text, LOG_SHOWN_BYTES,
				     end > LOG_SHOWN_BYTES ? end - LOG_SHOWN_BYTES : 0);

	text[got > 0 ? got : 0] = '\0';
	/* The first line may be a part of one. */
	if (end > LOG_SHOWN_BYTES && strchr(text, '\n'))
		line = strchr(text, '\n') + 1;
	for (size_t length; *line; line += length) {
		length = strcspn(line, "\n");
		fprintf(stderr, "  %.*s\n", (int)length, line);
		length += line[length] == '\n';
	}
}

void
run_daemon_stop(struct run_daemon *d, bool is_gone)
{
	if (!is_gone) {
		kill(d->pid, SIGTERM);
		waitpid(d->pid, NULL, 0);
	}
	close(d->output);
	directory_end(d);
}
