/* SPDX-License-Identifier: MIT
 *
 * The listening socket. Its owner, group and mode decide who may connect.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/control.h"

static bool
somebody_answers(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	bool alive = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;

	if (fd >= 0)
		close(fd);
	return alive;
}

/* The parent directory of the default path is ours to make; of a given path it must exist. */
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

int
listen_open(const struct options *options, char *message, size_t message_size)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = options->socket_path;
	int fd, error;

	if (strlen(path) >= sizeof(address.sun_path)) {
		snprintf(message, message_size, "the socket's path is longer than %zu bytes: %s",
		    sizeof(address.sun_path) - 1, path);
		return -ENAMETOOLONG;
	}
	strcpy(address.sun_path, path);
	make_parent(path);
	if (somebody_answers(&address)) {
		snprintf(message, message_size, "another pagerd serves on %s: stop it, or choose another --socket", path);
		return -EADDRINUSE;
	}
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	unlink(path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || chmod(path, options->socket_mode) < 0 ||
	    listen(fd, 256) < 0) {
		error = -errno;
		snprintf(message, message_size, "cannot serve on %s: %s", path, strerror(-error));
		close(fd);
		return error;
	}
	return fd;
}
