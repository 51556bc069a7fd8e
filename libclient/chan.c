/* SPDX-License-Identifier: MIT
 *
 * The control socket: SEQPACKET, one request and one reply at a time, descriptors by SCM_RIGHTS.
 * Runs on: threads of the program that calls libpager, and in tools. No function is a cancellation
 * point for the caller, and none raises SIGPIPE. An answer that makes no sense breaks the
 * connection for good. The socket's number is used only while it still names the socket.
 */
#include "chan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "hold.h"

#define PAGER_CHAN_POSTED_BYTES 64
#define CHAN_FDS_MAX            4 /* more than a reply may have, so that an excess is seen and closed */

struct chan_packet {
	size_t bytes;
	unsigned fd_count;
	int fds[CHAN_FDS_MAX];
	bool truncated;
	bool fds_lost; /* descriptors were sent that have not been received */
};

int
fd_note(int fd, struct fd_note *ret)
{
	struct statx st;

	/* Not fstat: see keeper.c. */
	if (statx(fd, "", AT_EMPTY_PATH, STATX_INO, &st) < 0)
		return -errno;
	*ret = (struct fd_note){ st.stx_ino, st.stx_dev_major, st.stx_dev_minor };
	return 0;
}

bool
fd_is_noted(int fd, const struct fd_note *note)
{
	struct fd_note is = { 0 };

	return fd >= 0 && fd_note(fd, &is) == 0 && is.inode == note->inode &&
	       is.device_major == note->device_major && is.device_minor == note->device_minor;
}

int
chan_default_path(char *buf, size_t buf_size)
{
	const char *from_env = secure_getenv(PAGER_SOCKET_ENV);
	const char *runtime_dir = secure_getenv("XDG_RUNTIME_DIR");
	int n;

	if (from_env && from_env[0] != '\0') {
		n = snprintf(buf, buf_size, "%s", from_env);
		return n < 0 || (size_t)n >= buf_size ? -EINVAL : 0;
	}
	if (runtime_dir && runtime_dir[0] != '\0') {
		n = snprintf(buf, buf_size, "%s/%s", runtime_dir, PAGER_SOCKET_USER);
		if (n > 0 && (size_t)n < buf_size && access(buf, F_OK) == 0)
			return 0;
	}
	n = snprintf(buf, buf_size, "%s", PAGER_SOCKET_SYSTEM);
	return n < 0 || (size_t)n >= buf_size ? -EINVAL : 0;
}

int
chan_fd_above_standard(int fd)
{
	int moved, r;

	if (fd < 0)
		return -errno;
	if (fd > STDERR_FILENO)
		return fd;
	moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	r = moved < 0 ? -errno : moved;
	close(fd);
	return r;
}

void
mutex_init(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attributes;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
}

void
chan_init(struct chan *c)
{
	c->fd = -1;
	c->sequence = c->posted = 0;
	atomic_init(&c->broken, false);
	mutex_init(&c->lock);
}

