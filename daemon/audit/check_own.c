/* SPDX-License-Identifier: MIT
 *
 * The audit of the daemon's own memory: each thing that a table holds is a piece of its kind
 * (base/own.h). A piece is made before it comes into its table and freed after it has left, so the
 * counts agree when nothing is under way, and no count is ever less than what its table has.
 * Runs on: jobs.
 */
#include "audit/audit_priv.h"

#include "own.h"
#include "vm/copy_link.h"
#include "vm/task.h"

static uint64_t
objects_count(struct daemon *d)
{
	struct object_table *t = &d->objects;
	uint64_t count = 0;

	for (uint32_t i = 0; i < t->used; i++)
		count += t->objects[i] != NULL;
	return count;
}

/* Both are read under the table's lock, under which a thing leaves. */
static void
compare(struct report *r, const char *what, uint64_t in_table, enum own kind)
{
	uint64_t pieces = own_count(kind);

	verify(r, pieces >= in_table, "%llu %s in their table, memory for %llu",
	    (unsigned long long)in_table, what, (unsigned long long)pieces);
}

void
check_own(struct daemon *d, struct report *r)
{
	locks_assert_none();
	lock_acquire(&d->tasks.lock);
	compare(r, "tasks", d->tasks.count, OWN_TASK);
	lock_release(&d->tasks.lock);
	lock_acquire(&d->objects.lock);
	compare(r, "objects", objects_count(d), OWN_OBJECT);
	lock_release(&d->objects.lock);
	lock_acquire(&d->vnodes.lock);
	compare(r, "files", d->vnodes.count, OWN_VNODE);
	compare(r, "objects of files", d->vnodes.object_count, OWN_EXTERNAL);
	lock_release(&d->vnodes.lock);
	lock_acquire(&d->named.lock);
	compare(r, "named entries", d->named.count, OWN_NAMED_ENTRY);
	lock_release(&d->named.lock);
	lock_acquire(&d->ports.lock);
	compare(r, "ports", d->ports.count, OWN_PORT);
	lock_release(&d->ports.lock);
	copies_lock(d);
	compare(r, "links of copies", d->copies.count + load_relaxed(&d->copies.reserve_count),
	    OWN_COPY_LINK);
	copies_unlock(d);
}
