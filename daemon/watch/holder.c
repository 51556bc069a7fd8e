/* SPDX-License-Identifier: MIT
 *
 * Walks /proc for processes that keep the lock of a memfd's inode. The memfd is recognized by its
 * inode number in /proc/PID/fdinfo: stat(2) through /proc/PID/fd would ask file systems that may
 * not answer. Runs on: the watcher.
 */
#include "watch/holder.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MEMFD_LINK "/memfd:pagerd-object"
/* Functions of the kernel: a thread waits for the answer to its fault, and has begun to write to a
 * file in memory. */
#define FAULT_FUNCTION "handle_userfault"
#define WRITE_FUNCTION "shmem_file_write_iter"

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

/* Whether a descriptor of a process is one of that inode. *ret_writes: through it, too. */
static bool
is_descriptor_of(pid_t pid, const char *fd, uint64_t inode, bool *ret_writes)
{
	char path[64], text[512], wanted[64];
	const char *flags;

	CHECK(pid > 0 && inode != 0);
	snprintf(path, sizeof(path), "/proc/%d/fd/%.10s", (int)pid, fd);
	if (readlink(path, text, sizeof(text)) < (ssize_t)strlen(MEMFD_LINK) ||
	    strncmp(text, MEMFD_LINK, strlen(MEMFD_LINK)) != 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%.10s", (int)pid, fd);
	snprintf(wanted, sizeof(wanted), "ino:\t%llu\n", (unsigned long long)inode);
	if (read_text(path, text, sizeof(text)) == 0 || !strstr(text, wanted))
		return false;
	flags = strstr(text, "flags:\t");
	*ret_writes =
	    flags && (strtoul(flags + strlen("flags:\t"), NULL, 8) & O_ACCMODE) != O_RDONLY;
	return true;
}

/* => whether the process has the memfd open. *ret_writes: for writing */
static bool
has_open(pid_t pid, uint64_t inode, bool *ret_writes)
{
	struct dirent *entry;
	char path[64];
	bool found = false, writes;
	DIR *directory;

	CHECK(pid > 0);
	*ret_writes = false;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	directory = opendir(path);
	while (directory && (entry = readdir(directory)) != NULL)
		if (is_descriptor_of(pid, entry->d_name, inode, &writes)) {
			found = true;
			*ret_writes |= writes;
		}
	if (directory)
		closedir(directory);
	return found;
}

/* Which argument of a call is the descriptor whose lock it takes. => -1: it takes none */
static int
locking_argument(long number)
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
		return 0;
	case SYS_copy_file_range:
	case SYS_splice:
		return 2;
	default:
		return -1;
	}
}

/* A file of a thread in /proc. => its bytes; 0: none */
static size_t
thread_text(pid_t pid, const char *thread, const char *name, char *text, size_t room)
{
	char path[96];

	snprintf(path, sizeof(path), "/proc/%d/task/%.10s/%s", (int)pid, thread, name);
	return read_text(path, text, room);
}

static bool
thread_is_inside(pid_t pid, const char *thread, uint64_t inode)
{
	unsigned long arguments[3];
	char text[256], fd[16];
	bool writes;
	long number;
	int which;

	CHECK(pid > 0);
	/* What the kernel does for an io_uring it does on such a thread, which has no call. */
	if (thread_text(pid, thread, "comm", text, sizeof(text)) > 0 &&
	    strncmp(text, "iou-wrk-", 8) == 0)
		return thread_text(pid, thread, "wchan", text, sizeof(text)) > 0 &&
		       strcmp(text, FAULT_FUNCTION) == 0;
	if (thread_text(pid, thread, "syscall", text, sizeof(text)) == 0 ||
	    sscanf(text, "%ld %lx %lx %lx", &number, &arguments[0], &arguments[1], &arguments[2]) !=
		4)
		return false;
	which = locking_argument(number);
	if (which < 0)
		return false;
	snprintf(fd, sizeof(fd), "%u", (unsigned)arguments[which]);
	return is_descriptor_of(pid, fd, inode, &writes);
}

/* Whether the thread waits for a fault within a write to a file in memory, whichever that is. */
static bool
thread_is_hidden(pid_t pid, const char *thread, uint64_t inode)
{
	char text[4096];

	CHECK(pid > 0);
	(void)inode;
	return thread_text(pid, thread, "stack", text, sizeof(text)) > 0 &&
	       strstr(text, FAULT_FUNCTION) && strstr(text, WRITE_FUNCTION);
}

