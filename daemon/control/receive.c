/* SPDX-License-Identifier: MIT
 *
 * Receiving. If recvmsg(2) has no room for a descriptor, the kernel closes it in this thread, and
 * unless somebody else has it too, that may last for as long as its sender likes (closer.h). So
 * each packet is looked at first. The look yields a copy of the packet's descriptor and leaves the
 * packet in the socket. A packet that is malformed, or has descriptors that its type does not
 * take, stays there, and the socket goes to the closers with all that lies in it. Of any other
 * packet the copy is kept, so that the kernel never closes the last descriptor when the packet is
 * taken off the queue. Runs on: the control loop.
 */
#include "control/receive.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "core/closer.h"
#include "control/dispatch.h"

/* What a packet has brought. */
struct looked {
	int fd;        /* a copy of the packet's descriptor; -1: none */
	bool has_more; /* there is a descriptor for which there was no room */
	bool is_cut;
};

/* => bytes of the next packet, which stays in the socket; 0 at the end, or -errno */
static ssize_t
peek(struct session *session, void *packet, struct looked *ret)
{
	struct iovec iov = { packet, PAGER_MSG_BYTES_MAX };
	union {
		char bytes[CMSG_LEN(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		/* Room for one only: the length is not rounded up, as it would be for two. */
		.msg_controllen = CMSG_LEN(sizeof(int)),
	};
	ssize_t got =
	    recvmsg(session->socket, &message, MSG_DONTWAIT | MSG_PEEK | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = got < 0 ? NULL : CMSG_FIRSTHDR(&message);

	*ret = (struct looked){ .fd = -1 };
	if (got < 0)
		return -errno;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(&ret->fd, CMSG_DATA(c), sizeof(int));
	ret->has_more = message.msg_flags & MSG_CTRUNC;
	ret->is_cut = message.msg_flags & MSG_TRUNC;
	return got;
}

enum received
receive_packet(struct session *session, void *packet, int *ret_fd, int *ret_error)
{
	enum received outcome = RECEIVED_END;
	struct looked looked;
	ssize_t got = peek(session, packet, &looked);
	const char *wrong;

	loop_assert(session->daemon);
	CHECK_OBJ(session, SESSION_MAGIC);
	*ret_fd = -1;
	if (got == -EAGAIN || got == -EINTR)
		return RECEIVED_NOTHING;
	if (got <= 0)
		return RECEIVED_END;
	/* No request takes more than one descriptor. */
	wrong = looked.is_cut ? "longer than any message"
			      : pager_msg_request_check(
				    packet, (size_t)got, looked.fd >= 0 || looked.has_more);
	if (!wrong && looked.fd >= 0 && looked.has_more)
		wrong = "wrong number of descriptors";
	if (wrong) {
		protocol_error(session, wrong);
	} else if (looked.has_more) {
		*ret_error = -EMFILE;
		outcome = RECEIVED_REFUSED;
	} else if (recv(session->socket, packet, 0, MSG_DONTWAIT) >= 0) {
		/* Off the queue: it is at `packet` already. */
		*ret_fd = looked.fd;
		return RECEIVED_PACKET;
	}
	closer_close(session->daemon, looked.fd, session->pid, session->uid);
	return outcome;
}
