/* SPDX-License-Identifier: MIT
 *
 * Rows of objects. Runs on: as vm_object_create and vm_object_put.
 */
#include "vm/kept_object.h"

#include <errno.h>

#include "daemon.h"
#include "vm/kept_arena.h"

static struct arena_shape
shape_of(const struct daemon *d)
{
	return (struct arena_shape){
		.name = "objects",
		.version = 3,
		.row_bytes = sizeof(struct kept_object),
		.bytes = d->objects.room * sizeof(struct kept_object),
	};
}

int
kept_objects_create(struct daemon *d)
{
	struct kept_objects *k = &d->kept_objects;
	struct arena_shape shape = shape_of(d);

	CHECK(!k->rows && d->objects.room > 0);
	if (!d->keeper)
		return 0;
	k->rows = kept_arena_open(d, KEPT_OBJECTS, &shape, &k->fd);
	if (!k->rows)
		return -errno;
	k->count = kept_arena_rows(k->fd, &shape);
	return 0;
}

void
kept_objects_destroy(struct daemon *d)
{
	struct arena_shape shape = shape_of(d);

	kept_arena_close(d->kept_objects.rows, d->kept_objects.fd, &shape);
}

void
kept_object_add(struct vm_object *o, uint32_t use)
{
	struct daemon *d = o->daemon;
	struct kept_object *row;

	locks_assert_none();
	if (likely(!d->keeper))
		return;
	CHECK(o->owner && o->index < d->objects.room);
	row = &d->kept_objects.rows[o->index];
	keeper_keep(d->keeper, KEPT_OBJECT, o->id, o->backing.memfd);
	store_relaxed(&row->task, o->owner->id);
	row->use = use;
	store_relaxed(&row->purgeable, o->purgeable.state | o->purgeable.how);
	row->pages = o->page_count;
	row->slot_base = o->slot_base;
	store_release(&row->id, o->id);
}

void
kept_object_remove(struct vm_object *o)
{
	struct daemon *d = o->daemon;

	locks_assert_none();
	if (likely(!d->keeper))
		return;
	store_release(&d->kept_objects.rows[o->index].id, 0);
	keeper_drop(d->keeper, KEPT_OBJECT, o->id);
}

void
kept_object_owner_locked(struct vm_object *o)
{
	struct daemon *d = o->daemon;

	lock_assert_held(&o->lock);
	if (unlikely(d->keeper != NULL))
		store_release(&d->kept_objects.rows[o->index].task, o->owner->id);
}

void
kept_object_purgeable_locked(struct vm_object *o, bool is_purging)
{
	struct daemon *d = o->daemon;

	lock_assert_held(&o->lock);
	CHECK(o->is_purgeable);
	if (unlikely(d->keeper != NULL))
		store_release(&d->kept_objects.rows[o->index].purgeable,
		    o->purgeable.state | o->purgeable.how | (is_purging ? KEPT_PURGING : 0));
}
