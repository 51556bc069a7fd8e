/* SPDX-License-Identifier: MIT
 *
 * Sending and receiving. The daemon never waits for a port, so that the connection's one request at
 * a time stays short: a thread that finds a queue full or empty waits here, for the port's bell.
 * The bell is taken out of its socket before each request, and the daemon rings again if there is
 * more.
 *
 * What the daemon cannot send as it is, is copied here: into a shareable allocation that holds
 * nothing else, which is then sent itself. So a copy waits for memory as every touch does, and is
 * the sender's until it is in the queue. The receiver of another user's message copies once more,
 * since the sender could keep a descriptor of that memory.
 *
 * Runs on: the caller's threads.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "port_priv.h"
#include "region_priv.h"

/* --- copying --- */

/* Copies memory of this process. A part that cannot be read or filled is an error, where memcpy
 * would end the program. => 0; -EFAULT: it cannot be read; -ENOMEM: there is no memory for it */
static int
bytes_copy(uint64_t to, uint64_t from, uint64_t size)
{
	uint64_t done = 0;

	while (done < size) {
		struct iovec own = { (void *)(uintptr_t)(to + done), size - done };
		struct iovec other = { (void *)(uintptr_t)(from + done), size - done };
		ssize_t n = process_vm_readv(getpid(), &own, 1, &other, 1, 0);
		char byte;

		if (n > 0) {
			done += (uint64_t)n;
			continue;
		}
		if (n < 0 && (errno == ENOSYS || errno == EPERM)) {
			/* A sandbox forbids the call. */
			memcpy(own.iov_base, other.iov_base, size - done);
			return 0;
		}
		if (n < 0 && errno == EINTR)
			continue;
		own = (struct iovec){ &byte, 1 };
		other.iov_len = 1;
		return process_vm_readv(getpid(), &own, 1, &other, 1, 0) == 1 ? -ENOMEM : -EFAULT;
	}
	return 0;
}

static uint64_t
round_up(const struct pager *p, uint64_t size)
{
	return (size + p->page_size - 1) & ~(p->page_size - 1);
}

/* How a copy is made, and was. */
struct copying {
	unsigned flags; /* of pager_allocate, for the memory of the copy */
	bool
	    is_virtual; /* whole pages are to share what nobody writes; cleared where they do not */
};

/* New memory with a copy of `size` bytes. => 0 or as bytes_copy */
static int
copy_make(struct pager *p, uint64_t from, uint64_t size, struct copying *how, void **ret)
{
	uint64_t mask = p->page_size - 1, shared = 0;
	int r = pager_allocate(p, size, how->flags, ret);

	if (r < 0)
		return r == -EINVAL ? -ENOMEM : r;
	if (how->is_virtual && (from & mask) == 0)
		shared = size & ~mask;
	if (shared > 0 && copy_virtually(p, from, shared, (uint64_t)(uintptr_t)*ret) < 0)
		shared = 0;
	how->is_virtual = shared > 0;
	r = bytes_copy((uint64_t)(uintptr_t)*ret + shared, from + shared, size - shared);
	if (r < 0)
		pager_deallocate(p, *ret, size);
	return r;
}

/* --- sending --- */

/* One call of pager_send. */
struct sending {
	struct pager_port *port;
	uint64_t address, size, id;
	unsigned flags;
	bool is_managed; /* what is sent is memory of the daemon's */
	bool is_copied;  /* a copy is sent in its place */
	void *staged;    /* that copy, as long as it is not sent; or NULL */
	unsigned done;   /* enum pager_transfer */
};

static int
send_once(struct sending *s)
{
	struct pager *p = s->port->pager;
	struct pager_req_port_send request = { .port = s->port->id,
		.address = s->staged ? (uint64_t)(uintptr_t)s->staged : s->address,
		.bytes = s->size,
		.id = s->id,
		.flags = s->flags | (s->staged ? PAGER_WIRE_SEND_STAGED : 0) };
	struct pager_rep_port_send reply;
	struct chan_call call = { CHAN_CALL(PORT_SEND, &request, &reply) };
	int r;

	if (s->staged || s->flags & PAGER_SEND_DEALLOCATE) {
		hold_lock(&p->change_lock);
		r = region_hand_over(p, request.address, round_up(p, s->size), &call);
		hold_unlock(&p->change_lock);
	} else {
		r = chan_exchange(&p->chan, &call);
	}
	if (r == 0) {
		s->staged = NULL;
		s->done = reply.done;
	}
	return r;
}

static void
sending_drop(void *argument)
{
	struct sending *s = argument;

	if (s->staged)
		pager_deallocate(s->port->pager, s->staged, s->size);
	s->staged = NULL;
}

