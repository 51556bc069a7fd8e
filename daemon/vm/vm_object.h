/* SPDX-License-Identifier: MIT
 *
 * A VM object: a run of slots in the slot arena and a memfd that holds its resident pages at
 * page index * page size. It is content: who sees it, and where, its mappings say (vm_mapping.h).
 * Anonymous objects take the allocations of their client that lie beside what they have. A page
 * that no region maps is ABSENT.
 *
 * References: one per mapping, one per operation under way (a fault, an I/O, a laundered page). A
 * page that is busy keeps the object: a thread that takes it apart waits for busy pages first.
 */
#ifndef VM_OBJECT_H
#define VM_OBJECT_H

#include "daemon.h"
#include "vm/block.h"
#include "vm/books.h"
#include "vm/hole.h"
#include "vm/task.h"
#include "vm/vm_page.h"

/* That there can be at a time. */
#define OBJECTS_MAX (1u << 20)

int object_table_create(struct daemon *d);
void object_table_destroy(struct daemon *d);
/* What an object is made for. */
enum object_use {
	OBJECT_CHUNK = 0,      /* several allocations of its client */
	OBJECT_SHAREABLE = 1,  /* one, and several may come to see it (vm/vm_share.h) */
	OBJECT_ALONE = 2,      /* one */
	OBJECT_PURGEABLE = 4,  /* with one of the latter two: vm/purgeable.h */
	OBJECT_TAGGED = 8,     /* likewise, and not with PURGEABLE: it has a ledger tag */
	OBJECT_UNCOUNTED = 16, /* with TAGGED: not in the footprint */
};
/* owner: pays for it. => 0, -ENOMEM,
 * -EMFILE, -ENOSPC (no slots, or all of a share is in use), -EDQUOT (the user has its share). One
 * reference for the caller. */
int vm_object_create(struct daemon *d, struct task *owner, uint64_t page_count, enum object_use use,
    struct vm_object **ret);
/* As vm_object_create, shareable, of a file (pagers/vnode.h). external: its own from now on; freed
 * on an error. */
int vm_object_create_external(struct daemon *d, struct task *owner, uint64_t page_count,
    struct external *external, struct vm_object **ret);
/* What a device's object is made of. */
struct device_memory {
	struct task *owner; /* pays for the object; NULL: nobody, it is the daemon's own */
	uint64_t page_count;
	uint32_t cache_mode; /* enum pager_cache_mode */
	int fd;              /* that a client has given, the object's from now on; -1: none */
};
/* As vm_object_create, shareable, with no pages yet. On an error the descriptor is the caller's
 * still. */
int vm_object_create_device(
    struct daemon *d, const struct device_memory *of, struct vm_object **ret);
/* The object that a worker before this one had at that index (vm/kept_object.h), with its slots as
 * they are. Takes over memfd. => 0 or -errno */
int vm_object_restore(
    struct daemon *d, struct task *owner, uint32_t index, int memfd, struct vm_object **ret);
/* The last reference frees it: every slot must be ABSENT by then. */
void vm_object_put(struct vm_object *o);

/* What it takes of its user's shares becomes another's. */
void vm_object_shares_move(
    struct vm_object *o, struct share_account *from, struct share_account *to);
/* The task whose pages it has, or NULL: several may see them. */
static inline struct task *
vm_object_private_task(const struct vm_object *o)
{
	return likely(!o->is_shareable) ? o->owner : NULL;
}
/* The task whose policy its pages are in. NULL: the daemon's */
static inline struct task *
vm_object_policy_task(const struct vm_object *o)
{
	return vm_object_private_task(o);
}
/* Whether the pages of both are one client's. */
static inline bool
vm_object_same_client(const struct vm_object *a, const struct vm_object *b)
{
	return a == b || (!a->is_shareable && !b->is_shareable && a->owner == b->owner);
}
/* The lane whose threads take its pages away: that of the task that sees them; where several do,
 * that of one in a side lane, if any is. */
static inline unsigned
vm_object_lane(const struct vm_object *o)
{
	return likely(!o->is_shareable) ? load_acquire(&o->owner->lane)
					: load_acquire(&((struct vm_object *)(uintptr_t)o)->lane);
}
/* For watch_client: the client on whose memory calls for the object's pages are. 0: several;
 * pmap/pmap.h names each. */
static inline uint64_t
vm_object_cookie(const struct vm_object *o)
{
	return likely(!o->is_shareable) ? task_cookie(o->owner) : 0;
}
/* Whether nobody is left who could touch its pages. */
static inline bool
vm_object_is_deserted(const struct vm_object *o)
{
	return !o->is_shareable && task_is_dead(o->owner);
}
/* The owner that the compressor writes beside a stored page. */
struct cowner vm_object_owner(const struct vm_object *o, uint64_t page);
/* The object that may be meant, with a reference, and the page in it; or NULL. */
struct vm_object *vm_object_of_owner(struct daemon *d, struct cowner owner, uint64_t *ret_page);
/* Whether the content of its pages may be thrown away at any moment. O or PAGEQ held */
static inline bool
vm_object_is_volatile(const struct vm_object *o)
{
	return unlikely(o->is_purgeable) && o->purgeable.state != PURGEABLE_NONVOLATILE;
}
/* The first object at or behind *cursor, with a reference; moves the cursor behind it. NULL at the
 * end. */
struct vm_object *vm_object_next(struct daemon *d, uint32_t *cursor);
/* The page's number for the policy. */
static inline pol_page
vm_object_pol_page(const struct vm_object *o, uint64_t index)
{
	INVARIANT(index < o->page_count);
	return o->slot_base + (uint32_t)index;
}
/* Passes once through O. target_find takes O while it still has M: a fault that has found what a
 * map was before it changed has published its pages when this returns, and vm_object_next_live sees
 * them. Before a walk of what has changed. */
void vm_object_settle(struct vm_object *o);
#endif
