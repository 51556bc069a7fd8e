/* SPDX-License-Identifier: MIT
 *
 * Ports. Runs on: jobs.
 */
#include "vm/port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "own.h"
#include "vm/port_bell.h"
#include "vm/task.h"

void
ports_create(struct daemon *d)
{
	CHECK(d->ports.count == 0);
	lock_init(&d->ports.lock, RANK_JOBS);
}

void
ports_destroy(struct daemon *d)
{
	CHECK(d->ports.count == 0 && load_relaxed(&d->ports.messages) == 0);
	lock_fini(&d->ports.lock);
}

bool
port_name_is_valid(const char name[PAGER_PORT_NAME])
{
	static const char others[] = "._-/:";
	size_t length = strnlen(name, PAGER_PORT_NAME);

	if (length == 0 || length == PAGER_PORT_NAME)
		return false;
	for (size_t i = 0; i < length; i++) {
		char c = name[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			strchr(others, c)))
			return false;
	}
	return true;
}

static struct port **
chain_locked(struct port_table *t, const char *name)
{
	uint32_t hash = 2166136261u;

	lock_assert_held(&t->lock);
	while (*name)
		hash = (hash ^ (unsigned char)*name++) * 16777619u;
	return &t->chains[hash % PORT_CHAINS];
}

static struct port *
find_locked(struct port_table *t, const char *name)
{
	struct port *port;

	lock_assert_held(&t->lock);
	port = *chain_locked(t, name);
	while (port && strcmp(port->name, name) != 0)
		port = port->next;
	return port;
}

/* A handle that is in no list yet. On an error the bell is the caller's. */
static int
handle_make(struct task *task, struct port *port, bool receives, int bell, struct port_handle **ret)
{
	struct daemon *d = task->daemon;
	struct share_account *account = task->bill.account;
	int error = share_take(d, account, SHARE_DESCRIPTORS, 1);
	struct port_handle *h;

	if (error)
		return error;
	if (receives)
		error = share_take(d, account, SHARE_PORTS, 1);
	if (error)
		goto fail_share;
	h = own_alloc(OWN_PORT_HANDLE, sizeof(*h));
	if (h)
		h->account = share_account_get(d, account->uid, account->is_privileged);
	if (!h || !h->account) {
		error = -ENOMEM;
		goto fail_memory;
	}
	h->magic = HANDLE_MAGIC;
	store_relaxed(&h->references, 1);
	h->id = ++task->last_port;
	h->port = port;
	fetch_add_relaxed(&port->references, 1);
	h->pid = task->pid;
	h->receives = receives;
	h->bell = bell;
	*ret = h;
	return 0;

fail_memory:
	own_free(OWN_PORT_HANDLE, h);
	if (receives)
		share_give(d, account, SHARE_PORTS, 1);
fail_share:
	share_give(d, account, SHARE_DESCRIPTORS, 1);
	return error;
}

/* Undoes handle_make, but for the bell, which is the caller's again. */
static void
handle_unmake(struct daemon *d, struct port_handle *h)
{
	CHECK_OBJ(h, HANDLE_MAGIC);
	h->bell = -1;
	port_handle_put(d, h);
}

static void
handle_link(struct task *task, struct port_handle *h)
{
	h->next_of_task = task->ports;
	task->ports = h;
}

int
port_create(struct task *task, const struct port_birth *birth, int bell, struct port_handle **ret)
{
	struct daemon *d = task->daemon;
	struct port_table *t = &d->ports;
	struct port *port = own_alloc(OWN_PORT, sizeof(*port));
	struct port_handle *h;
	int error;

	CHECK(port_name_is_valid(birth->name) && birth->limit > 0);
	locks_assert_none();
	if (!port)
		return -ENOMEM;
	port->magic = PORT_MAGIC;
	strcpy(port->name, birth->name);
	port->uid = task->uid;
	port->gid = birth->gid;
	port->pid = task->pid;
	port->senders = birth->senders;
	port->limit = birth->limit;
	port->last = &port->first;
	store_relaxed(&port->references, 1);
	error = handle_make(task, port, true, bell, &h);
	if (!error) {
		lock_acquire(&t->lock);
		if (find_locked(t, port->name)) {
			error = -EEXIST;
			port->has_ended = true;
		} else {
			struct port **chain = chain_locked(t, port->name);

			port->id = ++t->last_id;
			port->receiver = h;
			port->next = *chain;
			*chain = port;
			t->count++;
		}
		lock_release(&t->lock);
		if (error)
			handle_unmake(d, h);
	}
	port_put(d, port);
	if (error)
		return error;
	handle_link(task, h);
	*ret = h;
	return 0;
}

