/* SPDX-License-Identifier: MIT
 *
 * Fault servers, direct ones included, without threads of their own. A client's userfaultfd is a
 * pipe, into which the test writes messages. A server's thread runs when the test says so, until it
 * would sleep in its poll, and its faults are noted down instead of being handled.
 */
#ifndef SERVER_FIXTURE_H
#define SERVER_FIXTURE_H

#include "c_unit.h"

#include "fault/seat.h"

struct client {
	struct task *task; /* attached */
	int messages;      /* the pipe's end for the test */
};

/* A fault that a server has dispatched. */
struct served {
	const struct fault_server *server;
	const struct task *task;
	uint64_t address;
};

enum { SERVED_MAX = 1024, POLLS_MAX = 64 };
struct server_world {
	struct served served[SERVED_MAX];
	atomic_uint count;       /* of served */
	int timeouts[POLLS_MAX]; /* of the polls of the last run */
	unsigned polls;
	/* Called, if there is one, in place of handling a fault. */
	void (*on_fault)(struct fault_server *server, const struct fault *fault);
};
extern struct server_world server_world;

/* => the daemon, with this many servers of the common lane */
struct daemon *servers_start(struct unit *u, unsigned servers);
void servers_stop(struct unit *u);
/* Runs a polling server's thread until it has nothing to do. */
void server_run(struct fault_server *server);
/* Starts a direct server's thread. It runs until direct_end. */
void direct_begin(struct fault_server *server);
/* Ends the thread after it has let go of its client. */
void direct_end(struct fault_server *server);
/* The direct servers, which have no threads, let go of clients that they should leave. */
void directs_let_go(struct daemon *d);

void client_open(struct unit *u, struct client *c);
/* Its servers have let go of it. */
void client_close(struct client *c);
/* Faults of a thread that no /proc knows, at pages `first` and on. */
void client_touch(const struct client *c, uint64_t first, unsigned count);
/* How many of the client's faults have been served. */
unsigned client_served(const struct client *c);
/* Takes the seat's edges, as a server does that is relieved before it reads. => their number */
int seat_edges_take(const struct fault_seat *seat);
/* Whether a poll of the seat would find a message of the client, of which the test writes one. */
bool seat_polls(const struct fault_seat *seat, const struct client *c);
/* Whether a read of the client's file waits. */
bool client_waits(const struct client *c);

#endif
