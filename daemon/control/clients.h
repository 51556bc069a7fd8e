/* SPDX-License-Identifier: MIT
 *
 * The clients that a request is about, by process or session: the caller's own user's, or all for
 * CONTROL.
 */
#ifndef CLIENTS_H
#define CLIENTS_H

#include "control/request.h"

struct clients {
	struct request *r;
	struct task_name name;
	uint32_t cursor;
	int error; /* -ESRCH: none yet; -EPERM: only some that are another user's; 0 */
};

struct clients clients_named(struct request *r, uint32_t pid, uint64_t task);
/* The next one, with a reference; NULL: there is none. */
struct task *clients_next(struct clients *c);

#endif
