/* SPDX-License-Identifier: MIT
 *
 * Ports of the tasks of share_fixture.h, used as the requests use them.
 */
#ifndef PORT_FIXTURE_H
#define PORT_FIXTURE_H

#include "share_fixture.h"

#include "control/teardown.h"
#include "region/allocate.h"
#include "region/transfer.h"
#include "vm/port.h"

struct daemon *daemon_of(void);

/* A handle and the client's end of its bell. */
struct end {
	struct port_handle *h;
	int bell;
	unsigned task;
};

/* limit 0: for sending. => 0 or -errno */
int port_open(unsigned task, const char *name, unsigned limit, struct end *ret);
struct end receiver_of(unsigned task, const char *name, unsigned limit);
struct end sender_of(unsigned task, const char *name);
/* => messages discarded, where it was the receiver's */
uint64_t end_close(struct end *end);
/* The task makes an object of that many pages, all of them there, at page `at` of its map. */
struct range content_make(unsigned task, uint64_t at, uint64_t pages);
/* As PORT_SEND does. => 0 or -errno */
int send_range(const struct end *end, struct range *range, uint64_t id);
int send_pages(const struct end *end, uint64_t at, uint64_t pages, uint64_t id);
/* As PORT_RECEIVE does, at page `at` of the task's map. => the message's id; 0: there is none */
uint64_t receive(const struct end *end, uint64_t at);

#endif
