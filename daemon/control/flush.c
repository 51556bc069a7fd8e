/* SPDX-License-Identifier: MIT
 *
 * Requests that wait for the cleaner. They park: no thread waits with them. Runs on: jobs;
 * flush_woken on the cleaner.
 */
#include "control/flush.h"

#include <errno.h>
#include <stdlib.h>

#include "control/jobs.h"
#include "pagers/returns.h"
#include "region/sync.h"
#include "vm/vm_object.h"

/* A walk over the pages of files in a range, and the request to the cleaner under way. */
struct flush {
	struct clean_request request; /* object NULL: none is under way */
	uint64_t at;                  /* client address: below it all is done */
	struct daemon *daemon;
	struct job *job;
	int error; /* the first */
};

static void
flush_woken(struct clean_request *request)
{
	struct flush *flush = container_of(request, struct flush, request);

	jobs_wake(flush->daemon, flush->job);
}

void
request_state_free(struct flush *flush)
{
	CHECK(!flush->request.is_under_way);
	if (flush->request.object)
		vm_object_put(flush->request.object);
	free(flush);
}

/* The cleaner has done what it was asked for. */
static void
flush_done(struct request *r, struct range *range, unsigned flags)
{
	struct flush *flush = r->state;
	struct vm_object *o = flush->request.object;
	int error = flush->request.error ? flush->request.error : flush->request.sync_error;

	if (flags & PAGER_MSYNC_INVALIDATE)
		region_place_drop(range, &flush->request);
	if (error && !flush->error)
		flush->error = error;
	flush->request.object = NULL;
	vm_object_put(o);
}

bool
flush_step(struct request *r, struct range *range, unsigned flags)
{
	struct flush *flush = r->state;

	if (flush->request.object)
		flush_done(r, range, flags);
	range->at = flush->at;
	if (!region_place_next(range, &flush->request))
		return true;
	flush->at = range->at;
	flush->request.done = flush_woken;
	flush->request.syncs = flags & PAGER_MSYNC_SYNC;
	r->parks = true;
	returns_ask(r->daemon, &flush->request);
	return false;
}

int
flush_begin(struct request *r, const struct range *range)
{
	struct flush *flush = calloc(1, sizeof(*flush));

	if (!flush)
		return -ENOMEM;
	flush->daemon = r->daemon;
	flush->job = r->job;
	flush->at = range->address;
	r->state = flush;
	return 0;
}

/* As it begins the cleaner sets the one before it clears the other, and where it has failed it does
 * so the other way round: so the first is looked at twice. */
static bool
may_be_dirty(struct external *x)
{
	return load_acquire(&x->dirty_since) != 0 || load_acquire(&x->is_cleaned) ||
	       load_acquire(&x->dirty_since) != 0;
}

/* Whether the range has pages of files that may be dirty. */
static bool
has_dirty(struct range *range)
{
	struct clean_request pages;
	bool has = false;

	while (!has && region_place_next(range, &pages)) {
		has = may_be_dirty(pages.object->external);
		vm_object_put(pages.object);
	}
	range->at = range->address;
	return has;
}

int
flush_error(const struct request *r)
{
	return r->state->error;
}

bool
flush_quietly(struct request *r, struct range *range)
{
	if (!r->state && (!has_dirty(range) || flush_begin(r, range) != 0))
		return true;
	return flush_step(r, range, 0);
}
