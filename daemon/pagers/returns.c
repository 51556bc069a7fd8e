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

	/* In this order: a thread that finds it rung has asked before the caller looks. */
	store_release(&d->returns.is_rung, false);
	(void)!read(d->returns.bell, &count, sizeof(count));
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
	CHECK(o->external);
	if (load_acquire(&o->external->dirty_since) == 0)
		return;
	/* The beginning of time: they are older than any page may be. */
	store_release(&o->external->dirty_since, 1);
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
