/* SPDX-License-Identifier: MIT
 *
 * Ranges that are to leave memory at their owners' wish. A job asks (region/evict.c), and workers
 * take the pages out (pageout/evict.c); here they meet.
 */
#ifndef EVICTION_H
#define EVICTION_H

#include <stdbool.h>
#include <stdint.h>

#include "lock.h"
#include "memorystatus/squeeze.h"

struct vm_object;

/* One range. There is at most one for each jobs thread. Letters on fields: daemon.h. */
struct eviction {
	struct eviction *next_asked; /* (Q) the one asked for after it */
	struct vm_object *object;    /* (C) the job has a reference */
	uint64_t next, end;          /* (Q) pages that no worker has taken up yet */
	uint64_t behind;             /* (C) pages of the same request that follow */
	bool apart; /* (C) they keep apart from others', and what is stored is gathered to them */
	unsigned parts;      /* (Q) workers that have a part of it */
	uint64_t pages;      /* (Q) pages that have left */
	uint64_t gathered;   /* (Q) stored pages that were put beside them */
	bool met_busy;       /* (Q) some were in transit, or stayed: they are worth another try */
	bool stuck;          /* (Q) nothing more can leave */
	struct moment since; /* (Q) when a page last left, or the first was tried */
};

struct evictions {
	struct eviction *first; /* (Q) under way, in the order in which they were asked for */
	unsigned freezes;       /* (Q) ranges with `apart` come, and more will follow: workers keep
				   open what they fill with them */
	struct cond done;       /* waited for by jobs, broadcast by the worker that ends a range's
				   last part */
};

#endif
