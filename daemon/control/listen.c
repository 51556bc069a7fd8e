/* SPDX-License-Identifier: MIT
 *
 * The listening socket. Its owner, group and mode decide who may connect.
 */
#include "control/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon.h"

/* The socket is made under a name of its own beside PATH, and gets the name PATH when it
 * listens, by link(2), which replaces nothing. So a socket named PATH that refuses a connection
 * is a dead one, and of two daemons that start at once one serves. (ss and /proc/net/unix show
 * the name it was made under.) */
#define SUFFIX_MAX sizeof(".4194304")

/* What PATH names now. */
enum occupant { OCCUPANT_NONE, OCCUPANT_DEAD, OCCUPANT_REFUSES };

static void
address_set(struct sockaddr_un *address, const char *path)
{
	address->sun_family = AF_UNIX;
	snprintf(address->sun_path, sizeof(address->sun_path), "%s", path);
}

/* => 0: a daemon serves there, even if its backlog is full; else -errno of connect(2) */
static int
answer_of(const char *path)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;
	struct sockaddr_un address;

	if (fd < 0)
		return -errno;
	address_set(&address, path);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 && errno != EAGAIN)
		error = -errno;
	close(fd);
	return error;
}

/* OCCUPANT_DEAD: *ret identifies it. OCCUPANT_REFUSES: *ret_error and a message. */
static enum occupant
occupant_of(const char *path, struct stat *ret, int *ret_error, char *message, size_t message_size)
{
	*ret_error = -EADDRINUSE;
	if (lstat(path, ret) < 0) {
		if (errno == ENOENT)
			return OCCUPANT_NONE;
		*ret_error = -errno;
		snprintf(message, message_size, "cannot look at %s: %s", path, strerror(errno));
		return OCCUPANT_REFUSES;
	}
	if (!S_ISSOCK(ret->st_mode)) {
		snprintf(message, message_size,
		    "%s is %s, which is not replaced: remove it, or choose another --socket", path,
		    S_ISDIR(ret->st_mode)   ? "a directory"
		    : S_ISLNK(ret->st_mode) ? "a symbolic link"
		    : S_ISREG(ret->st_mode) ? "a file"
					    : "no socket");
		return OCCUPANT_REFUSES;
	}
	*ret_error = answer_of(path);
	switch (*ret_error) {
	case -ECONNREFUSED:
		return OCCUPANT_DEAD;
	case -ENOENT:
		return OCCUPANT_NONE;
	case 0:
		*ret_error = -EADDRINUSE;
		snprintf(message, message_size,
		    "another pagerd serves on %s: stop it, or choose another --socket", path);
		return OCCUPANT_REFUSES;
	case -EPROTOTYPE:
		*ret_error = -EADDRINUSE;
		snprintf(message, message_size,
		    "another program serves on %s: choose another --socket", path);
		return OCCUPANT_REFUSES;
	default:
		snprintf(message, message_size,
		    "cannot tell whether somebody serves on %s: %s (remove it if nobody does)",
		    path, strerror(-*ret_error));
		return OCCUPANT_REFUSES;
	}
}

/* Removes PATH if it is still the same file. It is moved aside first, so that the file that is
 * removed is the one that was compared. => 0 or -errno */
static int
remove_if_same(const char *path, dev_t device, ino_t inode)
{
	char aside[sizeof(((struct sockaddr_un *)0)->sun_path) + SUFFIX_MAX];
	struct stat st;
	int error = 0;

	if (lstat(path, &st) < 0 || st.st_dev != device || st.st_ino != inode)
		return 0;
	snprintf(aside, sizeof(aside), "%s.-%d", path, (int)getpid());
	if (renameat2(AT_FDCWD, path, AT_FDCWD, aside, RENAME_NOREPLACE) < 0)
		return -errno;
	if (lstat(aside, &st) == 0 && (st.st_dev != device || st.st_ino != inode) &&
	    link(aside, path) < 0)
		error = -errno;
	unlink(aside);
	return error;
}

/* The daemon makes the parent directory of the default path; that of a given path must exist. */
static void
make_parent(const char *path)
{
	char parent[256];
	const char *slash = strrchr(path, '/');

	if (!slash || slash == path || (size_t)(slash - path) >= sizeof(parent))
		return;
	memcpy(parent, path, (size_t)(slash - path));
	parent[slash - path] = '\0';
	mkdir(parent, 0755);
}

/* A socket that listens under the name of `own`. Owner, group and mode are set before anybody can
 * connect. => descriptor or -errno */
static int
socket_make(const struct options *options, const char *own)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error;
	struct sockaddr_un address;
	struct stat st;
	mode_t mask;

	if (fd < 0)
		return -errno;
	address_set(&address, own);
	/* Left by a process of our number that was killed while it started. */
	if (lstat(own, &st) == 0 && S_ISSOCK(st.st_mode) && answer_of(own) == -ECONNREFUSED)
		unlink(own);
	mask = umask(0177);
	error = bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	umask(mask);
	if (!error && ((options->socket_group != (gid_t)-1 &&
			   chown(own, (uid_t)-1, options->socket_group) < 0) ||
			  chmod(own, options->socket_mode) < 0 || listen(fd, 256) < 0)) {
		error = -errno;
		unlink(own);
	}
	if (error)
		close(fd);
	return error ? error : fd;
}