static int
send_until_done(struct sending *s, struct patience *patience)
{
	struct copying how = { .flags = PAGER_ALLOC_SHAREABLE };

	s->is_copied = !s->is_managed;
	for (;;) {
		int r = 0;

		if (s->is_copied && !s->staged)
			r = copy_make(s->port->pager, s->address, s->size, &how, &s->staged);
		if (r < 0)
			return r;
		bell_empty(s->port);
		r = send_once(s);
		if ((r == -EOPNOTSUPP || r == -EXDEV) && !s->is_copied) {
			s->is_copied = true;
			how.is_virtual = r == -EXDEV;
			continue;
		}
		if (r != -EAGAIN)
			return r;
		r = bell_wait(s->port, patience);
		if (r < 0)
			return r;
	}
}

/* => 0 or -errno; the range is what it was, but for PAGER_SEND_DEALLOCATE */
static int
send_all(struct sending *s, struct patience *patience)
{
	bool is_given = s->flags & PAGER_SEND_DEALLOCATE;
	int r;

	pthread_cleanup_push(sending_drop, s);
	r = send_until_done(s, patience);
	pthread_cleanup_pop(1);
	/* A copy went out: what it was made of is still here. */
	if (r == 0 && is_given && s->is_copied)
		pager_deallocate(s->port->pager, (void *)(uintptr_t)s->address, s->size);
	return r;
}

#define HOW ((unsigned)(PAGER_SEND_VIRTUAL | PAGER_SEND_PHYSICAL))

int
pager_send(struct pager_port *port, void *addr, size_t size, unsigned flags, uint64_t id,
    int timeout_ms, enum pager_transfer *ret_done)
{
	struct sending s = { .port = port,
		.address = (uint64_t)(uintptr_t)addr,
		.size = size,
		.id = id,
		.flags = flags };
	struct patience patience;
	uint64_t address, rounded;
	int r = port_check(port);

	if (r < 0)
		return r;
	if (flags & ~(unsigned)PAGER_WIRE_SEND_INTENT || (flags & HOW) == 0 ||
	    (flags & HOW) == HOW || size == 0 || size > SIZE_MAX - port->pager->page_size ||
	    s.address + size < s.address)
		return -EINVAL;
	if (port->info.receives)
		return -EPERM;
	s.is_managed = space_check(port->pager, addr, size, &address, &rounded) == 0;
	if (!s.is_managed && flags & PAGER_SEND_DEALLOCATE)
		return -EINVAL;
	patience = patience_begin(timeout_ms);
	r = send_all(&s, &patience);
	pthread_setcancelstate(patience.cancel_state, NULL);
	if (r == 0 && ret_done)
		*ret_done = (enum pager_transfer)s.done;
	return r;
}

/* --- receiving --- */

static int
ask(struct pager_port *port, struct pager_req_port_receive *request,
    struct pager_rep_port_receive *reply)
{
	struct chan_call call = { CHAN_CALL(PORT_RECEIVE, request, reply) };

	request->port = port->id;
	return chan_exchange(&port->pager->chan, &call);
}

/* A message that was taken cannot be mapped: it goes back. The range is out of reach. => 0; -EIO:
 * it is lost */
static int
message_return(struct pager_port *port, const struct pager_rep_port_receive *message,
    uint64_t address, uint64_t size)
{
	struct pager *p = port->pager;
	struct pager_req_port_send request = { .port = port->id,
		.address = address,
		.bytes = message->bytes,
		.id = message->id,
		.flags = (message->flags & PAGER_WIRE_SEND_INTENT) | PAGER_WIRE_SEND_RETURN,
		.done = message->done,
		.pid = message->pid,
		.uid = message->uid };
	struct pager_rep_port_send reply;
	struct chan_call call = { CHAN_CALL(PORT_SEND, &request, &reply) };

	if (chan_exchange(&p->chan, &call) == 0) {
		space_vacate(p, address, size);
		return 0;
	}
	region_give_back(p, address, size);
	return -EIO;
}

/* The message is mapped. => 0; -ENOENT: another thread has taken it; or -errno: it is in the queue,
 * but for -EIO */
