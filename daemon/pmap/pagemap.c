/* SPDX-License-Identifier: MIT
 *
 * Looks at page tables. Runs on: fault servers, workers, jobs. Allocates nothing.
 */
#include "pmap/pagemap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/watch.h"
#include "daemon.h"
#include "vm/task.h"

#define PAGEMAP_PRESENT (1ull << 63)

#ifndef PAGEMAP_SCAN /* Linux 6.7; the headers are older. The values are the kernel's ABI. */
#define PAGEMAP_SCAN    _IOWR('f', 16, struct pm_scan_arg)
#define PAGE_IS_WRITTEN (1ull << 1)
#define PAGE_IS_PRESENT (1ull << 3)
struct page_region {
	uint64_t start, end;
	uint64_t categories;
};
struct pm_scan_arg {
	uint64_t size, flags;
	uint64_t start, end, walk_end;
	uint64_t vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#endif

#define SCAN_MAX 64u

/* The task's /proc/PID/pagemap, opened at its first use. => a descriptor, or -2: it cannot be
 * opened */
static int
pagemap_of(struct task *task)
{
	int fd = load_acquire(&task->pagemap), none = -1;
	char path[64];

	CHECK_OBJ(task, TASK_MAGIC);
	if (fd != -1)
		return fd;
	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)task->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fd = -2;
	if (cas_acq_rel(&task->pagemap, &none, fd))
		return fd;
	if (fd >= 0)
		close(fd);
	return none;
}

bool
pagemap_is_present(struct task *task, uint64_t address, size_t bytes)
{
	size_t hw_bytes = task->daemon->hw_bytes;
	uint64_t entries[64], at = address / hw_bytes, end = at + bytes / hw_bytes;
	int fd = pagemap_of(task);

	locks_assert_none();
	CHECK(at < end);
	while (fd >= 0 && at < end) {
		size_t want = min_u64(end - at, ARRAY_LEN(entries));
		ssize_t got;

		watch_enter(WATCH_PAGEMAP, -1);
		got =
		    pread(fd, entries, want * sizeof(entries[0]), (off_t)(at * sizeof(entries[0])));
		watch_leave();
		if (got <= 0)
			return false;
		for (size_t i = 0; i < (size_t)got / sizeof(entries[0]); i++)
			if (entries[i] & PAGEMAP_PRESENT)
				return true;
		at += (size_t)got / sizeof(entries[0]);
	}
	return false;
}

int
pagemap_scan(struct task *task, uint64_t start, uint64_t end, struct pagemap_run *runs,
    unsigned max, uint64_t *ret_reached)
{
	struct page_region regions[SCAN_MAX];
	struct pm_scan_arg scan = {
		.size = sizeof(scan),
		.start = start,
		.end = end,
		.vec = (uint64_t)(uintptr_t)regions,
		.vec_len = min_u64(max, SCAN_MAX),
		.category_mask = PAGE_IS_PRESENT,
		.return_mask = PAGE_IS_PRESENT | PAGE_IS_WRITTEN,
	};
	int fd = pagemap_of(task), count, error;

	locks_assert_none();
	CHECK(start < end && max > 0);
	if (fd < 0)
		return -EACCES;
	watch_enter(WATCH_PAGEMAP, -1);
	count = ioctl(fd, PAGEMAP_SCAN, &scan);
	error = count < 0 ? -errno : 0;
	watch_leave();
	if (error)
		return error == -ENOTTY || error == -EINVAL ? -EOPNOTSUPP : error;
	for (int i = 0; i < count; i++)
		runs[i] = (struct pagemap_run){ .start = regions[i].start,
			.end = regions[i].end,
			.writable = (regions[i].categories & PAGE_IS_WRITTEN) != 0 };
	/* The kernel ends where the runs are full. */
	*ret_reached = scan.walk_end > start && scan.walk_end < end ? scan.walk_end : end;
	return count;
}
