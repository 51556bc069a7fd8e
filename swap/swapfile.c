/* SPDX-License-Identifier: MIT
 *
 * Swap files in a directory. A daemon's files are `pagerd-swap-<owner>.<number>`;
 * `pagerd-swap-<owner>.lock` is held with flock while it lives. The lock file is made first and
 * removed last, so files whose lock file can be locked, or is missing, belong to a daemon that is
 * dead.
 *
 * Runs on: the thread that starts and stops swap, and the thread in swap_balance. No lock is held.
 * Blocks.
 */
#include "swap_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "failpt.h"
#include "log.h"
#include "swaptables.h"

#define NAME_PREFIX    "pagerd-swap-"
#define NAME_MAX_BYTES 96
#define LOCK_SUFFIX    "lock"

enum name_kind { NAME_FOREIGN, NAME_LOCK, NAME_DATA };

static void
name_make(char name[NAME_MAX_BYTES], const char *owner, const char *suffix)
{
	CHECK(snprintf(name, NAME_MAX_BYTES, NAME_PREFIX "%s.%s", owner, suffix) < NAME_MAX_BYTES);
}

/* Only names that code in this file could have made are removed. */
static enum name_kind
name_parse(const char *name, char owner[48])
{
	size_t prefix = strlen(NAME_PREFIX);

	if (strncmp(name, NAME_PREFIX, prefix) != 0)
		return NAME_FOREIGN;
	name += prefix;
	size_t length = strspn(name, "0123456789abcdef-");
	if (length == 0 || length >= 48 || name[length] != '.')
		return NAME_FOREIGN;
	memcpy(owner, name, length);
	owner[length] = '\0';
	const char *suffix = name + length + 1;
	if (strcmp(suffix, LOCK_SUFFIX) == 0)
		return NAME_LOCK;
	if (*suffix != '\0' && suffix[strspn(suffix, "0123456789")] == '\0')
		return NAME_DATA;
	return NAME_FOREIGN;
}

/* Tries once to become an owner. => 0, -EAGAIN (another daemon took the lock file for a leftover),
 * or -errno. */
static int
owner_try(struct swap_dir *dir)
{
	char name[NAME_MAX_BYTES];
	struct stat st;
	uint32_t nonce = 0;

	if (getrandom(&nonce, sizeof(nonce), 0) < 0)
		return -errno;
	snprintf(dir->owner, sizeof(dir->owner), "%x-%08x", (unsigned)getpid(), nonce);
	name_make(name, dir->owner, LOCK_SUFFIX);
	int fd = openat(dir->fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == EEXIST ? -EAGAIN : -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &st) < 0) {
		int error = errno == EWOULDBLOCK ? -EAGAIN : -errno;
		unlinkat(dir->fd, name, 0);
		close(fd);
		return error;
	}
	if (st.st_nlink == 0) {
		close(fd);
		return -EAGAIN;
	}
	dir->lock_fd = fd;
	return 0;
}

/* Removes `name`, made by `owner`, if the owner is dead. The owner's lock is held meanwhile, so
 * that no daemon can be in the middle of making the file. */