/* Whether one of the process's threads is as the function says. */
static bool
any_thread(pid_t pid, uint64_t inode, bool (*is)(pid_t pid, const char *thread, uint64_t inode))
{
	struct dirent *entry;
	bool found = false;
	DIR *directory;
	char path[64];

	CHECK(pid > 0);
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	directory = opendir(path);
	while (directory && !found && (entry = readdir(directory)) != NULL)
		found = is_number(entry->d_name) && is(pid, entry->d_name, inode);
	if (directory)
		closedir(directory);
	return found;
}

/* => false: it is gone, or not to be seen */
static bool
user_of(pid_t pid, uid_t *ret)
{
	char path[64];
	struct stat st;

	CHECK(pid > 0);
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	if (stat(path, &st) < 0)
		return false;
	*ret = st.st_uid;
	return true;
}

static bool
has_client(struct daemon *d, uid_t uid)
{
	bool found = false;

	for (uint32_t i = 0; !found && i < d->tasks.room; i++) {
		struct task *task = task_at(d, i);

		if (!task)
			continue;
		found = task->uid == uid;
		task_put(task);
	}
	return found;
}

/* Nothing says whose memory it writes to. */
static bool
is_hidden(const struct holders *h, pid_t pid, uint64_t inode)
{
	uid_t uid;

	CHECK(h->daemon);
	if (!any_thread(pid, inode, thread_is_hidden) || !user_of(pid, &uid) || uid == 0 ||
	    uid == geteuid())
		return false;
	return h->search >= HOLDERS_GONE || has_client(h->daemon, uid);
}

static bool
is_holder(const struct holders *h, pid_t pid, uint64_t inode)
{
	bool writes;
	uid_t uid;

	CHECK(pid != getpid());
	if (has_open(pid, inode, &writes)) {
		if (h->task && user_of(pid, &uid) && uid == h->task->uid)
			return true;
		if (any_thread(pid, inode, thread_is_inside))
			return true;
		if (h->search >= HOLDERS_WRITERS && writes)
			return true;
	}
	return h->search >= HOLDERS_HIDDEN && is_hidden(h, pid, inode);
}

static bool
end_process(const struct holders *h, pid_t pid, uint64_t inode)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0u);
	bool ended = false;
	uid_t uid;

	CHECK(pid != getpid());
	if (pidfd < 0)
		return false;
	/* Looked at once more, now that the number cannot be another process's. */
	if (is_holder(h, pid, inode) && user_of(pid, &uid))
		ended = syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0u) == 0;
	close(pidfd);
	if (!ended)
		return false;
	if (h->task)
		log_error_limited("process %d is ended: it has the memory of process %d, which is "
				  "gone, and keeps its lock",
		    (int)pid, (int)h->task->pid);
	else
		log_error_limited("process %d of user %u is ended: it keeps the lock of memory "
				  "that it shares with others",
		    (int)pid, (unsigned)uid);
	h->ended(h->argument, uid);
	return true;
}

/* What is done with a process, if it is a holder. => whether it was one */
typedef bool holder_fn(const struct holders *h, pid_t pid, uint64_t inode);

/* => of how many processes that was true; at most `most` */
static unsigned
for_each_process(const struct holders *h, holder_fn *act, unsigned most)
{
	DIR *directory = opendir("/proc");
	struct dirent *entry;
	unsigned count = 0;
	struct stat st;

	CHECK(h->search <= HOLDERS_GONE && most > 0);
	if (!directory)
		return 0;
	/* fstat does not take the lock. */
	if (fstat(h->memfd, &st) < 0)
		st.st_ino = 0;
	while (st.st_ino != 0 && count < most && (entry = readdir(directory)) != NULL) {
		pid_t pid = is_number(entry->d_name) ? (pid_t)atoi(entry->d_name) : 0;

		if (pid != 0 && pid != getpid() && is_holder(h, pid, st.st_ino))
			count += act(h, pid, st.st_ino);
	}
	closedir(directory);
	return count;
}

unsigned
watch_holders_end(const struct holders *h)
{
	CHECK(h->ended);
	return for_each_process(h, end_process, UINT_MAX);
}

static bool
process_seen(const struct holders *h, pid_t pid, uint64_t inode)
{
	(void)h;
	return pid > 0 && inode != 0;
}

bool
watch_holder_seen(struct daemon *d, int memfd)
{
	return for_each_process(
		   &(struct holders){ .daemon = d, .memfd = memfd, .search = HOLDERS_INSIDE },
		   process_seen, 1) > 0;
}
