/* SPDX-License-Identifier: MIT
 *
 * Receiving. Descriptors that recvmsg(2) cannot hand over, for want of room, are closed by the kernel in this thread, and that may
 * last for as long as their sender likes (closer.h). So a packet is looked at first: one that is malformed, or comes with
 * descriptors that its type does not take, is left in the socket, which goes to the closers with all that lies in it; any
 * other is received with room for as many descriptors as a packet can have. Runs on: the control loop.
 */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "control/closer.h"
#include "control/control.h"

/* The kernel's SCM_MAX_FD: so many descriptors may come with one packet. */
#define DESCRIPTORS_MAX 253u
/* And so many may be taken by other threads while it is received. */
#define DESCRIPTORS_SPARE 64u

/* Whether a packet's descriptors find a place, whatever their number. Since Linux 6.2 the size of this directory is the
 * number of descriptors that are open. */
static bool
has_room(void)
{
	struct rlimit limit;
	struct stat st;

	return getrlimit(RLIMIT_NOFILE, &limit) == 0 && stat("/proc/self/fd", &st) == 0 &&
	    (uint64_t)st.st_size + DESCRIPTORS_MAX + DESCRIPTORS_SPARE <= limit.rlim_cur;
}

/* => bytes of the packet that is next, which stays where it is; 0 at the end, or -errno */
static ssize_t
peek(struct session *s, void *packet, bool *ret_has_fds, bool *ret_cut)
{
	struct iovec iov = { packet, PAGER_MSG_BYTES_MAX };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t got = recvmsg(s->socket, &message, MSG_DONTWAIT | MSG_PEEK);

	if (got < 0)
		return -errno;
	*ret_has_fds = message.msg_flags & MSG_CTRUNC;
	*ret_cut = message.msg_flags & MSG_TRUNC;
	return got;
}

/* Receives the packet that has been looked at. All descriptors but one, if it has one, are closed. => how many came */
static unsigned
take_fds(struct session *s, void *packet, int *ret_fd)
{
	struct iovec iov = { packet, PAGER_MSG_BYTES_MAX };
	union {
		char bytes[CMSG_SPACE(sizeof(int) * DESCRIPTORS_MAX)];
		struct cmsghdr align;
	} control;
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	unsigned count = 0;

	if (recvmsg(s->socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
		return 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int fd;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (count++ == 0)
				*ret_fd = fd;
			else
				closer_close(s->daemon, fd, s->pid, s->uid);
		}
	}
	return count;
}

enum received
receive_packet(struct session *s, void *packet, int *ret_fd, int *ret_error)
{
	bool has_fds = false, cut = false;
	ssize_t got = peek(s, packet, &has_fds, &cut);
	const char *wrong;

	*ret_fd = -1;
	if (got == -EAGAIN || got == -EINTR)
		return RECEIVED_NOTHING;
	if (got <= 0)
		return RECEIVED_END;
	/* No request takes more than one descriptor; how many there are is seen when they are received. */
	wrong = cut ? "longer than any message" : pager_msg_request_check(packet, (size_t)got, has_fds);
	if (wrong) {
		protocol_error(s, wrong);
		return RECEIVED_END;
	}
	if (!has_fds)
		/* Off the queue: it is at `packet` already. */
		return recv(s->socket, packet, 0, MSG_DONTWAIT) < 0 ? RECEIVED_END : RECEIVED_PACKET;
	if (!has_room()) {
		*ret_error = -EMFILE;
		return RECEIVED_REFUSED;
	}
	if (take_fds(s, packet, ret_fd) == 1)
		return RECEIVED_PACKET;
	closer_close(s->daemon, *ret_fd, s->pid, s->uid);
	*ret_fd = -1;
	protocol_error(s, "wrong number of descriptors");
	return RECEIVED_END;
}
