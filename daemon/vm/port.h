/* SPDX-License-Identifier: MIT
 *
 * Ports: queues of messages, by name. A message is pages of an object that no task maps; a named
 * entry without a descriptor covers them, so that they stay, and are billed to the object's owner.
 * Nothing here waits: a request that finds a queue full or empty is answered -EAGAIN, and the
 * client waits for its bell. A bell is a socket pair of which the client has one end; it is rung
 * once each time that the next request of the handle would not be told -EAGAIN. A client that does
 * not listen harms only itself, and no descriptor is shared by two clients.
 *
 * Runs on: jobs, no lock held; gauges on the control loop.
 */
#ifndef PORT_H
#define PORT_H

#include "daemon.h"
#include "vm/named_entry.h"
#include "vm/port_bell.h"

void ports_create(struct daemon *d);
void ports_destroy(struct daemon *d);

/* Whether it can be the name of a port: clean for a terminal, and ends in its room. */
bool port_name_is_valid(const char name[PAGER_PORT_NAME]);

struct port_birth {
	const char *name;
	gid_t gid;
	uint32_t senders, limit;
};
/* bell: the daemon's end of a socket pair, the handle's from now on. => 0; -EEXIST; -ENOMEM; or
 * what share_take says: the bell is the caller's still */
int port_create(
    struct task *task, const struct port_birth *birth, int bell, struct port_handle **ret);
/* => the port with a reference, or NULL */
struct port *port_find(struct daemon *d, const char *name);
/* A handle for sending. As port_create; -ENOENT: it has ended. */
int port_join(struct task *task, struct port *port, int bell, struct port_handle **ret);
/* => NULL: the task has none of that number */
struct port_handle *port_handle_find(const struct task *task, uint64_t id);
/* The handle is of no use any more, and with it the port, if it receives: the queue's messages
 * are `unread` then, for the caller to discard. => how many */
unsigned port_handle_end(struct daemon *d, struct port_handle *h);
/* => it has ended, and nothing is left unread; it is no more */
void port_handle_free(struct task *task, struct port_handle *h);

/* Takes a place in the queue. => 0, -EPIPE or -EAGAIN */
int port_place_take(struct daemon *d, struct port_handle *h);
void port_place_give(struct daemon *d, struct port_handle *h);
/* Pages go to the end of the queue, into the place that was taken; first: to its front, in no
 * place. => 0; -EPIPE, -ENOMEM, -EMFILE (too many covers) or as share_take: nothing has changed */
int port_put_message(struct daemon *d, struct port_handle *h, const struct named_range *pages,
    const struct message_label *label, bool first);
/* The oldest message that is there. => its number; 0: there is none */
uint64_t port_look(struct daemon *d, struct port_handle *h, struct message_label *ret);
/* Takes a message out of the queue; it keeps its place until port_taken, or until it is put
 * back. => NULL: there is none of that number */
struct message *port_take(struct daemon *d, struct port_handle *h, uint64_t number);
void port_untake(struct daemon *d, struct port_handle *h, struct message *m);
/* The place of a message that was taken is free. */
void port_taken(struct daemon *d, struct port_handle *h);
/* The bell is rung again, if there is a reason. */
void port_ring(struct daemon *d, struct port_handle *h);
/* Its pages, whose object it keeps. */
struct named_range message_pages(const struct message *m);
/* The message is no more. *ret: its pages, with the reference on their object, which the caller
 * discards where nobody covers them. */
void message_end(struct daemon *d, struct message *m, struct named_range *ret);

/* The first port whose id is above `after`, as it is now. => false: there is none */
bool port_describe(struct daemon *d, uint64_t after, struct pager_wire_port *ret);
void ports_count(struct daemon *d, unsigned *ret_ports, unsigned *ret_messages);

#endif
