/* SPDX-License-Identifier: MIT
 *
 * Dirty pages that have a place with their pager go there by a thread of their own, the cleaner
 * (pageout/cleaner.h): after a while, when memory is short, and when somebody asks. Here those who
 * ask and the cleaner meet.
 */
#ifndef RETURNS_H
#define RETURNS_H

#include <stdbool.h>
#include <stdint.h>

#include "atomics.h"
#include "lock.h"

struct clean_request;
struct daemon;
struct vm_object;

struct returns {
	struct lock lock;            /* covers the list; leaf */
	struct clean_request *first; /* in the order in which they came */
	int bell;                    /* (C) eventfd, polled by the cleaner */
	atomic_bool is_rung;         /* (A) the bell is, or will be in a moment */
	atomic_bool under_way; /* (A) the cleaner has writes that have not taken long yet: pages
				  will be clean soon, so memory is not full */
};

/* => 0 or -errno */
int returns_create(struct daemon *d);
void returns_destroy(struct daemon *d);
/* The pages [low, high) of the request that are dirty now are written to their places. Then `done`
 * is called, on the cleaner. object, task, low, high and done are set; the caller keeps the request
 * and the object until then. No lock held */
void returns_ask(struct daemon *d, struct clean_request *r);
/* Dirty pages of the object stand in the way: they are to be written, and to leave. Or it has lost
 * its last mapping. Any thread; takes a lock of the rank JOBS at most */
void returns_want(struct vm_object *o);
/* Its dirty pages are to be written soon, and stay. Likewise */
void returns_want_soon(struct vm_object *o);
/* The cleaner's side. The next request, or NULL; no lock held */
struct clean_request *returns_take(struct daemon *d);
/* Answers the bell. */
void returns_answer(struct daemon *d);
void returns_ring(struct daemon *d);

#endif
