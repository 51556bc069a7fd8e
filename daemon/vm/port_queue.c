/* SPDX-License-Identifier: MIT
 *
 * Queues of ports. Runs on: jobs.
 */
#include <errno.h>
#include <stdlib.h>

#include "own.h"
#include "vm/port.h"
#include "vm/port_bell.h"
#include "vm/vm_object.h"

int
port_place_take(struct daemon *d, struct port_handle *h)
{
	struct port *port = h->port;
	struct port_handle *ringing = NULL;
	int error = 0;

	CHECK(!h->receives);
	lock_acquire(&d->ports.lock);
	h->is_rung = false;
	if (port->has_ended)
		error = -EPIPE;
	else if (port->count >= port->limit)
		error = -EAGAIN;
	else
		port->count++;
	h->waits = error == -EAGAIN;
	bell_ring_locked(d, h, &ringing);
	lock_release(&d->ports.lock);
	bell_ring_all(d, ringing);
	return error;
}

void
port_place_give(struct daemon *d, struct port_handle *h)
{
	struct port *port = h->port;
	struct port_handle *ringing = NULL;

	lock_acquire(&d->ports.lock);
	CHECK(port->count > 0);
	port->count--;
	bell_ring_senders_locked(d, port, &ringing);
	lock_release(&d->ports.lock);
	bell_ring_all(d, ringing);
}

/* The message is in the queue. => false: the port has ended */
static bool
queue_add(struct daemon *d, struct port *port, struct message *m, bool first)
{
	struct port_handle *ringing = NULL;
	bool may;

	lock_acquire(&d->ports.lock);
	may = !port->has_ended;
	if (may) {
		struct message **at = first ? &port->first : port->last;

		m->number = ++port->last_number;
		m->next = *at;
		*at = m;
		if (!m->next)
			port->last = &m->next;
		port->count += first;
		port->bytes += m->queued;
		fetch_add_relaxed(&d->ports.messages, 1);
		bell_ring_locked(d, port->receiver, &ringing);
	}
	lock_release(&d->ports.lock);
	bell_ring_all(d, ringing);
	return may;
}

/* => 0; -ENOMEM, -EMFILE or as share_take */
static int
message_make(struct daemon *d, struct share_account *account, const struct named_range *pages,
    const struct message_label *label, struct message **ret)
{
	struct message *m = own_alloc(OWN_MESSAGE, sizeof(*m));
	int error;

	if (!m)
		return -ENOMEM;
	m->queued = (pages->end - pages->first) << d->page_shift;
	m->label = *label;
	m->account = share_account_get(d, account->uid, account->is_privileged);
	error = m->account ? share_take(d, account, SHARE_QUEUED, m->queued) : -ENOMEM;
	if (!error) {
		error = named_entry_create(d, pages, -1, NULL, account, &m->cover);
		if (error)
			share_give(d, account, SHARE_QUEUED, m->queued);
	}
	if (error) {
		if (m->account)
			share_account_put(d, m->account);
		own_free(OWN_MESSAGE, m);
		return error;
	}
	*ret = m;
	return 0;
}

int
port_put_message(struct daemon *d, struct port_handle *h, const struct named_range *pages,
    const struct message_label *label, bool first)
{
	struct named_range left;
	struct message *m;
	int error;

	CHECK(h->receives == first);
	locks_assert_none();
	error = message_make(d, h->account, pages, label, &m);
	if (error || queue_add(d, h->port, m, first))
		return error;
	/* The caller still has the pages, and a reference on their object. */
	message_end(d, m, &left);
	vm_object_put(left.object);
	return -EPIPE;
}

uint64_t
port_look(struct daemon *d, struct port_handle *h, struct message_label *ret)
{
	struct port *port = h->port;
	uint64_t number = 0;

	CHECK(h->receives);
	lock_acquire(&d->ports.lock);
	h->is_rung = false;
	h->waits = !port->first;
	if (port->first) {
		number = port->first->number;
		*ret = port->first->label;
	}
	lock_release(&d->ports.lock);
	return number;
}

struct message *
port_take(struct daemon *d, struct port_handle *h, uint64_t number)
{
	struct port *port = h->port;
	struct message *m, **at;

	CHECK(h->receives);
	lock_acquire(&d->ports.lock);
	at = &port->first;
	while (*at && (*at)->number != number)
		at = &(*at)->next;
	m = *at;
	if (m) {
		*at = m->next;
		if (!*at)
			port->last = at;
		port->bytes -= m->queued;
		m->next = NULL;
	}
	lock_release(&d->ports.lock);
	if (m)
		fetch_sub_relaxed(&d->ports.messages, 1);
	return m;
}

void
port_untake(struct daemon *d, struct port_handle *h, struct message *m)
{
	struct port *port = h->port;
	struct port_handle *ringing = NULL;

	lock_acquire(&d->ports.lock);
	CHECK(port->receiver == h);
	m->next = port->first;
	port->first = m;
	if (!m->next)
		port->last = &m->next;
	port->bytes += m->queued;
	fetch_add_relaxed(&d->ports.messages, 1);
	bell_ring_locked(d, h, &ringing);
	lock_release(&d->ports.lock);
	bell_ring_all(d, ringing);
}

void
port_taken(struct daemon *d, struct port_handle *h)
{
	struct port *port = h->port;
	struct port_handle *ringing = NULL;

	lock_acquire(&d->ports.lock);
	CHECK(port->count > 0);
	port->count--;
	bell_ring_senders_locked(d, port, &ringing);
	bell_ring_locked(d, h, &ringing);
	lock_release(&d->ports.lock);
	bell_ring_all(d, ringing);
}

void
port_ring(struct daemon *d, struct port_handle *h)
{
	struct port_handle *ringing = NULL;

	lock_acquire(&d->ports.lock);
	bell_ring_locked(d, h, &ringing);
	lock_release(&d->ports.lock);
	bell_ring_all(d, ringing);
}

struct named_range
message_pages(const struct message *m)
{
	return named_entry_range(m->cover);
}

void
message_end(struct daemon *d, struct message *m, struct named_range *ret)
{
	named_entry_end(d, m->cover, ret);
	share_give(d, m->account, SHARE_QUEUED, m->queued);
	share_account_put(d, m->account);
	own_free(OWN_MESSAGE, m);
}
