/* SPDX-License-Identifier: MIT
 *
 * Visits to objects. Runs on: the cleaner's hands; clean_object_has_garbage on the cleaner.
 * Allocates nothing.
 */
#include "pageout/clean_object.h"

#include "pagers/pager.h"
#include "pagers/vnode_lost.h"
#include "transit/blocks.h"
#include "transit/discard.h"
#include "transit/drop.h"
#include "transit/forget.h"

/* Pages of a file, of volatile memory that is purged, and reusable ones leave without being
 * discarded, on threads that may not wait, so blocks of tables stay behind them. When table memory
 * is short for the client that pays, those without pages are given back: a scan of a file must not
 * end because of what it has left behind. They are also given back when pressure is urgent, be it
 * the machine's: the memory is the daemon's own, and nobody uses it. */
bool
clean_object_has_garbage(struct vm_object *o)
{
	struct daemon *d = o->daemon;
	bool is_wanted;

	locks_assert_none();
	if (likely(load_relaxed(&o->idle_blocks) == 0))
		return false;
	lock_acquire(&o->lock);
	is_wanted = o->bill && (load_relaxed(&d->memorystatus.announced) >= PRESSURE_URGENT ||
				   share_room(d, o->bill->account, SHARE_TABLES) <
				       share_total(d, SHARE_TABLES) / 4);
	lock_release(&o->lock);
	return is_wanted;
}

/* Pages that the daemon cannot write, and that nobody will ask for, as it ends. */
static void
give_up(struct vm_object *o)
{
	uint64_t pages = vm_object_discard(o, 0, o->page_count);

	if (pages > 0)
		vnode_lost_tell(o, pages);
}

/* => whether some of them are in transit */
static bool
forget(struct stat_shard stats, struct vm_object *o)
{
	bool is_busy;
	uint64_t pages = vm_object_forget_dirty(o, &is_busy);

	stat_add(stats, STAT_FILE_FORGOTTEN, pages);
	if (pages > 0)
		vnode_forgotten_tell(o, pages);
	return is_busy;
}

/* When it has no page any more its pager lets go of it. */
static void
leave(struct stat_shard stats, struct hole *hole, struct vm_object *o)
{
	bool is_busy;

	(void)vm_object_drop_clean(stats, hole, o, 0, o->page_count, &is_busy);
	if (!pager_last_unmap(o))
		return;
	/* The memory of its tables. */
	(void)vm_object_discard(o, 0, o->page_count);
	vm_object_put(o);
}

bool
clean_object_visit(
    struct stat_shard stats, struct hole *hole, struct vm_object *o, unsigned why, bool *ret_dirty)
{
	bool is_busy = false;
	uint64_t gone = 0;

	locks_assert_none();
	CHECK(why == VISIT_TABLES || (o->external && why != 0));
	watch_client(vm_object_cookie(o));
	*ret_dirty = why & VISIT_FORGET && forget(stats, o);
	/* What was dirty is clean now, and is not what the file has. */
	if (why & (VISIT_DROP | VISIT_FORGET))
		gone = vm_object_drop_clean(stats, hole, o, 0, o->page_count, &is_busy);
	if (why & VISIT_DROP)
		stat_add(stats, STAT_FILE_DROPS, gone);
	if (why & VISIT_TABLES)
		stat_add(stats, STAT_TABLE_COLLECTED,
		    (uint64_t)blocks_release(o, 0, o->page_count) * TABLE_BLOCK_BYTES);
	if (why & VISIT_GIVE_UP)
		give_up(o);
	if (why & VISIT_LEAVE)
		leave(stats, hole, o);
	return is_busy;
}