static void
leftover_remove(const struct swap_dir *dir, const char *name, const char *owner)
{
	char lock_name[NAME_MAX_BYTES];

	name_make(lock_name, owner, LOCK_SUFFIX);
	int fd = openat(dir->fd, lock_name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	bool dead = fd < 0 ? errno == ENOENT : flock(fd, LOCK_EX | LOCK_NB) == 0;

	if (dead && unlinkat(dir->fd, name, 0) == 0)
		log_debug_limited("swap: removed %s of a dead daemon", name);
	if (fd >= 0)
		close(fd);
}

/* Removes our own files, or those of dead owners. Data files go first: while there is one, its lock
 * file must exist too. */
static void
files_remove(const struct swap_dir *dir, bool own)
{
	for (enum name_kind kind = NAME_DATA; kind != NAME_FOREIGN; kind--) {
		int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		DIR *stream = fd < 0 ? NULL : fdopendir(fd);

		if (!stream) {
			if (fd >= 0)
				close(fd);
			return;
		}
		for (struct dirent *d; (d = readdir(stream)) != NULL;) {
			char owner[48];

			if (name_parse(d->d_name, owner) != kind ||
			    (strcmp(owner, dir->owner) == 0) != own)
				continue;
			if (own)
				unlinkat(dir->fd, d->d_name, 0);
			else
				leftover_remove(dir, d->d_name, owner);
		}
		closedir(stream);
	}
}

static int
dir_open(const char *path, struct swap_dir *ret)
{
	struct swap_dir dir = { .fd = -1, .lock_fd = -1 };
	int error = -EAGAIN;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	dir.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir.fd < 0)
		return -errno;
	for (int tries = 0; error == -EAGAIN && tries < 16; tries++)
		error = owner_try(&dir);
	if (error) {
		close(dir.fd);
		return error;
	}
	files_remove(&dir, false);
	*ret = dir;
	return 0;
}

static void
dir_close(struct swap_dir *dir)
{
	char name[NAME_MAX_BYTES];

	name_make(name, dir->owner, LOCK_SUFFIX);
	unlinkat(dir->fd, name, 0);
	close(dir->lock_fd);
	close(dir->fd);
}

static unsigned
number_of(const struct swap_backend *b)
{
	return (unsigned)(b - b->swap->backends);
}

static void
dir_keep(const struct swap_backend *b)
{
	swap_tables_keep(b->swap, SWAP_KEPT_LOCK, number_of(b), b->dir.lock_fd);
	swap_tables_keep(b->swap, SWAP_KEPT_PLACE, number_of(b), b->dir.fd);
}

/* The owner's name is that of the lock file, which has been renamed by nobody. */
static bool
owner_read(struct swap_dir *dir)
{
	char link[64], path[PATH_MAX + 16], *name, *gone;
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", dir->lock_fd);
	length = readlink(link, path, sizeof(path) - 1);
	if (length <= 0)
		return false;
	path[length] = '\0';
	gone = strstr(path, " (deleted)");
	if (gone)
		*gone = '\0';
	name = strrchr(path, '/');
	return name && name_parse(name + 1, dir->owner) == NAME_LOCK;
}

/* The directory and its lock that another process has left. => whether there are both */
static bool
dir_adopt(struct swap_backend *b)
{
	struct swap_dir dir = { .fd = swap_tables_take(b->swap, SWAP_KEPT_PLACE, number_of(b)),
		.lock_fd = swap_tables_take(b->swap, SWAP_KEPT_LOCK, number_of(b)) };

	if (dir.fd >= 0 && dir.lock_fd >= 0 && owner_read(&dir)) {
		b->dir = dir;
		return true;
	}
	if (dir.fd >= 0)
		close(dir.fd);
	if (dir.lock_fd >= 0)
		close(dir.lock_fd);
	return false;
}

static int
swapfile_open(struct swap_backend *b, struct swap_fault *fault)
{
	int error;

	if (dir_adopt(b))
		return 0;
	error = dir_open(b->where, &b->dir);
	if (!error)
		dir_keep(b);
	return error;
}

static void
swapfile_close(struct swap_backend *b)
{
	dir_close(&b->dir);
}

/* Unlinks all files of this owner. */
static void
swapfile_abandon(struct swap_backend *b)
{
	files_remove(&b->dir, true);
}

static void
data_name_make(char name[NAME_MAX_BYTES], const struct swap_dir *dir, unsigned number)
{
	char suffix[16];

	snprintf(suffix, sizeof(suffix), "%u", number);
	name_make(name, dir->owner, suffix);
}

/* Sets O_DIRECT if the file system has it with an alignment that callers keep to. By F_SETFL,
 * because an open with O_CREAT and O_DIRECT that is refused leaves the file behind. */
static bool
file_make_direct(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return false;
#ifdef STATX_DIOALIGN
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) == 0 &&
	    (stx.stx_mask & STATX_DIOALIGN) != 0 && stx.stx_dio_offset_align > SWAP_SECTOR)
		return false;
