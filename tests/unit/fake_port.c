/* SPDX-License-Identifier: MIT
 *
 * The fake daemon's answers about ports: there is one queue, whatever port is named, and messages
 * have no content. Runs on: its control thread, with the lock held.
 */
#include "fake_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int
port_open(
    struct fake *f, const struct pager_req_port_open *req, struct pager_rep_port_open *rep, int *fd)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	if (f->port_bell >= 0)
		close(f->port_bell);
	f->port_bell = pair[0];
	f->port_opened = *req;
	*rep = (struct pager_rep_port_open){
		.port = ++f->port_numbers, .uid = 11, .gid = 12, .pid = 13, .queue_limit = 2
	};
	*fd = pair[1];
	return 0;
}

static void
ring(struct fake *f)
{
	(void)send(f->port_bell, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int
port_send(struct fake *f, struct fake_session *s, const struct pager_req_port_send *req,
    struct pager_rep_port_send *rep)
{
	uint64_t end =
	    req->address + ((req->bytes + FAKE_PAGE_SIZE - 1) & ~(FAKE_PAGE_SIZE - 1ull));
	bool is_returned = req->flags & PAGER_WIRE_SEND_RETURN;

	f->port_sent = *req;
	if (!range_set_contains(&s->ranges, req->address, end)) {
		f->range_errors++;
		return -EINVAL;
	}
	if (f->port_count == FAKE_PORT_QUEUE && !is_returned)
		return -EAGAIN;
	if (req->flags &
	    (PAGER_SEND_DEALLOCATE | PAGER_WIRE_SEND_STAGED | PAGER_WIRE_SEND_RETURN)) {
		if (range_set_reserve(&s->ranges, 1) < 0)
			return -ENOMEM;
		range_set_remove(&s->ranges, req->address, end);
	}
	if (is_returned)
		memmove(f->port_queue + 1, f->port_queue, f->port_count * sizeof(*req));
	f->port_queue[is_returned ? 0 : f->port_count] = *req;
	f->port_count++;
	rep->done = req->flags & PAGER_SEND_DEALLOCATE    ? PAGER_TRANSFER_MOVED
		    : req->flags & PAGER_WIRE_SEND_STAGED ? PAGER_TRANSFER_PHYSICAL
							  : PAGER_TRANSFER_VIRTUAL;
	ring(f);
	return 0;
}

static int
port_receive(struct fake *f, struct fake_session *s, const struct pager_req_port_receive *req,
    struct pager_rep_port_receive *rep, int *fd)
{
	const struct pager_req_port_send *first = &f->port_queue[0];

	if (f->port_count == 0)
		return req->op == PAGER_RECEIVE_LOOK ? -EAGAIN : -ENOENT;
	*rep = (struct pager_rep_port_receive){ .message = 100 + first->id,
		.bytes = first->bytes,
		.id = first->id,
		.flags = first->flags & PAGER_WIRE_SEND_INTENT,
		.done = PAGER_TRANSFER_MOVED,
		.pid = 21,
		.uid = 22 };
	if (req->op == PAGER_RECEIVE_LOOK) {
		if (req->size_max != 0 && first->bytes > req->size_max)
			rep->message = 0;
		return 0;
	}
	if (req->message != rep->message)
		return -ENOENT;
	if (req->op == PAGER_RECEIVE_TAKE) {
		if (range_set_reserve(&s->ranges, 1) < 0)
			return -ENOMEM;
		range_set_add(&s->ranges, req->address, req->address + req->size);
		*fd = s->memfd;
	}
	f->port_count--;
	memmove(f->port_queue, f->port_queue + 1, f->port_count * sizeof(*first));
	ring(f);
	return 0;
}

int
fake_port(struct fake *f, struct fake_session *s, const struct pager_msg_header *h, void *reply,
    size_t *bytes, int *fd)
{
	struct pager_rep_port_close *closed = reply;

	switch (h->type) {
	case PAGER_MSG_PORT_OPEN:
		*bytes = sizeof(struct pager_rep_port_open);
		return port_open(f, (const void *)(h + 1), reply, fd);
	case PAGER_MSG_PORT_SEND:
		*bytes = sizeof(struct pager_rep_port_send);
		return port_send(f, s, (const void *)(h + 1), reply);
	case PAGER_MSG_PORT_RECEIVE:
		*bytes = sizeof(struct pager_rep_port_receive);
		return port_receive(f, s, (const void *)(h + 1), reply, fd);
	default:
		*bytes = sizeof(*closed);
		f->port_closed = ((const struct pager_req_port_close *)(const void *)(h + 1))->port;
		closed->messages = f->port_count;
		return 0;
	}
}

struct pager_req_port_open
fake_port_opened(struct fake *f)
{
	struct pager_req_port_open opened;

	pthread_mutex_lock(&f->lock);
	opened = f->port_opened;
	pthread_mutex_unlock(&f->lock);
	return opened;
}

struct pager_req_port_send
fake_port_sent(struct fake *f)
{
	struct pager_req_port_send sent;

	pthread_mutex_lock(&f->lock);
	sent = f->port_sent;
	pthread_mutex_unlock(&f->lock);
	return sent;
}

uint64_t
fake_port_closed(struct fake *f)
{
	uint64_t closed;

	pthread_mutex_lock(&f->lock);
	closed = f->port_closed;
	pthread_mutex_unlock(&f->lock);
	return closed;
}

unsigned
fake_port_messages(struct fake *f)
{
	unsigned count;

	pthread_mutex_lock(&f->lock);
	count = f->port_count;
	pthread_mutex_unlock(&f->lock);
	return count;
}

void
fake_port_hang_up(struct fake *f)
{
	pthread_mutex_lock(&f->lock);
	if (f->port_bell >= 0)
		close(f->port_bell);
	f->port_bell = -1;
	pthread_mutex_unlock(&f->lock);
}