/* Gives it the name PATH, in place of a dead one. => 0, or -errno with a message */
static int
name_take(const char *own, const char *path, char *message, size_t message_size)
{
	CHECK(strcmp(own, path) != 0);
	while (link(own, path) < 0) {
		struct stat st;
		int error = -errno;

		if (error != -EEXIST) {
			snprintf(message, message_size, "cannot serve on %s: %s", path,
			    strerror(-error));
			return error;
		}
		switch (occupant_of(path, &st, &error, message, message_size)) {
		case OCCUPANT_NONE:
			continue;
		case OCCUPANT_REFUSES:
			return error;
		case OCCUPANT_DEAD:
			error = remove_if_same(path, st.st_dev, st.st_ino);
			if (error) {
				snprintf(message, message_size,
				    "cannot remove the dead socket %s: %s", path, strerror(-error));
				return error;
			}
		}
	}
	return 0;
}

/* A socket that the service manager has made, by systemd's protocol (sd_listen_fds(3)): LISTEN_PID
 * is our process and LISTEN_FDS says how many there are, from this descriptor on. Its path, owner
 * and mode are the manager's, and stay when we end. => the descriptor; -ENOENT: we were given none;
 * another -errno with a message */
#define LISTEN_FIRST 3
static int
socket_given(char *message, size_t message_size)
{
	const char *process = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	int domain = 0, type = 0, listens = 0;
	socklen_t size = sizeof(int);
	char own[16];

	snprintf(own, sizeof(own), "%d", (int)getpid());
	if (!process || !count || strcmp(process, own) != 0)
		return -ENOENT;
	if (strcmp(count, "1") != 0) {
		snprintf(message, message_size,
		    "%.20s sockets were passed (LISTEN_FDS), but pagerd serves on one: leave one "
		    "ListenSequentialPacket in the socket unit",
		    count);
		return -EINVAL;
	}
	if (getsockopt(LISTEN_FIRST, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 ||
	    getsockopt(LISTEN_FIRST, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
	    getsockopt(LISTEN_FIRST, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0 ||
	    domain != AF_UNIX || type != SOCK_SEQPACKET || !listens) {
		snprintf(message, message_size,
		    "descriptor %d, which was passed (LISTEN_FDS), is no unix socket of packets "
		    "that "
		    "listens: the socket unit needs ListenSequentialPacket=PATH and Accept=no",
		    LISTEN_FIRST);
		return -EINVAL;
	}
	if (fcntl(LISTEN_FIRST, F_SETFD, FD_CLOEXEC) < 0 ||
	    fcntl(LISTEN_FIRST, F_SETFL, O_NONBLOCK) < 0) {
		snprintf(message, message_size, "cannot use the socket that was passed: %s",
		    strerror(errno));
		return -errno;
	}
	/* They are not for others that we start. */
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return LISTEN_FIRST;
}

/* For what is said about the socket. A name that is no path stays what the options say. */
static void
path_of_given(int fd, struct options *options)
{
	/* There is one such socket, and its name is in use to the end. */
	static struct sockaddr_un address;
	socklen_t size = sizeof(address) - 1;

	if (getsockname(fd, (struct sockaddr *)&address, &size) < 0 || address.sun_path[0] != '/')
		return;
	options->socket_path = address.sun_path;
}

int
listen_open(struct options *options, struct listening *ret, char *message, size_t message_size)
{
	char own[sizeof(((struct sockaddr_un *)0)->sun_path)];
	const char *path = options->socket_path;
	struct stat st;
	int fd = socket_given(message, message_size), error;

	if (fd >= 0) {
		path_of_given(fd, options);
		*ret = (struct listening){ .fd = fd, .is_given = true };
		return 0;
	}
	if (fd != -ENOENT)
		return fd;
	if (strlen(path) + SUFFIX_MAX > sizeof(own)) {
		snprintf(message, message_size, "the socket's path is longer than %zu bytes: %s",
		    sizeof(own) - SUFFIX_MAX, path);
		return -ENAMETOOLONG;
	}
	make_parent(path);
	/* Refused before anything is made. */
	if (occupant_of(path, &st, &error, message, message_size) == OCCUPANT_REFUSES)
		return error;
	snprintf(own, sizeof(own), "%s.%d", path, (int)getpid());
	fd = socket_make(options, own);
	if (fd < 0) {
		snprintf(message, message_size, "cannot serve on %s: %s", path, strerror(-fd));
		return fd;
	}
	error = lstat(own, &st) < 0 ? -errno : name_take(own, path, message, message_size);
	unlink(own);
	if (error) {
		close(fd);
		return error;
	}
	*ret = (struct listening){ .fd = fd, .device = st.st_dev, .inode = st.st_ino };
	return 0;
}

void
listen_take_over(const struct options *options, int fd, struct listening *ret)
{
	struct stat st;
	bool has_name = lstat(options->socket_path, &st) == 0;

	CHECK(fd >= 0);
	/* A name that is not ours is not removed in the end. */
	*ret = (struct listening){ .fd = fd, .is_given = !has_name };
	if (!has_name)
		return;
	ret->device = st.st_dev;
	ret->inode = st.st_ino;
}

void
listen_name_remove(const struct options *options, const struct listening *listening)
{
	CHECK(listening->fd >= 0);
	if (!listening->is_given)
		remove_if_same(options->socket_path, listening->device, listening->inode);
}

void
listen_directory_remove(const struct options *options)
{
	static const char *const names[] = { "log", "swap" };
	char path[256], *slash;

	if (snprintf(path, sizeof(path) - 8, "%s", options->socket_path) >= (int)sizeof(path) - 8)
		return;
	slash = strrchr(path, '/');
	for (size_t i = 0; slash && i < ARRAY_LEN(names); i++) {
		snprintf(slash + 1, 8, "%s", names[i]);
		(void)remove(path);
	}
	if (slash && slash != path) {
		*slash = '\0';
		rmdir(path);
	}
}
