/* SPDX-License-Identifier: MIT */
#include "descriptors.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "check.h"

bool
descriptors_send(
    int socket, const void *bytes, size_t size, const int *fds, unsigned count, int flags)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * DESCRIPTORS_MAX)];
	} control;
	struct iovec part = { (void *)(uintptr_t)bytes, size };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	CHECK(count <= DESCRIPTORS_MAX);
	if (count > 0) {
		struct cmsghdr *c;

		memset(&control, 0, CMSG_SPACE(sizeof(int) * count));
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		c = CMSG_FIRSTHDR(&message);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
	}
	return sendmsg(socket, &message, flags | MSG_NOSIGNAL) == (ssize_t)size;
}

int
descriptors_bell(int *ret_own, int *ret_given)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	shutdown(pair[0], SHUT_RD);
	*ret_own = pair[0];
	*ret_given = pair[1];
	return 0;
}

bool
descriptor_give(int socket, int fd)
{
	return descriptors_send(socket, "n", 1, &fd, 1, 0);
}

int
descriptor_take(int socket)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char byte;
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *c;
	int fd;

	if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) <= 0)
		return -1;
	c = CMSG_FIRSTHDR(&message);
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}