struct port *
port_find(struct daemon *d, const char *name)
{
	struct port *port;

	locks_assert_none();
	lock_acquire(&d->ports.lock);
	port = find_locked(&d->ports, name);
	if (port)
		fetch_add_relaxed(&port->references, 1);
	lock_release(&d->ports.lock);
	return port;
}

int
port_join(struct task *task, struct port *port, int bell, struct port_handle **ret)
{
	struct daemon *d = task->daemon;
	struct port_handle *h, *ringing = NULL;
	int error = handle_make(task, port, false, bell, &h);

	CHECK_OBJ(port, PORT_MAGIC);
	if (error)
		return error;
	lock_acquire(&d->ports.lock);
	if (port->has_ended) {
		error = -ENOENT;
	} else {
		h->next_of_port = port->senders_list;
		port->senders_list = h;
		bell_ring_locked(d, h, &ringing);
	}
	lock_release(&d->ports.lock);
	bell_ring_all(d, ringing);
	if (error) {
		handle_unmake(d, h);
		return error;
	}
	handle_link(task, h);
	*ret = h;
	return 0;
}

struct port_handle *
port_handle_find(const struct task *task, uint64_t id)
{
	struct port_handle *h = task->ports;

	while (h && h->id != id)
		h = h->next_of_task;
	return h;
}

/* => how many messages are unread now */
static unsigned
port_end_locked(struct daemon *d, struct port_handle *h, struct port_handle **ringing)
{
	struct port *port = h->port;
	struct port **at = chain_locked(&d->ports, port->name);
	unsigned count = 0;

	lock_assert_held(&d->ports.lock);
	while (*at != port) {
		CHECK(*at);
		at = &(*at)->next;
	}
	*at = port->next;
	d->ports.count--;
	port->has_ended = true;
	port->receiver = NULL;
	for (const struct message *m = port->first; m; m = m->next)
		count++;
	*port->last = h->unread;
	h->unread = port->first;
	port->first = NULL;
	port->last = &port->first;
	port->bytes = 0;
	for (struct port_handle *s = port->senders_list; s; s = s->next_of_port) {
		s->is_rung = false;
		bell_ring_locked(d, s, ringing);
	}
	return count;
}

unsigned
port_handle_end(struct daemon *d, struct port_handle *h)
{
	struct port_handle *ringing = NULL, **at;
	unsigned count = 0;

	CHECK_OBJ(h, HANDLE_MAGIC);
	locks_assert_none();
	lock_acquire(&d->ports.lock);
	if (h->receives) {
		count = h->port->receiver ? port_end_locked(d, h, &ringing) : 0;
	} else {
		at = &h->port->senders_list;
		while (*at && *at != h)
			at = &(*at)->next_of_port;
		if (*at)
			*at = h->next_of_port;
	}
	lock_release(&d->ports.lock);
	bell_ring_all(d, ringing);
	fetch_sub_relaxed(&d->ports.messages, count);
	return count;
}

void
port_handle_free(struct task *task, struct port_handle *h)
{
	struct port_handle **at = &task->ports;

	CHECK(!h->unread && !h->is_discarding);
	while (*at != h) {
		CHECK(*at);
		at = &(*at)->next_of_task;
	}
	*at = h->next_of_task;
	port_handle_put(task->daemon, h);
}

static void
describe_locked(const struct daemon *d, const struct port *port, struct pager_wire_port *ret)
{
	lock_assert_held(&d->ports.lock);
	*ret = (struct pager_wire_port){ .id = port->id,
		.uid = port->uid,
		.gid = port->gid,
		.pid = (uint32_t)port->pid,
		.senders = port->senders,
		.queue_limit = port->limit,
		.bytes = port->bytes,
		.receiver_waits = port->receiver->waits };
	strcpy(ret->name, port->name);
	for (const struct message *m = port->first; m; m = m->next)
		ret->messages++;
	for (const struct port_handle *h = port->senders_list; h; h = h->next_of_port) {
		ret->open++;
		ret->waiting += h->waits;
	}
}

bool
port_describe(struct daemon *d, uint64_t after, struct pager_wire_port *ret)
{
	const struct port *found = NULL;

	lock_acquire(&d->ports.lock);
	for (unsigned i = 0; i < PORT_CHAINS; i++)
		for (const struct port *port = d->ports.chains[i]; port; port = port->next)
			if (port->id > after && (!found || port->id < found->id))
				found = port;
	if (found)
		describe_locked(d, found, ret);
	lock_release(&d->ports.lock);
	return found != NULL;
}

void
ports_count(struct daemon *d, unsigned *ret_ports, unsigned *ret_messages)
{
	lock_acquire(&d->ports.lock);
	*ret_ports = d->ports.count;
	lock_release(&d->ports.lock);
	*ret_messages = load_relaxed(&d->ports.messages);
}
