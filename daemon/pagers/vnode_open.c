/* SPDX-License-Identifier: MIT */
#include "pagers/vnode_open.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "core/watch.h"
#include "daemon.h"
#include "pagers/vnode_strict.h"

/* No disk keeps a write for longer. */
#define RECENT_SECONDS 60

#ifndef STATX_DIOALIGN
#define STATX_DIOALIGN 0x2000u
#endif

/* Opens the file that a descriptor names once more. => a descriptor, or -errno */
static int
open_again(int fd, int flags)
{
	char path[64];
	int again, error;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	watch_enter(WATCH_FILE, -1);
	again = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	error = errno;
	watch_leave();
	return again < 0 ? -error : again;
}

/* Whether pages can be read and written past the page cache. A file system that does not say so is
 * not asked to: an error would come only with the first read. */
static bool
takes_direct(const struct daemon *d, int fd)
{
	/* Older headers do not have these fields of struct statx. */
	union {
		struct statx statx;
		struct {
			char before[0x98];
			uint32_t mem_align, offset_align;
		} align;
	} st = { 0 };
	bool known;

	watch_enter(WATCH_FILE, -1);
	known = syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st.statx) == 0 &&
		st.statx.stx_mask & STATX_DIOALIGN;
	watch_leave();
	return known && st.align.mem_align > 0 && st.align.mem_align <= 4096 &&
	       st.align.offset_align > 0 && d->page_bytes % st.align.offset_align == 0 &&
	       4096 % st.align.offset_align == 0;
}

/* A daemon that has died may have left writes behind that go past the page cache. They must not end
 * after those of this one, which are newer. To allocate what is allocated waits for them (ext4, XFS
 * and Btrfs do so) and changes no more than the file's times: so it is done only where these are
 * recent, as they are where somebody has just written. */
static void
late_writes_wait(int fd)
{
	off_t data;
	struct stat st;

	watch_enter(WATCH_FILE, -1);
	if (fstat(fd, &st) == 0 && st.st_size > 0 && time(NULL) - st.st_mtime < RECENT_SECONDS) {
		data = lseek(fd, 0, SEEK_DATA);
		(void)!fallocate(fd, FALLOC_FL_KEEP_SIZE, data < 0 ? 0 : data, 1);
	}
	watch_leave();
}

int
vnode_open(const struct daemon *d, int fd, bool is_writable, int *ret_plain, int *ret_direct)
{
	int access = is_writable ? O_RDWR : O_RDONLY, plain = open_again(fd, access);

	if (plain < 0) {
		/* A description that appends writes at the end, wherever it is told to write. */
		if (is_writable && fcntl(fd, F_GETFL) & O_APPEND)
			return plain;
		plain = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (plain < 0)
			return -errno;
	}
	*ret_direct = takes_direct(d, plain) ? open_again(fd, access | O_DIRECT) : -1;
	if (is_writable && *ret_direct >= 0)
		late_writes_wait(plain);
	*ret_plain = vnode_strict_silence(d, plain);
	if (*ret_direct >= 0)
		*ret_direct = vnode_strict_silence(d, *ret_direct);
	return 0;
}

/* What mmap(2) refuses is refused: files that are sealed, and those that are made when they are
 * read, as in /proc. These answer by who has opened them, and the daemon may be allowed more than
 * its client. => 0 or -errno */
static int
mapping_try(const struct daemon *d, int fd, bool is_writable)
{
	size_t bytes = d->page_bytes;
	void *at;
	int r = 0;

	watch_enter(WATCH_FILE, -1);
	at = mmap(NULL, bytes, PROT_READ | (is_writable ? PROT_WRITE : 0), MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		r = errno == EIO ? -ENODEV : -errno;
	else
		CHECK(munmap(at, bytes) == 0);
	watch_leave();
	return r;
}

/* Whether the file has read(2) and write(2): some files can only be mapped (those of
 * memfd_secret(2), or of huge pages for writing). Of no bytes at all neither asks the file system.
 */
static bool
can_transfer(int fd, bool is_writable)
{
	struct iovec none = { NULL, 0 };

	return preadv(fd, &none, 1, 0) == 0 && (!is_writable || pwritev(fd, &none, 1, 0) == 0);
}

int
vnode_check(const struct daemon *d, int fd, bool is_writable, struct stat *st)
{
	int flags = fcntl(fd, F_GETFL), r;

	if (flags < 0 || flags & O_PATH)
		return -EBADF;
	if ((flags & O_ACCMODE) == O_WRONLY || (is_writable && (flags & O_ACCMODE) != O_RDWR))
		return -EACCES;
	watch_enter(WATCH_FILE, -1);
	r = fstat(fd, st) < 0 ? -errno : 0;
	watch_leave();
	if (r < 0)
		return r;
	if (!S_ISREG(st->st_mode) || !can_transfer(fd, is_writable))
		return -ENODEV;
	return mapping_try(d, fd, is_writable);
}
