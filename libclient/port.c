/* SPDX-License-Identifier: MIT
 *
 * Ports: how they begin and end here. Runs on: the caller's threads.
 */
#include "port_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int
port_check(const struct pager_port *port)
{
	int r = port && port->magic == PORT_MAGIC ? pager_check(port->pager) : -EINVAL;

	/* The child's session does not have it, and the number may be another port's there. */
	if (r == 0 && port->is_parents)
		r = -ENOTCONN;
	return r < 0 ? r : pager_check_descriptors(port->pager);
}

/* Frees what this process has of it. => not linked */
static void
port_free(struct pager_port *port)
{
	if (fd_is_noted(port->info.fd, &port->note))
		close(port->info.fd);
	port->magic = 0;
	munmap(port, sizeof(*port));
}

void
port_free_all(struct pager *p)
{
	while (p->ports) {
		struct pager_port *port = p->ports;

		p->ports = port->next;
		port_free(port);
	}
}

/* A bell is the parent's: what a child took out of it the parent would not hear, and as long as a
 * child had it the daemon would not see that the port has been given up. */
void
port_fork_all(struct pager *p)
{
	for (struct pager_port *port = p->ports; port; port = port->next) {
		if (fd_is_noted(port->info.fd, &port->note))
			close(port->info.fd);
		port->info.fd = -1;
		port->is_parents = true;
	}
}

static int
port_tell_close(struct pager *p, uint64_t id)
{
	struct pager_req_port_close request = { .port = id };
	struct pager_rep_port_close reply;
	struct chan_call call = { CHAN_CALL(PORT_CLOSE, &request, &reply) };

	return chan_exchange(&p->chan, &call);
}

/* bell: the port's from now on, or closed. => 0, -ENOMEM or -EMFILE */
static int
port_make(struct pager *p, const struct pager_req_port_open *request,
    const struct pager_rep_port_open *reply, int bell, struct pager_port **ret)
{
	/* Not malloc: see range_set.h. */
	struct pager_port *port =
	    mmap(NULL, sizeof(*port), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	bell = chan_fd_above_standard(bell);
	if (port == MAP_FAILED || bell < 0) {
		if (bell >= 0)
			close(bell);
		if (port != MAP_FAILED)
			munmap(port, sizeof(*port));
		return port == MAP_FAILED ? -ENOMEM : bell;
	}
	port->magic = PORT_MAGIC;
	port->pager = p;
	port->id = reply->port;
	port->info = (struct pager_port_info){ .uid = reply->uid,
		.gid = reply->gid,
		.pid = reply->pid,
		.queue_limit = reply->queue_limit,
		.fd = bell,
		.receives = request->op == PAGER_PORT_CREATE };
	memcpy(port->info.name, request->name, sizeof(port->info.name));
	fd_note(bell, &port->note);
	hold_lock(&p->space_lock);
	port->next = p->ports;
	if (port->next)
		port->next->prev = port;
	p->ports = port;
	hold_unlock(&p->space_lock);
	*ret = port;
	return 0;
}

static int
port_begin(
    struct pager *p, const char *name, struct pager_req_port_open *request, struct pager_port **ret)
{
	struct pager_rep_port_open reply;
	int bell = -1, cancel_state, r;
	struct chan_call call = { CHAN_CALL(PORT_OPEN, request, &reply), .ret_fd = &bell };

	r = pager_check(p);
	if (r < 0)
		return r;
	if (!ret || !name || strnlen(name, sizeof(request->name)) == sizeof(request->name))
		return -EINVAL;
	memcpy(request->name, name, strlen(name));
	r = pager_check_descriptors(p);
	if (r < 0)
		return r;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	r = chan_exchange(&p->chan, &call);
	if (r == 0) {
		r = port_make(p, request, &reply, bell, ret);
		if (r < 0)
			port_tell_close(p, reply.port);
	} else if (call.fd_lost) {
		port_tell_close(p, reply.port);
	}
	pthread_setcancelstate(cancel_state, NULL);
	return r;
}

int
pager_port_create(struct pager *p, const char *name, enum pager_port_senders senders,
    unsigned queue_limit, struct pager_port **ret)
{
	struct pager_req_port_open request = {
		.op = PAGER_PORT_CREATE, .senders = (uint32_t)senders, .queue_limit = queue_limit
	};

	return port_begin(p, name, &request, ret);
}

int
pager_port_open(struct pager *p, const char *name, struct pager_port **ret)
{
	struct pager_req_port_open request = { .op = PAGER_PORT_OPEN_SEND };

	return port_begin(p, name, &request, ret);
}

int
pager_port_close(struct pager_port *port)
{
	struct pager *p;
	int cancel_state, r;

	if (!port)
		return 0;
	if (port->magic != PORT_MAGIC)
		return -EINVAL;
	p = port->pager;
	r = port_check(port);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	if (r == 0)
		r = port_tell_close(p, port->id);
	hold_lock(&p->space_lock);
	if (port->prev)
		port->prev->next = port->next;
	else
		p->ports = port->next;
	if (port->next)
		port->next->prev = port->prev;
	hold_unlock(&p->space_lock);
	port_free(port);
	pthread_setcancelstate(cancel_state, NULL);
	return r;
}

int
pager_port_info(struct pager_port *port, struct pager_port_info *ret)
{
	int r = port && port->magic == PORT_MAGIC ? pager_check(port->pager) : -EINVAL;

	if (r == 0 && port->is_parents)
		r = -ENOTCONN;
	if (r == 0 && !ret)
		r = -EINVAL;
	if (r == 0)
		*ret = port->info;
	return r;
}
