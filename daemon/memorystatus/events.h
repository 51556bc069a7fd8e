/* SPDX-License-Identifier: MIT
 *
 * The last processes that were ended, each with what led to it: a ring, made at start.
 */
#ifndef EVENTS_H
#define EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "lock.h"
#include "pager/proto.h"

#define EVENTS_KEPT 32u

struct events {
	struct lock lock;              /* covers the rest; leaf */
	struct pager_wire_event *ring; /* event n at n % EVENTS_KEPT */
	uint64_t last;                 /* number of the last one; 0: none */
};

/* => 0 or -ENOMEM */
int events_create(struct events *e);
void events_destroy(struct events *e);
/* Keeps a copy under the next number, instead of the oldest. Any thread; allocates nothing */
void events_add(struct events *e, const struct pager_wire_event *event);
/* The first one with a higher number that is still kept. => false: there is none; *ret_last: number
 * of the last one */
bool events_after(
    struct events *e, uint64_t after, struct pager_wire_event *ret, uint64_t *ret_last);

#endif
