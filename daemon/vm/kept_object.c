/* SPDX-License-Identifier: MIT
 *
 * Rows of objects. Runs on: as vm_object_create and vm_object_put.
 */
#include "vm/kept_object.h"

#include <errno.h>
#include <unistd.h>

#include "arena.h"
#include "daemon.h"
#include "own.h"

static struct arena_shape
shape_of(const struct daemon *d)
{
	return (struct arena_shape){
		.name = "objects",
		.version = 2,
		.row_bytes = sizeof(struct kept_object),
		.bytes = d->objects.room * sizeof(struct kept_object),
	};
}

int
kept_objects_create(struct daemon *d)
{
	struct kept_objects *k = &d->kept_objects;
	struct arena_shape shape = shape_of(d);
	struct arena_run run;
	uint64_t end = 0;
	int error;

	CHECK(!k->rows && d->objects.room > 0);
	if (!d->keeper)
		return 0;
	k->fd = keeper_take(d->keeper, KEPT_OBJECTS, 0);
	error = k->fd >= 0 ? arena_check(k->fd, &shape) : 0;
	if (k->fd < 0) {
		k->fd = arena_make(&shape);
		error = k->fd < 0 ? k->fd : 0;
		if (!error)
			keeper_keep(d->keeper, KEPT_OBJECTS, 0, k->fd);
	}
	if (error)
		return error;
	k->rows = arena_map(k->fd, &shape);
	if (!k->rows)
		return -errno;
	own_area_shared(OWN_OBJECT_TABLE, k->rows, shape.bytes);
	while (arena_next_data(k->fd, end, shape.bytes, &run))
		end = run.end;
	k->count = (uint32_t)min_u64(d->objects.room, end / sizeof(struct kept_object));
	return 0;
}

void
kept_objects_destroy(struct daemon *d)
{
	struct arena_shape shape = shape_of(d);

	if (!d->kept_objects.rows)
		return;
	own_area_forget(d->kept_objects.rows);
	arena_unmap(d->kept_objects.rows, &shape);
	close(d->kept_objects.fd);
}

void
kept_object_add(struct vm_object *o)
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
	row->is_shareable = o->is_shareable;
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
