/* SPDX-License-Identifier: MIT
 *
 * Requests about ports: PORT_OPEN, PORT_CLOSE, PORT_SEND, PORT_RECEIVE, PORTS. None waits for a
 * port: a client waits for its bell. Runs on: jobs.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "control/handle_entry.h"
#include "control/rights.h"
#include "descriptors.h"
#include "region/allocate.h"
#include "region/transfer.h"
#include "vm/copy_link.h"
#include "vm/port.h"

#define QUEUE_LIMIT_USUAL 5u

/* What the client is told where it has its share of something, or all is in use. */
static int
shortage(int error)
{
	return error == -ENOSPC || error == -EDQUOT ? -ENOMEM : error;
}

/* --- handles --- */

static bool
may_send(const struct request *r, const struct port *port)
{
	if (r->session->is_control || r->task->uid == port->uid)
		return true;
	switch (port->senders) {
	case PAGER_PORT_SENDERS_GROUP:
		return session_is_in_group(r->session, port->gid);
	case PAGER_PORT_SENDERS_ALL:
		return true;
	}
	return false;
}

static int
make(struct request *r, const struct pager_req_port_open *in, int bell, struct port_handle **ret)
{
	struct port_birth birth = { .name = in->name,
		.senders = in->senders,
		.limit = in->queue_limit ? in->queue_limit : QUEUE_LIMIT_USUAL };

	if (in->senders > PAGER_PORT_SENDERS_ALL ||
	    birth.limit > param(r->daemon, max_port_messages) ||
	    !session_group(r->session, &birth.gid))
		return -EINVAL;
	return port_create(r->task, &birth, bell, ret);
}

static int
join(struct request *r, const struct pager_req_port_open *in, int bell, struct port_handle **ret)
{
	struct port *port;
	int error;

	if (in->senders != 0 || in->queue_limit != 0)
		return -EINVAL;
	port = port_find(r->daemon, in->name);
	if (!port)
		return -ENOENT;
	error = may_send(r, port) ? port_join(r->task, port, bell, ret) : -EACCES;
	port_put(r->daemon, port);
	return error;
}

int
handle_port_open(struct request *r)
{
	const struct pager_req_port_open *in = r->body;
	struct pager_rep_port_open *out = r->reply;
	struct port_handle *h = NULL;
	int bell, clients, error;

	CHECK(r->task);
	if (in->reserved != 0 || !port_name_is_valid(in->name))
		return -EINVAL;
	error = descriptors_bell(&bell, &clients);
	if (error)
		return error;
	switch (in->op) {
	case PAGER_PORT_CREATE:
		error = make(r, in, bell, &h);
		break;
	case PAGER_PORT_OPEN_SEND:
		error = join(r, in, bell, &h);
		break;
	default:
		error = -EINVAL;
	}
	if (error) {
		close(bell);
		close(clients);
		return shortage(error);
	}
	r->reply_fd = clients;
	r->reply_fd_given = true;
	*out = (struct pager_rep_port_open){ .port = h->id,
		.uid = h->port->uid,
		.gid = h->port->gid,
		.pid = (uint32_t)h->port->pid,
		.queue_limit = h->port->limit };
	return 0;
}

int
handle_port_close(struct request *r)
{
	const struct pager_req_port_close *in = r->body;
	struct pager_rep_port_close *out = r->reply;
	struct port_handle *h = port_handle_find(r->task, in->port);
	uint64_t pages;

	if (!h)
		return -EBADF;
	r->again = transfer_close(r->task, h, &out->messages, &pages);
	stat_add(r->stats, STAT_DISCARDS, pages);
	return 0;
}

/* --- sending --- */

static struct message_label
label_of(const struct request *r, const struct pager_req_port_send *in, const struct vm_object *o)
{
	uint32_t done = !(in->flags & PAGER_WIRE_SEND_STAGED) ? PAGER_TRANSFER_MOVED
			: vm_object_is_linked(o, COPY_BELOW)  ? PAGER_TRANSFER_VIRTUAL
							      : PAGER_TRANSFER_PHYSICAL;

	if (in->flags & PAGER_WIRE_SEND_RETURN)
		return (struct message_label){ in->bytes, in->id,
			in->flags & PAGER_WIRE_SEND_INTENT, in->done, (pid_t)in->pid, in->uid };
	return (struct message_label){ in->bytes, in->id, in->flags & PAGER_WIRE_SEND_INTENT, done,
		r->task->pid, r->task->uid };
}

