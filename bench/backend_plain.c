/* SPDX-License-Identifier: MIT
 *
 * Plain memory: anonymous, or a memfd where the pages must outlive their mappings.
 */
#include "backend.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static int
plain_open(const char *socket, void **ret_state)
{
	(void)socket;
	*ret_state = NULL;
	return 0;
}

static void
plain_close(void *state)
{
	(void)state;
}

static int
plain_allocate(void *state, size_t bytes, unsigned flags, void **ret_addr)
{
	int fd = -1, error;
	void *addr;

	(void)state;
	if (flags & BACKEND_SHARED) {
		fd = memfd_create("pagerbench-plain", MFD_CLOEXEC);
		if (fd < 0)
			return -errno;
		if (ftruncate(fd, (off_t)bytes)) {
			error = -errno;
			close(fd);
			return error;
		}
	}
	addr = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED, fd, 0);
	error = addr == MAP_FAILED ? -errno : 0;
	if (fd >= 0)
		close(fd);
	if (error)
		return error;
	madvise(addr, bytes, MADV_NOHUGEPAGE);
	*ret_addr = addr;
	return 0;
}

static int
plain_map_file(void *state, int fd, size_t bytes, unsigned flags, void **ret_addr)
{
	void *addr = mmap(
	    NULL, bytes, PROT_READ | (flags & BACKEND_WRITE ? PROT_WRITE : 0), MAP_SHARED, fd, 0);

	(void)state;
	if (addr == MAP_FAILED)
		return -errno;
	*ret_addr = addr;
	return 0;
}

static int
plain_sync(void *state, void *addr, size_t bytes)
{
	(void)state;
	return msync(addr, bytes, MS_SYNC) ? -errno : 0;
}

static int
plain_deallocate(void *state, void *addr, size_t bytes)
{
	(void)state;
	return munmap(addr, bytes) ? -errno : 0;
}

static int
plain_cool(void *state, void *addr, size_t bytes)
{
	(void)state;
	/* Only called for BACKEND_SHARED memory: the content stays in the memfd. */
	return madvise(addr, bytes, MADV_DONTNEED) ? -errno : 0;
}

static int
plain_page_out(void *state, void *addr, size_t bytes)
{
	(void)state;
	return madvise(addr, bytes, MADV_PAGEOUT) ? -errno : 0;
}

static int
plain_expect_random(void *state, void *addr, size_t bytes)
{
	(void)state;
	return madvise(addr, bytes, MADV_RANDOM) ? -errno : 0;
}

static int
plain_is_stored(void *state, void *addr)
{
	unsigned char resident;

	(void)state;
	if (mincore(addr, 1, &resident))
		return -errno;
	return !(resident & 1);
}

static int
plain_counts(void *state, struct fault_counts *ret)
{
	struct rusage usage;

	(void)state;
	if (getrusage(RUSAGE_SELF, &usage))
		return -errno;
	*ret = (struct fault_counts){ .minor = (uint64_t)usage.ru_minflt,
		.major = (uint64_t)usage.ru_majflt };
	return 0;
}

static pid_t
plain_daemon_pid(void *state)
{
	(void)state;
	return 0;
}

const struct backend_ops backend_plain = {
	.name = "plain",
	.open = plain_open,
	.close = plain_close,
	.allocate = plain_allocate,
	.map_file = plain_map_file,
	.sync = plain_sync,
	.deallocate = plain_deallocate,
	.cool = plain_cool,
	.page_out = plain_page_out,
	.expect_random = plain_expect_random,
	.is_stored = plain_is_stored,
	.counts = plain_counts,
	.daemon_pid = plain_daemon_pid,
};
