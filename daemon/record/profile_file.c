/* SPDX-License-Identifier: MIT
 *
 * Files of profiles. They lie in one directory, which is the daemon's, and in which nobody else can
 * make, replace or list anything; each belongs to its user, and is readable by that user and root
 * only. A file is never changed: a new one takes its name. Runs on: the thread of profiles.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "failpt.h"
#include "own.h"
#include "record/profiles.h"

/* Files of one user's: then the one that was written longest ago goes. */
#define FILES_USER_MAX 64u
#define NAME_BYTES     64u

static void
name_of(const struct profile_run *run, char *name)
{
	snprintf(name, NAME_BYTES, "%" PRIu32 "-%016" PRIx64 ".profile", run->uid,
	    profile_program_number(run->program));
}

static int
directory_open(const struct daemon *d)
{
	int fd = open(d->profiles->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Reads all of it. => bytes, or -errno */
static ssize_t
read_all(int fd, void *file, size_t bytes)
{
	size_t got = 0;
	ssize_t r = 1;

	while (got < bytes && r != 0) {
		r = pread(fd, (char *)file + got, bytes - got, (off_t)got);
		if (r < 0 && errno != EINTR)
			return -errno;
		got += r > 0 ? (size_t)r : 0;
	}
	return (ssize_t)got;
}

/* => 0 and memory with its bytes, or -errno; -EPERM: it is not what this daemon has written */
static int
file_read(int fd, uint32_t uid, void **ret_file, size_t *ret_bytes)
{
	struct stat st;
	ssize_t got;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (st.st_uid != uid && st.st_uid != geteuid()) ||
	    st.st_mode & 077)
		return -EPERM;
	if (st.st_size < (off_t)sizeof(struct profile_header) ||
	    st.st_size > (off_t)PROFILE_BYTES_MAX)
		return -EBADMSG;
	*ret_bytes = (size_t)st.st_size;
	*ret_file = own_alloc(OWN_PROFILE, *ret_bytes);
	if (!*ret_file)
		return -ENOMEM;
	got = read_all(fd, *ret_file, *ret_bytes);
	if (got == (ssize_t)*ret_bytes)
		return 0;
	own_free(OWN_PROFILE, *ret_file);
	return got < 0 ? (int)got : -EBADMSG;
}

static struct profile_owner
owner_of(const struct daemon *d, const struct profile_run *run)
{
	return (struct profile_owner){
		.program = run->program, .uid = run->uid, .page_size = (uint32_t)d->page_bytes
	};
}

static const char *
refusal(int error)
{
	return error == -EBADMSG  ? "it is damaged"
	       : error == -EPROTO ? "it is of another version"
	       : error == -ESTALE ? "it is of another program, user or page size"
	       : error == -EPERM  ? "it is not its user's own, or others may read it"
	       : error == -ELOOP  ? "it is a symbolic link"
				  : strerror(-error);
}

int
profile_load(
    const struct daemon *d, const struct profile_run *run, void **ret_file, struct profile *ret)
{
	struct profile_owner owner = owner_of(d, run);
	int directory = directory_open(d), fd, error;
	char name[NAME_BYTES];
	size_t bytes = 0;

	locks_assert_none();
	if (directory < 0)
		return directory;
	name_of(run, name);
	fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	error = fd < 0 ? -errno : file_read(fd, run->uid, ret_file, &bytes);
	if (!error) {
		error = profile_decode(*ret_file, bytes, &owner, ret);
		if (error)
			own_free(OWN_PROFILE, *ret_file);
	}
	if (error && error != -ENOENT)
		log_warning_limited("the profile %s of user %u is not used: %s", name,
		    (unsigned)run->uid, refusal(error));
	if (fd >= 0)
		close(fd);
	close(directory);
	return error;
}

/* A new name that would be one too many for the user takes the place of the oldest. */
static void
oldest_remove(int directory, uint32_t uid)
{
	char prefix[16], oldest[NAME_BYTES] = "";
	struct timespec when = { 0 };
	unsigned count = 0;
	DIR *listed = fdopendir(dup(directory));
	struct dirent *entry;
	struct stat st;

	snprintf(prefix, sizeof(prefix), "%" PRIu32 "-", uid);
	while (listed && (entry = readdir(listed)) != NULL) {
		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0 ||
		    strlen(entry->d_name) >= sizeof(oldest) ||
		    fstatat(directory, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (count++ == 0 || st.st_mtim.tv_sec < when.tv_sec ||
		    (st.st_mtim.tv_sec == when.tv_sec && st.st_mtim.tv_nsec < when.tv_nsec)) {
			when = st.st_mtim;
			snprintf(oldest, sizeof(oldest), "%s", entry->d_name);
		}
	}
	if (listed)
		closedir(listed);
	if (count >= FILES_USER_MAX)
		unlinkat(directory, oldest, 0);
}

/* Under a name of its own first. => 0 or -errno */
static int
file_write(int directory, const char *name, uint32_t uid, const void *file, size_t bytes)
{
	char own[NAME_BYTES + 8];
	size_t put = 0;
	int error = 0, fd;

	snprintf(own, sizeof(own), "%s.new", name);
	unlinkat(directory, own, 0);
	fd = openat(directory, own, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (failpt_hit(FAIL_PROFILE_WRITE))
		error = -ENOSPC;
	while (!error && put < bytes) {
		ssize_t r = write(fd, (const char *)file + put, bytes - put);

		if (r < 0 && errno != EINTR)
			error = -errno;
		put += r > 0 ? (size_t)r : 0;
	}
	/* Another user's it is only where this daemon may say so. */
	if (!error && uid != geteuid() && geteuid() == 0 && fchown(fd, uid, (gid_t)-1) < 0)
		error = -errno;
	close(fd);
	if (!error && renameat(directory, own, directory, name) < 0)
		error = -errno;
	if (error)
		unlinkat(directory, own, 0);
	return error;
}

int
profile_save(const struct daemon *d, const struct profile_run *run, const struct profile *profile)
{
	struct profile_owner owner = owner_of(d, run);
	size_t bytes = profile_bytes(profile, &owner);
	void *file = own_alloc(OWN_PROFILE, bytes);
	char name[NAME_BYTES];
	int directory, error;

	locks_assert_none();
	CHECK(bytes <= PROFILE_BYTES_MAX);
	if (!file)
		return -ENOMEM;
	profile_encode(profile, &owner, file);
	if (mkdir(d->profiles->directory, 0711) < 0 && errno != EEXIST)
		log_warning_limited("cannot make %s: %s", d->profiles->directory, strerror(errno));
	directory = directory_open(d);
	error = directory < 0 ? directory : 0;
	name_of(run, name);
	if (!error && faccessat(directory, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		oldest_remove(directory, run->uid);
	if (!error)
		error = file_write(directory, name, run->uid, file, bytes);
	if (error)
		log_warning_limited("the profile %s cannot be written: %s", name, strerror(-error));
	if (directory >= 0)
		close(directory);
	own_free(OWN_PROFILE, file);
	return error;
}
