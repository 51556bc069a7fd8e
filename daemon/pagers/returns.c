/* SPDX-License-Identifier: MIT
 *
 * Requests to the cleaner. Runs on: jobs, workers, the cleaner. Allocates nothing.
 */
#include "pagers/returns.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon.h"
#include "vm/books.h"

/* The beginning of time: they are older than any page may be. */
#define DIRTY_SINCE_EVER 1u

int
returns_create(struct daemon *d)
{
	struct returns *q = &d->returns;

	CHECK(!q->first);
	lock_init(&q->lock, RANK_JOBS);
	q->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return q->bell < 0 ? -errno : 0;
}

void
returns_destroy(struct daemon *d)
{
	CHECK(!d->returns.first);
	lock_fini(&d->returns.lock);
	close(d->returns.bell);
}

void
returns_ring(struct daemon *d)
{
	uint64_t one = 1;

	if (!exchange_acq_rel(&d->returns.is_rung, true))
		CHECK(write(d->returns.bell, &one, sizeof(one)) == sizeof(one));
}

void
returns_answer(struct daemon *d)
{
	uint64_t count;

	/* In this order: who rings in between has asked before the caller looks. In the other, its
	 * ring would be taken, and the bell, said to be rung, would be silent for good. */
	(void)!read(d->returns.bell, &count, sizeof(count));
	/* No store: the caller must see at least what preceded a ring that found the flag set. */
	(void)exchange_acq_rel(&d->returns.is_rung, false);
}

void
returns_ask(struct daemon *d, struct clean_request *r)
{
	struct clean_request **at = &d->returns.first;

	locks_assert_none();
	CHECK(r->object->external && r->low < r->high && r->high <= r->object->page_count);
	CHECK(r->done != NULL);
	r->next = NULL;
	r->at = r->low;
	r->error = 0;
	lock_acquire(&d->returns.lock);
	while (*at)
		at = &(*at)->next;
	*at = r;
	lock_release(&d->returns.lock);
	returns_ring(d);
}

void
returns_want(struct vm_object *o)
{
	CHECK(o->external);
	store_release(&o->external->is_wanted, true);
	returns_ring(o->daemon);
}

void
returns_want_soon(struct vm_object *o)
{
	uint64_t since;

	CHECK(o->external);
	since = load_acquire(&o->external->dirty_since);
	if (since == 0 || since == DIRTY_SINCE_EVER)
		return;
	store_release(&o->external->dirty_since, DIRTY_SINCE_EVER);
	returns_ring(o->daemon);
}

struct clean_request *
returns_take(struct daemon *d)
{
	struct clean_request *r;

	locks_assert_none();
	lock_acquire(&d->returns.lock);
	r = d->returns.first;
	if (r)
		d->returns.first = r->next;
	lock_release(&d->returns.lock);
	return r;
}
