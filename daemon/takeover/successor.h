/* SPDX-License-Identifier: MIT
 *
 * What a worker has taken over, and nobody serves yet.
 */
#ifndef SUCCESSOR_H
#define SUCCESSOR_H

struct named_entry;
struct task;

/* A client of the worker before this one, which is to get its session. */
struct successor {
	struct successor *next;
	struct task *task; /* with a reference, not served yet */
	int socket;
};

/* Likewise a named entry, which is not watched yet. */
struct left_name {
	struct left_name *next;
	struct named_entry *entry;
};

#endif