#endif
	return fcntl(fd, F_SETFL, flags | O_DIRECT) == 0;
}

static int
file_allocate(int fd, uint64_t bytes)
{
	int error = failpt_hit(FAIL_SWAP_CREATE_ENOSPC);

	if (error)
		return error;
	error = failpt_hit(FAIL_SWAP_ALLOCATE_EOPNOTSUPP);
	if (!error) {
		do
			error = fallocate(fd, 0, 0, (off_t)bytes) < 0 ? -errno : 0;
		while (error == -EINTR);
	}
	/* Without fallocate the disk can be full later: then a write fails. */
	if (error == -EOPNOTSUPP || error == -ENOSYS)
		error = ftruncate(fd, (off_t)bytes) < 0 ? -errno : 0;
	return error;
}

static void
data_delete(const struct swap_dir *dir, unsigned number, int fd)
{
	char name[NAME_MAX_BYTES];

	data_name_make(name, dir, number);
	unlinkat(dir->fd, name, 0);
	/* A ring may keep the file registered until its index is used again, so give the blocks
	 * back now. */
	if (ftruncate(fd, 0) < 0)
		log_debug_limited("swap: %s: cannot truncate: %s", name, strerror(errno));
	close(fd);
}

static int
data_create(const struct swap_dir *dir, unsigned number, uint64_t bytes, struct swap_extent *ret)
{
	char name[NAME_MAX_BYTES];

	data_name_make(name, dir, number);
	int fd = openat(dir->fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	/* The name contains our owner, so this is a file of ours that could not be unlinked when it
	 * was deleted. */
	if (fd < 0 && errno == EEXIST && unlinkat(dir->fd, name, 0) == 0)
		fd =
		    openat(dir->fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int error = file_allocate(fd, bytes);
	if (error) {
		data_delete(dir, number, fd);
		return error;
	}
	*ret = (struct swap_extent){ .fd = fd, .direct = file_make_direct(fd) };
	return 0;
}

/* A directory that has vanished is made again. */
static int
swapfile_create(struct swap_backend *b, unsigned number, uint64_t bytes, struct swap_extent *ret)
{
	struct swap_dir dir, old;
	int error = data_create(&b->dir, number, bytes, ret);

	if (error != -ENOENT)
		return error;
	error = dir_open(b->where, &dir);
	if (error)
		return error;
	lock_acquire(&b->swap->lock);
	old = b->dir;
	b->dir = dir;
	lock_release(&b->swap->lock);
	dir_keep(b);
	dir_close(&old);
	return data_create(&b->dir, number, bytes, ret);
}

static void
swapfile_delete(struct swap_backend *b, unsigned number, uint64_t bytes, struct swap_extent extent)
{
	data_delete(&b->dir, number, extent.fd);
}

static int
swapfile_adopt(struct swap_backend *b, unsigned number, struct swap_extent *extent)
{
	char name[NAME_MAX_BYTES];

	/* Whoever was to keep it may have had no room for it; it has its name. */
	if (extent->fd < 0) {
		data_name_make(name, &b->dir, number);
		extent->fd = openat(b->dir.fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
		if (extent->fd < 0)
			return -errno;
		swap_tables_keep(b->swap, SWAP_KEPT_FILE, number, extent->fd);
	}
	extent->direct = file_make_direct(extent->fd);
	return 0;
}

static void
swapfile_clear(struct swap_backend *b, unsigned number, int fd)
{
	char name[NAME_MAX_BYTES];

	if (fd >= 0) {
		data_delete(&b->dir, number, fd);
		return;
	}
	data_name_make(name, &b->dir, number);
	unlinkat(b->dir.fd, name, 0);
}

const struct swap_backend_ops swapfile_ops = {
	.kind = SWAP_DIRECTORY,
	.open = swapfile_open,
	.close = swapfile_close,
	.abandon = swapfile_abandon,
	.file_create = swapfile_create,
	.file_delete = swapfile_delete,
	.file_adopt = swapfile_adopt,
	.file_clear = swapfile_clear,
};
