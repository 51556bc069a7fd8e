/* SPDX-License-Identifier: MIT
 *
 * A daemon for tests: one thread that speaks the protocol and one that answers page faults with
 * zeroes (MISSING) or with what is in the memfd (MINOR). It never takes a page away by itself, and
 * does wrong things only at a test's request.
 */
#ifndef FAKE_DAEMON_H
#define FAKE_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pager/proto.h"

#define FAKE_PAGE_SIZE 4096

/* How the next reply is spoiled. */
enum fake_mangle {
	FAKE_MANGLE_NONE,
	FAKE_MANGLE_SEQUENCE,
	FAKE_MANGLE_TYPE,
	FAKE_MANGLE_LENGTH,
	FAKE_MANGLE_SHORT,    /* less than a header */
	FAKE_MANGLE_BODY,     /* one byte of body too many */
	FAKE_MANGLE_FD,       /* a descriptor in a reply that has none */
	FAKE_MANGLE_NO_FD,    /* none in a reply that has one */
	FAKE_MANGLE_POSITIVE, /* an error above zero */
	FAKE_MANGLE_HANGUP,   /* no reply at all */
	FAKE_MANGLE_COUNT
};

struct fake;

/* Listens on a socket in a directory of its own. => NULL: it cannot, and has printed why */
struct fake *fake_start(void);
/* Hangs up on everybody, closes every descriptor it was given, and frees f. */
void fake_stop(struct fake *f);
/* As a SIGKILL would: hangs up and closes all descriptors. fake_stop is still due. */
void fake_kill(struct fake *f);

const char *fake_socket(const struct fake *f);

/* The next request of this type ends with -errno; or its reply is spoiled. */
void fake_fail_next(struct fake *f, enum pager_msg_type type, int error);
void fake_mangle_next(struct fake *f, enum pager_msg_type type, enum fake_mangle mangle);
/* While held, faults are read and not answered. */
void fake_hold_faults(struct fake *f, bool hold);

/* To the agent of the session that attached last. */
void fake_agent_send(struct fake *f, const void *message, size_t bytes);
void fake_agent_zap(struct fake *f, const struct pager_agent_range *ranges, uint32_t count);

/* Counts so far. */
unsigned fake_requests(struct fake *f, enum pager_msg_type type);
unsigned fake_malformed(struct fake *f);
unsigned fake_missing(struct fake *f);
unsigned fake_minor(struct fake *f);
unsigned fake_held(struct fake *f);
/* Faults outside of allocated ranges: the library left memory accessible that the daemon had
 * forgotten. */
unsigned fake_strays(struct fake *f);
/* Ranges that a client gave twice, or gave back without having them. */
unsigned fake_range_errors(struct fake *f);
uint64_t fake_allocated_bytes(struct fake *f);
unsigned fake_sessions(struct fake *f);
/* The last change of a submap that was asked for, and the last rights that were asked for. The
 * answer says that the region lies one page above what the request says. */
struct pager_req_submap_change fake_submap_changed(struct fake *f);
uint32_t fake_submap_rights(struct fake *f);
/* The last UPL_FINISH. */
struct pager_req_upl_finish fake_list_finished(struct fake *f);
/* The last DESCRIPTOR, and how many of that kind there were. Memory lies in pieces of two pages. */
struct pager_req_descriptor fake_descriptor_asked(struct fake *f);
unsigned fake_descriptor_ops(struct fake *f, enum pager_descriptor_op op);
/* The number-th piece from now on is told to be of that size. */
void fake_descriptor_spoil(struct fake *f, unsigned number, uint64_t size);
/* Ports: the last PORT_OPEN, PORT_SEND and PORT_CLOSE (its number), the messages in the one queue,
 * which has room for two. */
struct pager_req_port_open fake_port_opened(struct fake *f);
struct pager_req_port_send fake_port_sent(struct fake *f);
uint64_t fake_port_closed(struct fake *f);
unsigned fake_port_messages(struct fake *f);
/* The bell of the port that was opened last hangs up. */
void fake_port_hang_up(struct fake *f);
/* The name that the last hello gave. */
void fake_last_name(struct fake *f, char name[64]);

#endif
