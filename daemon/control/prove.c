/* SPDX-License-Identifier: MIT
 *
 * The proof of ATTACH. Runs on: jobs.
 */
#include "control/prove.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/closer.h"
#include "pmap/uffd.h"
#include "vm/task.h"
#include "watch/watcher.h"

#define PAGEMAP_PRESENT (1ull << 63)
#define PAGEMAP_SWAPPED (1ull << 62)

_Static_assert(PAGER_PROBE_PAGES == 64, "a bit for each page of the probe");

/* The pidfd is of a process that has not been waited for, so nobody else has its number. */
static bool
process_is_there(const struct task *task)
{
	CHECK_OBJ(task, TASK_MAGIC);
	return syscall(SYS_pidfd_send_signal, task->pidfd, 0, NULL, 0u) == 0 || errno == EPERM;
}

/* => the process's page tables, or -errno. -EACCES: they may not be looked at, or it has no number
 * here */
static int
pagemap_open(const struct task *task)
{
	char path[64];
	int fd, error;

	/* The process is in another pid namespace. */
	if (task->pid == 0)
		return -EACCES;
	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)task->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	error = fd < 0 ? -errno : 0;
	/* It had that number before and has it still, so the file that was opened in between is
	 * its own. */
	if (!process_is_there(task)) {
		closer_close(task->daemon, fd, task->pid, task->uid);
		return -ESRCH;
	}
	/* ENOENT: /proc hides other users' processes. */
	return !error ? fd : error == -EPERM || error == -ENOENT ? -EACCES : error;
}

/* Which pages of the probe are there. => 0 or -errno */
static int
present_pages(const struct task *task, int pagemap, uint64_t address, uint64_t *ret)
{
	uint64_t entries[PAGER_PROBE_PAGES], present = 0;
	ssize_t got;

	CHECK(pagemap >= 0 && address % task->daemon->hw_bytes == 0);
	watch_enter(WATCH_PAGEMAP, -1);
	got = pread(pagemap, entries, sizeof(entries),
	    (off_t)(address / task->daemon->hw_bytes * sizeof(entries[0])));
	watch_leave();
	if (got < 0)
		return -errno;
	/* 0: its address space has gone. */
	if ((size_t)got != sizeof(entries))
		return -ESRCH;
	for (unsigned i = 0; i < PAGER_PROBE_PAGES; i++)
		if (entries[i] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED))
			present |= 1ull << i;
	*ret = present;
	return 0;
}

static int
zero_fill(const struct task *task, int uffd, uint64_t address, uint64_t pages)
{
	size_t bytes = task->daemon->hw_bytes, done;
	int error = 0;

	CHECK(uffd >= 0);
	for (unsigned i = 0; i < PAGER_PROBE_PAGES && !error; i++)
		if (pages & 1ull << i)
			error = uffd_zeropage(uffd, address + i * bytes, bytes, 0, &done);
	return error;
}

static int
probe(const struct task *task, int uffd, int pagemap, uint64_t address)
{
	uint64_t chosen, before, after;
	int error;

	CHECK(address != 0);
	if (getrandom(&chosen, sizeof(chosen), 0) != sizeof(chosen))
		return -EIO;
	error = present_pages(task, pagemap, address, &before);
	if (!error && before != 0)
		error = -EPERM;
	if (!error)
		error = zero_fill(task, uffd, address, chosen);
	if (!error)
		error = present_pages(task, pagemap, address, &after);
	if (!error && after != chosen)
		error = -EPERM;
	return error;
}

int
userfaultfd_prove(struct task *task, int uffd, uint64_t address, bool *ret_proven)
{
	int pagemap = pagemap_open(task), error;

	CHECK_OBJ(task, TASK_MAGIC);
	CHECK(uffd >= 0);
	*ret_proven = false;
	if (pagemap == -EACCES)
		return 0;
	if (pagemap < 0)
		return pagemap;
	error = probe(task, uffd, pagemap, address);
	closer_close(task->daemon, pagemap, task->pid, task->uid);
	*ret_proven = !error;
	return error;
}
