/* SPDX-License-Identifier: MIT
 *
 * Reading /proc/PID/smaps. The process's owner decides how long it is (up to vm.max_map_count
 * mappings) and how long a read waits for the lock of the address space. Runs on: jobs.
 */
#include "pmap/places.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/closer.h"
#include "core/watch.h"
#include "daemon.h"
#include "vm/task.h"

#define TEXT_BYTES 16384u

/* The mapping that is being read: its first line has come, its flags have not. */
struct reader {
	int (*see)(void *context, const struct place *place);
	void *context;
	struct place place;
};

/* The words of the line of flags, each of two letters and a space. */
static bool
flags_have(const char *line, const char *flag)
{
	const char *at = strchr(line, ':');

	while (at && (at = strstr(at, flag)) != NULL) {
		if (at[-1] == ' ' && (at[2] == ' ' || at[2] == '\0'))
			return true;
		at++;
	}
	return false;
}

/* => 0, or what `see` says */
static int
line_take(struct reader *r, const char *line)
{
	unsigned long long start, end, offset, inode;
	unsigned major_number, minor_number;
	char protection[5];

	if (sscanf(line, "%llx-%llx %4s %llx %x:%x %llu", &start, &end, protection, &offset,
		&major_number, &minor_number, &inode) == 7) {
		r->place = (struct place){ .start = start,
			.end = end,
			.offset = offset,
			.device = makedev(major_number, minor_number),
			.inode = inode,
			.is_shared = protection[3] == 's',
			.is_accessible = protection[0] == 'r' || protection[1] == 'w' };
		return 0;
	}
	if (strncmp(line, "VmFlags:", 8) != 0 || r->place.inode == 0)
		return 0;
	r->place.is_registered =
	    flags_have(line, "um") && flags_have(line, "uw") && flags_have(line, "ui");
	return r->see(r->context, &r->place);
}

/* Hands out the whole lines of the text. => bytes left over at its front, or -errno of `see` */
static int
lines_take(struct reader *r, char *text, size_t used)
{
	char *at = text, *end;
	int error = 0;

	text[used] = '\0';
	while (!error && (end = strchr(at, '\n')) != NULL) {
		*end = '\0';
		error = line_take(r, at);
		at = end + 1;
	}
	if (error)
		return error;
	used = strlen(at);
	memmove(text, at, used);
	return (int)used;
}

static int
text_read(struct task *task, int fd, struct reader *r)
{
	char text[TEXT_BYTES + 1];
	size_t used = 0;
	bool any = false;

	for (;;) {
		ssize_t got;
		int error, left;

		/* It has held a read up. */
		if (load_acquire(&task->lane) != watch_lane())
			return -EAGAIN;
		watch_enter(WATCH_PAGEMAP, -1);
		got = read(fd, text + used, TEXT_BYTES - used);
		error = got < 0 ? -errno : 0;
		watch_leave();
		if (error == -EINTR)
			continue;
		if (error)
			return error;
		/* Nothing at all: the address space has gone. */
		if (got == 0)
			return any ? 0 : -ESRCH;
		any = true;
		left = lines_take(r, text, used + (size_t)got);
		if (left < 0)
			return left;
		/* A line is a path at most, which the kernel limits to a page. */
		if ((size_t)left == TEXT_BYTES)
			return -EOVERFLOW;
		used = (size_t)left;
	}
}

int
places_read(struct task *task, int (*see)(void *context, const struct place *place), void *context)
{
	struct reader reader = { .see = see, .context = context };
	char path[64];
	int fd, error;

	CHECK_OBJ(task, TASK_MAGIC);
	locks_assert_none();
	/* The process is in another pid namespace. */
	if (task->pid == 0)
		return -EACCES;
	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)task->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		/* ENOENT: /proc hides other users' processes, or the process has gone. */
		return errno == EPERM || errno == ENOENT ? -EACCES : -errno;
	error = text_read(task, fd, &reader);
	/* It had that number before, and has it still: the file is its own. */
	if (syscall(SYS_pidfd_send_signal, task->pidfd, 0, NULL, 0u) != 0 && errno != EPERM)
		error = -ESRCH;
	closer_close(task->daemon, fd, task->pid, task->uid);
	return error;
}
