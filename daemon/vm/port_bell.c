/* SPDX-License-Identifier: MIT
 *
 * Bells of ports. Runs on: jobs.
 */
#include "vm/port_bell.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "core/closer.h"
#include "descriptors.h"
#include "own.h"

/* Whether the handle's next request would not be told -EAGAIN. */
static bool
is_ready_locked(const struct daemon *d, const struct port_handle *h)
{
	const struct port *port = h->port;

	lock_assert_held(&d->ports.lock);
	return port->has_ended || (h->receives ? port->first != NULL : port->count < port->limit);
}

void
bell_ring_locked(struct daemon *d, struct port_handle *h, struct port_handle **ringing)
{
	lock_assert_held(&d->ports.lock);
	CHECK_OBJ(h, HANDLE_MAGIC);
	if (h->is_rung || h->rings || !is_ready_locked(d, h))
		return;
	h->is_rung = h->rings = true;
	fetch_add_relaxed(&h->references, 1);
	h->next_to_ring = *ringing;
	*ringing = h;
}

void
bell_ring_senders_locked(struct daemon *d, struct port *port, struct port_handle **ringing)
{
	lock_assert_held(&d->ports.lock);
	for (struct port_handle *h = port->senders_list; h; h = h->next_of_port)
		bell_ring_locked(d, h, ringing);
}

void
port_put(struct daemon *d, struct port *port)
{
	CHECK_OBJ(port, PORT_MAGIC);
	(void)d;
	if (fetch_sub_acq_rel(&port->references, 1) != 1)
		return;
	CHECK(!port->receiver && !port->senders_list && !port->first);
	port->magic = 0;
	own_free(OWN_PORT, port);
}

void
port_handle_put(struct daemon *d, struct port_handle *h)
{
	CHECK_OBJ(h, HANDLE_MAGIC);
	locks_assert_none();
	if (fetch_sub_acq_rel(&h->references, 1) != 1)
		return;
	closer_close(d, h->bell, h->pid, h->account->uid);
	share_give(d, h->account, SHARE_DESCRIPTORS, 1);
	if (h->receives)
		share_give(d, h->account, SHARE_PORTS, 1);
	share_account_put(d, h->account);
	port_put(d, h->port);
	h->magic = 0;
	own_free(OWN_PORT_HANDLE, h);
}

void
bell_ring_all(struct daemon *d, struct port_handle *ringing)
{
	locks_assert_none();
	while (ringing) {
		struct port_handle *h = ringing;
		bool has_ended;

		lock_acquire(&d->ports.lock);
		ringing = h->next_to_ring;
		h->rings = false;
		has_ended = h->port->has_ended;
		lock_release(&d->ports.lock);
		if (has_ended)
			shutdown(h->bell, SHUT_RDWR);
		else
			(void)descriptors_send(h->bell, "", 1, NULL, 0, MSG_DONTWAIT);
		port_handle_put(d, h);
	}
}
