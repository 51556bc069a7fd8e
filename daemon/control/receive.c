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
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/closer.h"
#include "control/dispatch.h"
#include "control/kept.h"

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif
#ifndef SCM_PIDFD
#define SCM_PIDFD 0x04
#endif

/* What a packet has brought. */
struct looked {
	int fd;        /* a copy of the packet's descriptor; -1: none */
	bool has_more; /* there is a descriptor for which there was no room */
	bool is_cut;
};

/* A peer that has closed its end without reading all answers leaves an error, which the kernel
 * tells once, before what the peer had said. A forked child may have said all and be gone from its
 * socket.
 * => as recvmsg(2) */
static ssize_t
message_take(const struct session *session, struct msghdr *message, int flags)
{
	ssize_t got = recvmsg(session->socket, message, flags | MSG_DONTWAIT);

	if (got < 0 && errno == ECONNRESET)
		got = recvmsg(session->socket, message, flags | MSG_DONTWAIT);
	return got;
}

/* Takes the next packet off the queue, whose content is known. */
static bool
packet_take(const struct session *session)
{
	struct msghdr nothing = { 0 };

	return message_take(session, &nothing, 0) >= 0;
}

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
	ssize_t got = message_take(session, &message, MSG_PEEK | MSG_CMSG_CLOEXEC);
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
	} else if (kept_stays(session, ((struct pager_msg_header *)packet)->type)) {
		session->is_lying = true;
		session->lying_fd = looked.fd < 0 ? -1 : fcntl(looked.fd, F_DUPFD_CLOEXEC, 0);
		*ret_fd = looked.fd;
		return RECEIVED_PACKET;
	} else if (packet_take(session)) {
		/* Off the queue: it is at `packet` already. */
		*ret_fd = looked.fd;
		return RECEIVED_PACKET;
	}
	closer_close(session->daemon, looked.fd, session->pid, session->uid);
	return outcome;
}

/* Who has sent a packet. */
struct sender {
	struct ucred credentials;
	int pidfd; /* -1: not told */
};

/* Takes what the kernel has put beside a packet. A descriptor that the sender has put there goes to
 * the closers. => whether there was none */
static bool
sender_take(struct session *session, struct msghdr *message, struct sender *ret)
{
	bool none = !(message->msg_flags & MSG_CTRUNC);

	*ret = (struct sender){ .pidfd = -1 };
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		int fd;

		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_CREDENTIALS)
			memcpy(&ret->credentials, CMSG_DATA(c), sizeof(ret->credentials));
		if (c->cmsg_type == SCM_PIDFD)
			memcpy(&ret->pidfd, CMSG_DATA(c), sizeof(ret->pidfd));
		if (c->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
		closer_close(session->daemon, fd, session->pid, session->uid);
		none = false;
	}
	return none;
}

enum received
receive_child(struct session *session, void *packet)
{
	const struct pager_msg_header *header = packet;
	struct iovec iov = { packet, PAGER_MSG_BYTES_MAX };
	union {
		/* Of the sender's descriptors there is room for one, which is then seen; what does
		 * not fit stays in the socket. */
		char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int)) +
			   CMSG_LEN(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr message = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.bytes) };
	struct sender sender;
	int off = 0;
	bool none;
	/* As peek: the packet stays in the socket until it is known that it brings nothing along.
	 */
	ssize_t got = message_take(session, &message, MSG_PEEK | MSG_CMSG_CLOEXEC);

	loop_assert(session->daemon);
	CHECK(session->is_forked && session->pidfd < 0);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return RECEIVED_NOTHING;
	if (got <= 0)
		return RECEIVED_END;
	none = sender_take(session, &message, &sender);
	if (!none || pager_msg_request_check(packet, (size_t)got, 0) ||
	    header->type != PAGER_MSG_FORK_CHILD) {
		protocol_error(session, "a forked child says something else first");
		if (sender.pidfd >= 0)
			close(sender.pidfd);
		return RECEIVED_END;
	}
	/* Its process has ended already. */
	if (sender.pidfd < 0)
		return RECEIVED_END;
	/* Later packets come as everybody's. */
	setsockopt(session->socket, SOL_SOCKET, SO_PASSCRED, &off, sizeof(off));
	setsockopt(session->socket, SOL_SOCKET, SO_PASSPIDFD, &off, sizeof(off));
	if (!packet_take(session)) {
		close(sender.pidfd);
		return RECEIVED_END;
	}
	session_born(session, sender.credentials.pid, sender.credentials.uid, sender.pidfd);
	return RECEIVED_PACKET;
}