static bool
send_is_valid(const struct pager_req_port_send *in)
{
	uint32_t how = in->flags & (PAGER_SEND_VIRTUAL | PAGER_SEND_PHYSICAL);
	bool returns = in->flags & PAGER_WIRE_SEND_RETURN;

	if (in->flags & ~PAGER_WIRE_SEND_FLAGS || in->bytes == 0 ||
	    (how != PAGER_SEND_VIRTUAL && how != PAGER_SEND_PHYSICAL))
		return false;
	if (returns)
		return !(in->flags & PAGER_WIRE_SEND_STAGED) &&
		       in->done >= PAGER_TRANSFER_PHYSICAL && in->done <= PAGER_TRANSFER_MOVED;
	return in->done == 0 && in->pid == 0 && in->uid == 0;
}

/* Whether the memory itself is to go along. */
static bool
may_move(const struct request *r, const struct pager_req_port_send *in, const struct port *port)
{
	if (in->flags & (PAGER_WIRE_SEND_STAGED | PAGER_WIRE_SEND_RETURN))
		return true;
	return in->flags & PAGER_SEND_DEALLOCATE && in->bytes > param(r->daemon, port_copy_bytes) &&
	       port->uid == r->task->uid && rights_are_kept(r->task);
}

/* How the client is to copy what cannot go along itself. */
static int
copying_of(const struct request *r, const struct pager_req_port_send *in)
{
	return in->flags & PAGER_SEND_VIRTUAL && in->bytes > param(r->daemon, port_copy_bytes)
		   ? -EXDEV
		   : -EOPNOTSUPP;
}

/* The range's pages go into the queue, in a place that was taken, and are the range's still. */
static int
enqueue(struct request *r, const struct pager_req_port_send *in, struct port_handle *h,
    struct range *range)
{
	struct pager_rep_port_send *out = r->reply;
	struct message_label label;
	struct named_range pages;
	bool is_staged = in->flags & (PAGER_WIRE_SEND_STAGED | PAGER_WIRE_SEND_RETURN);
	int error = transfer_check(range, is_staged || in->flags & PAGER_SEND_DEALLOCATE, &pages);

	if (error == -EOPNOTSUPP)
		return is_staged ? -EINVAL : copying_of(r, in);
	if (error)
		return error;
	label = label_of(r, in, pages.object);
	out->done = label.done;
	if (!may_move(r, in, h->port))
		error = copying_of(r, in);
	/* What could refuse the range's end comes before. */
	if (!error)
		error = region_deallocate_begin(range);
	if (!error)
		error = port_put_message(r->daemon, h, &pages, &label, h->receives);
	vm_object_put(pages.object);
	return error == -ENOSPC ? -EDQUOT : error;
}

static int
put_in_queue(struct request *r, const struct pager_req_port_send *in, struct port_handle *h,
    struct range *range)
{
	struct pager_rep_port_send *out = r->reply;
	bool returns = in->flags & PAGER_WIRE_SEND_RETURN;
	int error;

	if (h->receives != returns)
		return -EPERM;
	error = returns ? 0 : port_place_take(r->daemon, h);
	if (error)
		return error;
	error = enqueue(r, in, h, range);
	if (error) {
		if (!returns)
			port_place_give(r->daemon, h);
		return error;
	}
	if (!returns) {
		stat_add(r->stats, STAT_MESSAGES_SENT, 1);
		stat_add(r->stats, STAT_MESSAGES_MOVED, out->done == PAGER_TRANSFER_MOVED);
	}
	return 0;
}

int
handle_port_send(struct request *r)
{
	const struct pager_req_port_send *in = r->body;
	struct pager_rep_port_send *out = r->reply;
	uint64_t page = r->daemon->page_bytes;
	struct port_handle *h = port_handle_find(r->task, in->port);
	struct range range;
	int error;

	CHECK(r->task);
	if (!h)
		return -EBADF;
	if (!send_is_valid(in) || in->bytes > UINT64_MAX - page)
		return -EINVAL;
	error = range_init(&range, r->task, in->address, round_up_u64(in->bytes, page));
	if (!error && !r->resumed)
		error = put_in_queue(r, in, h, &range);
	if (error)
		return error;
	/* The message is on its way; what is left is the range's end. */
	range.stats = r->stats;
	range.at += r->progress;
	out->pages += region_deallocate(&range);
	r->progress = range.at - range.address;
	r->again = !range_is_done(&range);
	return 0;
}

