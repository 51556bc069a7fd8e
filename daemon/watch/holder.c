/* SPDX-License-Identifier: MIT
 *
 * Walks /proc for processes that keep the lock of a memfd's inode. The memfd is recognized by its
 * inode number in /proc/PID/fdinfo: stat(2) through /proc/PID/fd would ask file systems that may
 * not answer. Runs on: the watcher.
 */
#include "watch/holder.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MEMFD_LINK "/memfd:pagerd-object"

/* => bytes read, with a zero behind them; 0: none */
static size_t
read_text(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? 0 : read(fd, text, room - 1);

	CHECK(room > 1);
	if (fd >= 0)
		close(fd);
	if (length < 0)
		length = 0;
	text[length] = '\0';
	return (size_t)length;
}

static bool
is_number(const char *name)
{
	return name[0] >= '1' && name[0] <= '9';
}

/* => the process's number of a descriptor of that inode, or -1 */
static int
descriptor_of(pid_t pid, uint64_t inode)
{
	char path[64], link[64], text[512], wanted[64];
	struct dirent *entry;
	int found = -1;
	DIR *directory;

	CHECK(pid > 0 && inode != 0);
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	directory = opendir(path);
	if (!directory)
		return -1;
	snprintf(wanted, sizeof(wanted), "ino:\t%llu\n", (unsigned long long)inode);
	while (found < 0 && (entry = readdir(directory)) != NULL) {
		ssize_t length =
		    readlinkat(dirfd(directory), entry->d_name, link, sizeof(link) - 1);

		if (length < 0)
			continue;
		link[length] = '\0';
		if (strncmp(link, MEMFD_LINK, strlen(MEMFD_LINK)) != 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%.10s", (int)pid, entry->d_name);
		if (read_text(path, text, sizeof(text)) > 0 && strstr(text, wanted))
			found = atoi(entry->d_name);
	}
	closedir(directory);
	return found;
}

/* Calls that take the lock, with the descriptor as first argument (copy_file_range(2) and
 * splice(2): as third). */
static bool
takes_lock(long number, const unsigned long *arguments, unsigned long fd)
{
	switch (number) {
	case SYS_write:
	case SYS_pwrite64:
	case SYS_writev:
	case SYS_pwritev:
	case SYS_pwritev2:
	case SYS_fallocate:
	case SYS_ftruncate:
	case SYS_sendfile:
		return arguments[0] == fd;
	case SYS_copy_file_range:
	case SYS_splice:
		return arguments[2] == fd;
	default:
		return false;
	}
}

static bool
is_inside(pid_t pid, int fd)
{
	char path[96], text[256];
	struct dirent *entry;
	bool inside = false;
	DIR *directory;

	CHECK(pid > 0);
	CHECK(fd >= 0);
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	directory = opendir(path);
	while (directory && !inside && (entry = readdir(directory)) != NULL) {
		unsigned long arguments[3];
		long number;

		if (!is_number(entry->d_name))
			continue;
		snprintf(
		    path, sizeof(path), "/proc/%d/task/%.10s/syscall", (int)pid, entry->d_name);
		if (read_text(path, text, sizeof(text)) > 0 &&
		    sscanf(text, "%ld %lx %lx %lx", &number, &arguments[0], &arguments[1],
			&arguments[2]) == 4)
			inside = takes_lock(number, arguments, (unsigned long)fd);
	}
	if (directory)
		closedir(directory);
	return inside;
}

static bool
is_of(pid_t pid, uid_t uid)
{
	char path[64];
	struct stat st;

	CHECK(pid > 0);
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	return stat(path, &st) == 0 && st.st_uid == uid;
}

static bool
end_process(const struct task *task, pid_t pid, uint64_t inode)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0u), fd;
	bool ended = false;

	CHECK(pid != getpid());
	if (pidfd < 0)
		return false;
	/* Looked at once more, now that the number cannot be another process's. */
	fd = descriptor_of(pid, inode);
	if (fd >= 0 && (is_of(pid, task->uid) || is_inside(pid, fd)))
		ended = syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0u) == 0;
	close(pidfd);
	if (ended)
		log_error_limited("process %d is ended: it has the memory of process %d, which is "
				  "gone, and keeps its lock",
		    (int)pid, (int)task->pid);
	return ended;
}

unsigned
watch_holders_end(const struct task *task, int memfd)
{
	DIR *directory = opendir("/proc");
	struct dirent *entry;
	unsigned ended = 0;
	struct stat st;

	CHECK_OBJ(task, TASK_MAGIC);
	if (!directory)
		return 0;
	/* fstat does not take the lock. */
	if (fstat(memfd, &st) < 0)
		st.st_ino = 0;
	while (st.st_ino != 0 && (entry = readdir(directory)) != NULL) {
		pid_t pid = is_number(entry->d_name) ? (pid_t)atoi(entry->d_name) : 0;

		if (pid != 0 && pid != getpid() && descriptor_of(pid, st.st_ino) >= 0)
			ended += end_process(task, pid, st.st_ino);
	}
	closedir(directory);
	return ended;
}
