/* SPDX-License-Identifier: MIT
 *
 * The reserve of links. Runs on: jobs.
 */
#include "vm/copy_reserve.h"

#include <errno.h>

#include "daemon.h"
#include "failpt.h"
#include "own.h"
#include "vm/books.h"

int
copy_reserve_create(struct daemon *d)
{
	CHECK(load_relaxed(&d->copies.reserve_count) == 0);
	cond_init(&d->copies.given);
	return copy_reserve_settle(d) ? 0 : -ENOMEM;
}

/* => NULL: there is none */
static struct copy_link *
take_locked(struct copy_table *t)
{
	unsigned count = load_relaxed(&t->reserve_count);

	lock_assert_held(&t->lock);
	CHECK(count <= ARRAY_LEN(t->reserve));
	if (count == 0)
		return NULL;
	store_relaxed(&t->reserve_count, count - 1);
	return t->reserve[count - 1];
}

void
copy_reserve_destroy(struct daemon *d)
{
	struct copy_table *t = &d->copies;
	struct copy_link *l;

	lock_acquire(&t->lock);
	while ((l = take_locked(t)) != NULL)
		own_free(OWN_COPY_LINK, l);
	lock_release(&t->lock);
	cond_fini(&t->given);
}

/* => what is too much, out of the reserve, or NULL */
static struct copy_link *
surplus(struct copy_table *t)
{
	struct copy_link *l = NULL;

	lock_acquire(&t->lock);
	if (load_relaxed(&t->reserve_count) > COPY_RESERVE)
		l = take_locked(t);
	lock_release(&t->lock);
	return l;
}

bool
copy_reserve_settle(struct daemon *d)
{
	struct copy_table *t = &d->copies;
	struct copy_link *l;

	locks_assert_none();
	if (likely(load_relaxed(&t->reserve_count) == COPY_RESERVE))
		return true;
	while ((l = surplus(t)) != NULL)
		own_free(OWN_COPY_LINK, l);
	while (load_relaxed(&t->reserve_count) < COPY_RESERVE) {
		l = failpt_hit(FAIL_COPY_LINK_ENOMEM) ? NULL : own_alloc(OWN_COPY_LINK, sizeof(*l));
		if (!l)
			return false;
		lock_acquire(&t->lock);
		copy_reserve_put_locked(d, l);
		lock_release(&t->lock);
	}
	return true;
}

void
copy_reserve_await_locked(struct daemon *d)
{
	struct copy_table *t = &d->copies;

	lock_assert_held(&t->lock);
	while (load_relaxed(&t->reserve_count) < COPY_SPLITS)
		cond_wait(&t->given, &t->lock);
}

struct copy_link *
copy_reserve_take_locked(struct daemon *d)
{
	struct copy_link *l = take_locked(&d->copies);

	lock_assert_held(&d->copies.lock);
	CHECK(l);
	return l;
}

void
copy_reserve_put_locked(struct daemon *d, struct copy_link *l)
{
	struct copy_table *t = &d->copies;
	unsigned count = load_relaxed(&t->reserve_count);

	lock_assert_held(&t->lock);
	CHECK(l && count < ARRAY_LEN(t->reserve));
	t->reserve[count] = l;
	store_relaxed(&t->reserve_count, count + 1);
	cond_broadcast(&t->given);
}