static int
message_map(struct pager_port *port, const struct pager_rep_port_receive *message, bool is_copied,
    uint64_t *ret_address)
{
	struct pager *p = port->pager;
	const struct region_wish wish = { .align = p->page_size,
		.size = round_up(p, message->bytes) };
	struct pager_req_port_receive request = { .port = port->id,
		.op = PAGER_RECEIVE_TAKE,
		.message = message->message,
		.size = wish.size };
	struct pager_rep_port_receive reply;
	int protection = is_copied ? PROT_READ : PROT_READ | PROT_WRITE, memfd = -1, r;
	struct chan_call call = { CHAN_CALL(PORT_RECEIVE, &request, &reply), .ret_fd = &memfd };

	region_is_shared(p);
	region_settle(p);
	r = region_place(p, &wish, &request.address);
	if (r < 0)
		return r;
	r = chan_exchange(&p->chan, &call);
	if (r < 0 && !call.fd_lost) {
		space_vacate(p, request.address, wish.size);
		return r;
	}
	if (r == 0 && reply.object_offset != 0) {
		chan_break(&p->chan);
		r = -EPROTO;
	}
	if (r == 0)
		r = region_map(p, request.address, wish.size, memfd, reply.object_offset,
		    is_copied ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED);
	if (memfd >= 0)
		close(memfd);
	if (r == 0)
		r = space_manage(p, request.address, wish.size, protection);
	if (r < 0)
		return message_return(port, message, request.address, wish.size) < 0 ? -EIO : r;
	*ret_address = request.address;
	return 0;
}

/* Another user's pages become memory of the caller's own: a copy that shares them, and has them all
 * when the view of them goes. => as message_map */
static int
message_copy(struct pager_port *port, struct pager_rep_port_receive *message, uint64_t address,
    uint64_t *ret_address)
{
	struct copying how = { .is_virtual = true };
	struct pager *p = port->pager;
	uint64_t size = round_up(p, message->bytes);
	void *own;
	int r = copy_make(p, address, message->bytes, &how, &own);

	if (r == 0 || r == -EFAULT) {
		pager_deallocate(p, (void *)(uintptr_t)address, size);
		*ret_address = r == 0 ? (uint64_t)(uintptr_t)own : 0;
		if (!how.is_virtual)
			message->done = PAGER_TRANSFER_PHYSICAL;
		return r == 0 ? 0 : -EIO;
	}
	/* There is no memory for it now. */
	if (space_unmanage(p, address, size) < 0)
		return -EIO;
	return message_return(port, message, address, size) < 0 ? -EIO : r;
}

static int
receive_once(struct pager_port *port, size_t size_max, struct pager_message *ret)
{
	struct pager_req_port_receive request = { .op = PAGER_RECEIVE_LOOK, .size_max = size_max };
	struct pager_rep_port_receive message;
	bool is_copied;
	uint64_t address;
	int r;

	bell_empty(port);
	r = ask(port, &request, &message);
	if (r < 0)
		return r;
	if (message.bytes == 0 || message.bytes > INT64_MAX - port->pager->page_size) {
		chan_break(&port->pager->chan);
		return -EPROTO;
	}
	if (message.message == 0) {
		ret->size = message.bytes;
		return -EMSGSIZE;
	}
	is_copied = message.flags & PAGER_WIRE_RECEIVE_COPY;
	r = message_map(port, &message, is_copied, &address);
	if (r == 0 && is_copied)
		r = message_copy(port, &message, address, &address);
	if (r == 0)
		*ret = (struct pager_message){ .addr = (void *)(uintptr_t)address,
			.size = message.bytes,
			.id = message.id,
			.flags = message.flags & PAGER_WIRE_SEND_INTENT,
			.done = message.done,
			.pid = message.pid,
			.uid = message.uid };
	return r;
}

int
pager_receive(struct pager_port *port, size_t size_max, int timeout_ms, struct pager_message *ret)
{
	struct patience patience;
	int r = port_check(port);

	if (r < 0)
		return r;
	if (!ret)
		return -EINVAL;
	if (!port->info.receives)
		return -EPERM;
	patience = patience_begin(timeout_ms);
	for (;;) {
		r = receive_once(port, size_max, ret);
		/* Another thread was faster. */
		if (r == -ENOENT)
			continue;
		if (r != -EAGAIN)
			break;
		r = bell_wait(port, &patience);
		if (r < 0)
			break;
	}
	pthread_setcancelstate(patience.cancel_state, NULL);
	return r;
}

int
pager_message_discard(struct pager_port *port)
{
	struct pager_req_port_receive request = { .op = PAGER_RECEIVE_LOOK };
	struct pager_rep_port_receive reply;
	int cancel_state, r = port_check(port);

	if (r < 0)
		return r;
	if (!port->info.receives)
		return -EPERM;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	do {
		bell_empty(port);
		request.op = PAGER_RECEIVE_LOOK;
		request.message = 0;
		r = ask(port, &request, &reply);
		if (r < 0)
			break;
		request.op = PAGER_RECEIVE_DROP;
		request.message = reply.message;
		r = ask(port, &request, &reply);
	} while (r == -ENOENT);
	pthread_setcancelstate(cancel_state, NULL);
	return r;
}