/* --- receiving --- */

/* Pages of another user's are not to be written: that one may have their memfd. */
static bool
is_foreign(const struct port_handle *h, const struct message_label *label)
{
	return label->uid != h->port->uid;
}

static int
look(struct request *r, const struct pager_req_port_receive *in, struct port_handle *h)
{
	struct pager_rep_port_receive *out = r->reply;
	struct message_label label = { 0 };

	if (in->message != 0 || in->address != 0 || in->size != 0)
		return -EINVAL;
	out->message = port_look(r->daemon, h, &label);
	if (out->message == 0)
		return -EAGAIN;
	out->bytes = label.bytes;
	out->id = label.id;
	out->flags = label.flags | (is_foreign(h, &label) ? PAGER_WIRE_RECEIVE_COPY : 0);
	out->done = label.done;
	out->pid = (uint32_t)label.pid;
	out->uid = label.uid;
	if (in->size_max != 0 && label.bytes > in->size_max) {
		out->message = 0;
		port_ring(r->daemon, h);
	}
	return 0;
}

static int
map_message(struct request *r, const struct pager_req_port_receive *in, const struct port_handle *h,
    const struct message *m)
{
	struct pager_rep_port_receive *out = r->reply;
	struct named_range pages = message_pages(m);
	struct view view = { 0 };
	struct range range;
	int error = range_init(&range, r->task, in->address, in->size);

	if (!error && in->size >> r->daemon->page_shift != pages.end - pages.first)
		error = -EINVAL;
	if (error)
		return error;
	error = view_map(r, &pages, &range, 0,
	    pages.is_writable && !is_foreign(h, &m->label) ? PROT_READ | PROT_WRITE : PROT_READ,
	    &view);
	out->object_id = view.object_id;
	out->object_offset = view.object_offset;
	out->message = in->message;
	return error;
}

static int
take(struct request *r, const struct pager_req_port_receive *in, struct port_handle *h)
{
	struct named_range left;
	struct message *m;
	int error;

	if (in->size_max != 0)
		return -EINVAL;
	m = port_take(r->daemon, h, in->message);
	if (!m)
		return -ENOENT;
	error = map_message(r, in, h, m);
	if (error) {
		port_untake(r->daemon, h, m);
		return error;
	}
	message_end(r->daemon, m, &left);
	port_taken(r->daemon, h);
	/* The range covers all of it. */
	vm_object_put(left.object);
	stat_add(r->stats, STAT_MESSAGES_RECEIVED, 1);
	return 0;
}

static int
drop(struct request *r, const struct pager_req_port_receive *in, struct port_handle *h)
{
	uint64_t pages;

	if (in->address != 0 || in->size != 0 || in->size_max != 0)
		return -EINVAL;
	if (!r->resumed) {
		struct message *m = port_take(r->daemon, h, in->message);

		if (!m)
			return -ENOENT;
		m->next = h->unread;
		h->unread = m;
		port_taken(r->daemon, h);
	}
	r->again = transfer_discard(r->daemon, h, &pages);
	stat_add(r->stats, STAT_DISCARDS, pages);
	return 0;
}

int
handle_port_receive(struct request *r)
{
	const struct pager_req_port_receive *in = r->body;
	struct port_handle *h = port_handle_find(r->task, in->port);

	CHECK(r->task);
	if (!h)
		return -EBADF;
	if (!h->receives)
		return -EPERM;
	if (in->reserved != 0)
		return -EINVAL;
	switch (in->op) {
	case PAGER_RECEIVE_LOOK:
		return look(r, in, h);
	case PAGER_RECEIVE_TAKE:
		return take(r, in, h);
	case PAGER_RECEIVE_DROP:
		return drop(r, in, h);
	}
	return -EINVAL;
}

int
handle_ports(struct request *r)
{
	const struct pager_req_ports *in = r->body;
	struct pager_rep_ports *out = r->reply;
	uint64_t cursor = in->cursor;

	while (out->count < PAGER_PORTS_PER_REPLY &&
	       port_describe(r->daemon, cursor, &out->ports[out->count]))
		cursor = out->ports[out->count++].id;
	out->next_cursor = out->count == PAGER_PORTS_PER_REPLY ? cursor : 0;
	r->reply_bytes =
	    offsetof(struct pager_rep_ports, ports) + out->count * sizeof(out->ports[0]);
	return 0;
}