int
chan_open(struct chan *c, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, r;

	if (path) {
		if (path[0] == '\0' || strlen(path) >= sizeof(address.sun_path))
			return -EINVAL;
		strcpy(address.sun_path, path);
	} else {
		r = chan_default_path(address.sun_path, sizeof(address.sun_path));
		if (r < 0)
			return r;
	}
	fd = chan_fd_above_standard(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
	if (fd < 0)
		return fd;
	do {
		r = connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	} while (r == -EINTR);
	if (r == 0)
		r = fd_note(fd, &c->note);
	if (r < 0) {
		close(fd);
		return r;
	}
	c->fd = fd;
	return 0;
}

void
chan_close(struct chan *c)
{
	atomic_store_explicit(&c->broken, true, memory_order_relaxed);
	if (fd_is_noted(c->fd, &c->note))
		close(c->fd);
	c->fd = -1;
}

void
chan_break(struct chan *c)
{
	if (!atomic_exchange_explicit(&c->broken, true, memory_order_acq_rel) &&
	    fd_is_noted(c->fd, &c->note))
		shutdown(c->fd, SHUT_RDWR);
}

/* => 0 or -errno of sendmsg(2). */
static int
chan_send(struct chan *c, const struct chan_call *call, uint64_t sequence)
{
	struct pager_msg_header header = {
		.length = (uint32_t)(sizeof(header) + call->request_bytes),
		.type = call->type,
		.sequence = sequence,
	};
	struct iovec iov[2] = {
		{ .iov_base = &header, .iov_len = sizeof(header) },
		{ .iov_base = (void *)(uintptr_t)call->request, .iov_len = call->request_bytes },
	};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * PAGER_MSG_FDS_MAX)];
	} control;
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };
	struct cmsghdr *cmsg;

	if (call->fds_out_count > PAGER_MSG_FDS_MAX)
		return -EINVAL;
	if (call->fds_out_count > 0) {
		memset(&control, 0, sizeof(control));
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * call->fds_out_count);
		cmsg = CMSG_FIRSTHDR(&message);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * call->fds_out_count);
		memcpy(CMSG_DATA(cmsg), call->fds_out, sizeof(int) * call->fds_out_count);
	}
	for (;;) {
		if (sendmsg(c->fd, &message, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

static void
chan_packet_collect_fds(struct chan_packet *packet, struct msghdr *message)
{
	struct cmsghdr *cmsg;
	size_t count;
	int fd;

	for (cmsg = CMSG_FIRSTHDR(message); cmsg; cmsg = CMSG_NXTHDR(message, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(fd));
			if (packet->fd_count < CHAN_FDS_MAX)
				packet->fds[packet->fd_count++] = fd;
			else
				close(fd);
		}
	}
}

/* => 0 with *packet filled (0 bytes: the other end has gone), or -errno of recvmsg(2). */
static int
chan_receive(struct chan *c, struct pager_msg_header *header, void *body, size_t body_size,
    int flags, struct chan_packet *packet)
{
	struct iovec iov[2] = {
		{ .iov_base = header, .iov_len = sizeof(*header) },
		{ .iov_base = body, .iov_len = body_size },
	};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * CHAN_FDS_MAX)];
	} control;
	struct msghdr message = {
		.msg_iov = iov,
		.msg_iovlen = 2,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	unsigned resets = 0;
	ssize_t n;

	/* A daemon that hangs up without reading resets the connection. The reset is reported
	 * before the daemon's last message, so receive once more: that message has its reason. */
	do {
		n = recvmsg(c->fd, &message, MSG_CMSG_CLOEXEC | flags);
	} while (n < 0 && (errno == EINTR || (errno == ECONNRESET && ++resets == 1)));
	if (n < 0)
		return -errno;
	*packet = (struct chan_packet){ .bytes = (size_t)n };
	packet->truncated = (message.msg_flags & MSG_TRUNC) != 0;
	packet->fds_lost = (message.msg_flags & MSG_CTRUNC) != 0;
	chan_packet_collect_fds(packet, &message);
	return 0;
}

/* Whether a packet is the answer to call number `sequence`, be it success or failure. */
static bool
chan_reply_is_valid(const struct chan_call *call, uint64_t sequence,
    const struct pager_msg_header *header, const struct chan_packet *packet)
{
	size_t body;

	if (packet->truncated || packet->bytes < sizeof(*header) || header->length != packet->bytes)
		return false;
	if (header->type != call->type || header->sequence != sequence)
		return false;
	if (header->reserved != 0 || header->reserved2 != 0)
		return false;
	body = packet->bytes - sizeof(*header);
	if (header->error != 0)
		return header->error < 0 && header->error >= -4095 && body == 0 &&
		       packet->fd_count == 0 && !packet->fds_lost;
	if (body < call->reply_bytes_min || body > call->reply_bytes_max)
		return false;
	return packet->fd_count + packet->fds_lost == (call->ret_fd ? 1u : 0u);
}

/* Reads the answer to the request that was posted, which has come long ago. => 0 or -errno: the
 * connection is broken */
static int
chan_collect_locked(struct chan *c)
{
	char answer[PAGER_CHAN_POSTED_BYTES];
	struct chan_call call = {
		.type = c->posted_type, .reply = answer, .reply_bytes_max = sizeof(answer)
	};
	int r;

	if (c->posted == 0)
		return 0;
	r = chan_receive_locked(c, &call, c->posted);
	c->posted = 0;
	return atomic_load_explicit(&c->broken, memory_order_acquire) ? r : 0;
}

int
chan_say_locked(struct chan *c, const struct chan_call *call, uint64_t *ret_sequence)
{
	int r;

	if (atomic_load_explicit(&c->broken, memory_order_acquire))
		return -ENOTCONN;
	if (!fd_is_noted(c->fd, &c->note))
		return -EBADF;
	r = chan_collect_locked(c);
	if (r < 0)
		return r;
	*ret_sequence = ++c->sequence;
	r = chan_send(c, call, *ret_sequence);
	if (r == -ENOTCONN || r == -EBADF) {
		chan_break(c);
		return -ENOTCONN;
	}
	return r;
}

