/* SPDX-License-Identifier: MIT
 *
 * Devices: mapped at once as they are and not registered with userfaultfd, so that no fault ever
 * comes; changed and unmapped only where their mappings still are. Locks: space_lock. Runs on: the
 * caller's threads; device_unmap_all on the keeper.
 */
#include "pager_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MAPS_BUFFER 8192 /* more than a line of /proc/self/maps has */

static void *
device_pointer(uint64_t address)
{
	return (void *)(uintptr_t)address;
}

int
device_map(
    struct pager *p, uint64_t address, uint64_t size, int fd, uint64_t offset, int protection)
{
	struct device_range range = { .start = address, .end = address + size };
	void *memory = device_pointer(address);
	int r = fd_note(fd, &range.file);

	hold_lock(&p->space_lock);
	if (r == 0)
		r = device_set_reserve(&p->devices, 1);
	/* A device that cannot be populated (its memory is no memory of the kernel's) has no
	 * faults that anybody would see. */
	if (r == 0 && mmap(memory, size, protection, MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd,
			  (off_t)offset) == MAP_FAILED)
		r = -errno;
	/* RANDOM: as other memory of the library, so that device_part can tell a part of it. */
	if (r == 0 &&
	    (madvise(memory, size, MADV_DONTFORK) < 0 || madvise(memory, size, MADV_RANDOM) < 0)) {
		r = -errno;
		munmap(memory, size);
	}
	if (r == 0) {
		/* Memory of a driver has that anyway, and may refuse it. */
		madvise(memory, size, MADV_DONTDUMP);
		device_set_add(&p->devices, &range);
	}
	hold_unlock(&p->space_lock);
	return r;
}

bool
device_has(struct pager *p, uint64_t address, uint64_t size)
{
	bool has;

	hold_lock(&p->space_lock);
	has = device_set_contains(&p->devices, address, address + size);
	hold_unlock(&p->space_lock);
	return has;
}

/* What is done with each piece of a range that is still the device's. */
struct device_walk {
	int (*piece)(uint64_t start, uint64_t end, int value);
	int value;
};

/* One line of /proc/self/maps. => 0 or what the walk says */
static int
walk_line(const char *line, const struct device_range *range, const struct device_walk *walk)
{
	unsigned long long start, end, inode;
	unsigned major, minor;
	char *at;

	start = strtoull(line, &at, 16);
	end = strtoull(at + 1, &at, 16);
	if (end <= range->start || start >= range->end)
		return 0;
	at = strchr(at + 1, ' ');             /* behind the rights */
	at = at ? strchr(at + 1, ' ') : NULL; /* behind the offset */
	if (!at)
		return 0;
	major = (unsigned)strtoul(at + 1, &at, 16);
	minor = (unsigned)strtoul(at + 1, &at, 16);
	inode = strtoull(at + 1, NULL, 10);
	if (inode != range->file.inode || major != range->file.device_major ||
	    minor != range->file.device_minor)
		return 0;
	return walk->piece(start < range->start ? range->start : start,
	    end > range->end ? range->end : end, walk->value);
}

/* Calls the walk for each piece of the range at which its file is mapped. Raw calls: see keeper.c.
 * => 0 or the first error */
static int
walk_range(const struct device_range *range, const struct device_walk *walk)
{
	int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC);
	char buffer[MAPS_BUFFER];
	size_t used = 0;
	int r = 0, r2;

	/* Without /proc there is no way to see what the program has done there. */
	if (fd < 0)
		return walk->piece(range->start, range->end, walk->value);
	for (;;) {
		long got = syscall(SYS_read, fd, buffer + used, sizeof(buffer) - 1 - used);
		char *line = buffer, *end;

		if (got <= 0)
			break;
		used += (size_t)got;
		buffer[used] = '\0';
		while ((end = strchr(line, '\n')) != NULL) {
			*end = '\0';
			r2 = walk_line(line, range, walk);
			r = r < 0 ? r : r2;
			line = end + 1;
		}
		used -= (size_t)(line - buffer);
		memmove(buffer, line, used);
	}
	syscall(SYS_close, fd);
	return r;
}

/* => space_lock held; 0 or the first error */
static int
walk_devices(struct pager *p, uint64_t start, uint64_t end, const struct device_walk *walk)
{
	int r = 0, r2;

	for (size_t i = 0; i < p->devices.count; i++) {
		struct device_range range = p->devices.ranges[i];

		range.start = range.start < start ? start : range.start;
		range.end = range.end > end ? end : range.end;
		if (range.start >= range.end)
			continue;
		r2 = walk_range(&range, walk);
		r = r < 0 ? r : r2;
	}
	return r;
}

static int
piece_protect(uint64_t start, uint64_t end, int value)
{
	if (mprotect(device_pointer(start), end - start, value) == 0)
		return 0;
	return errno == EACCES ? -EACCES : -ENOMEM;
}

static int
piece_advise(uint64_t start, uint64_t end, int value)
{
	return madvise(device_pointer(start), end - start, value) < 0 ? -ENOMEM : 0;
}

static int
piece_unmap(uint64_t start, uint64_t end, int value)
{
	(void)value;
	return munmap(device_pointer(start), end - start) < 0 ? -ENOMEM : 0;
}

static int
device_walk(struct pager *p, uint64_t address, uint64_t size, const struct device_walk *walk)
{
	int r;

	hold_lock(&p->space_lock);
	r = walk_devices(p, address, address + size, walk);
	hold_unlock(&p->space_lock);
	return r;
}

int
device_protect(struct pager *p, uint64_t address, uint64_t size, int protection)
{
	return device_walk(p, address, size, &(struct device_walk){ piece_protect, protection });
}

int
device_part(struct pager *p, uint64_t address, uint64_t size, bool apart)
{
	return device_walk(p, address, size,
	    &(struct device_walk){ piece_advise, apart ? MADV_SEQUENTIAL : MADV_RANDOM });
}

int
device_unmap(struct pager *p, uint64_t address, uint64_t size)
{
	int r;

	hold_lock(&p->space_lock);
	r = device_set_reserve(&p->devices, 1);
	if (r == 0)
		r = walk_devices(
		    p, address, address + size, &(struct device_walk){ piece_unmap, 0 });
	if (r == 0)
		device_set_remove(&p->devices, address, address + size);
	hold_unlock(&p->space_lock);
	return r;
}

int
device_unmap_all(struct pager *p)
{
	return device_walk(p, 0, UINT64_MAX, &(struct device_walk){ piece_unmap, 0 });
}

int
pager_make_device(struct pager *p, int fd, uint64_t offset, size_t size,
    enum pager_cache_mode cache_mode, int *ret_fd)
{
	struct pager_req_make_device request = {
		.offset = offset, .size = size, .cache_mode = (uint32_t)cache_mode
	};
	struct pager_rep_make_device reply;
	int name = -1, flags, r;
	struct chan_call call = { CHAN_CALL(MAKE_DEVICE, &request, &reply), .ret_fd = &name,
		.fds_out = &fd, .fds_out_count = 1 };
	struct stat st;

	r = pager_check(p);
	if (r < 0)
		return r;
	if (fd < 0 || !ret_fd)
		return -EINVAL;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || flags & O_PATH)
		return -EBADF;
	/* Only of a memfd: of whatever else it may be, the mode is the program's affair. */
	if (fcntl(fd, F_GET_SEALS) >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 077) &&
	    fchmod(fd, st.st_mode & 0700) < 0)
		return -EPERM;
	r = pager_check_descriptors(p);
	if (r == 0)
		r = chan_exchange(&p->chan, &call);
	if (r == 0)
		*ret_fd = name;
	return r;
}