int
chan_post_locked(struct chan *c, const struct chan_call *call)
{
	uint64_t sequence;
	int r = chan_say_locked(c, call, &sequence);

	if (r == 0) {
		c->posted = sequence;
		c->posted_type = call->type;
	}
	return r;
}

int
chan_send_locked(struct chan *c, const struct chan_call *call, uint64_t *ret_sequence)
{
	int r = chan_say_locked(c, call, ret_sequence);

	/* After a hang-up the daemon's reason may wait in the socket, as an answer to this call.
	 * After another error nothing was sent: the connection is as good as before. */
	return r == -EPIPE || r == -ECONNRESET ? 0 : r;
}

/* Whether an answer is one that was had before: a worker that takes over from another one (pagerd
 * --keeper) cannot know whether that one was killed before it had sent it, or afterwards. */
static bool
chan_is_repeated(
    const struct pager_msg_header *header, uint64_t sequence, struct chan_packet *packet)
{
	if (packet->bytes < sizeof(*header) || header->sequence >= sequence ||
	    header->sequence == 0)
		return false;
	for (unsigned i = 0; i < packet->fd_count; i++)
		close(packet->fds[i]);
	packet->fd_count = 0;
	return true;
}

static int
chan_answer(struct chan *c, struct chan_call *call, uint64_t sequence, int flags)
{
	struct pager_msg_header header = { 0 };
	struct chan_packet packet = { 0 };
	int r;

	do {
		r = chan_receive(c, &header, call->reply, call->reply_bytes_max, flags, &packet);
		if (r == -EAGAIN && flags & MSG_DONTWAIT)
			return r;
	} while (r == 0 && chan_is_repeated(&header, sequence, &packet));
	if (r < 0 || packet.bytes == 0) {
		chan_break(c);
		return -ENOTCONN;
	}
	if (!chan_reply_is_valid(call, sequence, &header, &packet)) {
		for (unsigned i = 0; i < packet.fd_count; i++)
			close(packet.fds[i]);
		chan_break(c);
		return -EPROTO;
	}
	if (header.error != 0)
		return header.error;
	call->reply_bytes = packet.bytes - sizeof(header);
	call->fd_lost = packet.fds_lost;
	if (packet.fds_lost)
		return -EMFILE;
	if (call->ret_fd) {
		r = chan_fd_above_standard(packet.fds[0]);
		if (r < 0) {
			/* The daemon has carried the request out all the same. */
			call->fd_lost = true;
			return r;
		}
		*call->ret_fd = r;
	}
	return 0;
}

int
chan_receive_locked(struct chan *c, struct chan_call *call, uint64_t sequence)
{
	return chan_answer(c, call, sequence, 0);
}

int
chan_take_locked(struct chan *c, struct chan_call *call, uint64_t sequence)
{
	return chan_answer(c, call, sequence, MSG_DONTWAIT);
}

int
chan_exchange_locked(struct chan *c, struct chan_call *call)
{
	uint64_t sequence;
	int r = chan_send_locked(c, call, &sequence);

	return r < 0 ? r : chan_receive_locked(c, call, sequence);
}

int
chan_exchange(struct chan *c, struct chan_call *call)
{
	int cancel_state, r;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	hold_touch(call->reply, call->reply_bytes_max);
	hold_touch(call->ret_fd, sizeof(*call->ret_fd));
	hold_lock(&c->lock);
	r = chan_exchange_locked(c, call);
	hold_unlock(&c->lock);
	pthread_setcancelstate(cancel_state, NULL);
	return r;
}

int
chan_hello(struct chan *c, enum pager_role role, const char *name, struct pager_rep_hello *ret,
    int *ret_dev_fd)
{
	struct pager_req_hello request = {
		.version_min = PAGER_PROTO_VERSION,
		.version_max = PAGER_PROTO_VERSION,
		.role = (uint32_t)role,
	};
	struct pager_rep_hello reply;
	struct chan_call call = { CHAN_CALL(HELLO, &request, &reply), .ret_fd = ret_dev_fd };
	uint64_t page;
	int r;

	/* A name that is too long is cut, not refused: it is only displayed. */
	snprintf(
	    request.name, sizeof(request.name), "%s", name ? name : program_invocation_short_name);
	r = chan_exchange(c, &call);
	if (r < 0)
		return r;
	page = reply.page_size;
	if (reply.version != PAGER_PROTO_VERSION || page < 4096 || (page & (page - 1)) != 0 ||
	    page > PAGER_CHAN_PAGE_SIZE_MAX) {
		if (ret_dev_fd)
			close(*ret_dev_fd);
		chan_break(c);
		return -EPROTO;
	}
	*ret = reply;
	return 0;
}
