/* SPDX-License-Identifier: MIT
 *
 * VM objects: life and table. Runs on: jobs (create), any thread (get, put).
 */
#include "vm/vm_object.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "failpt.h"
#include "own.h"
#include "vm/copy_reserve.h"
#include "vm/submap.h"
#include "vm/task.h"
#include "vm/vm_backing.h"

int
object_table_create(struct daemon *d)
{
	struct object_table *t = &d->objects;
	void *memory = mmap(NULL, OBJECTS_MAX * sizeof(void *), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(!t->objects);
	if (memory == MAP_FAILED)
		return -errno;
	own_area(OWN_OBJECT_TABLE, memory, OBJECTS_MAX * sizeof(void *));
	t->objects = memory;
	t->room = OBJECTS_MAX;
	t->next_id = 1;
	lock_init(&t->lock, RANK_JOBS);
	lock_init(&d->copies.lock, RANK_COPIES);
	return copy_reserve_create(d);
}

void
object_table_destroy(struct daemon *d)
{
	CHECK(d->objects.objects != NULL);
	CHECK(d->copies.count == 0);
	copy_reserve_destroy(d);
	own_area_forget(d->objects.objects);
	munmap(d->objects.objects, d->objects.room * sizeof(void *));
	lock_fini(&d->objects.lock);
	lock_fini(&d->copies.lock);
}

static int
table_add(struct daemon *d, struct vm_object *o)
{
	struct object_table *t = &d->objects;
	int error = -ENOMEM;

	lock_acquire(&t->lock);
	for (uint32_t n = 0; n < t->room; n++) {
		uint32_t i = (t->hint + n) % t->room;

		if (t->objects[i])
			continue;
		o->index = i;
		o->id = t->next_id++;
		t->objects[i] = o;
		t->hint = i + 1;
		if (i >= t->used)
			t->used = i + 1;
		error = 0;
		break;
	}
	lock_release(&t->lock);
	return error;
}

/* What an object takes of its user's shares. */
static const struct {
	enum share share;
	bool is_virtual; /* its addresses, else one */
} object_shares[] = { { SHARE_OBJECTS, false }, { SHARE_DESCRIPTORS, false },
	{ SHARE_VIRTUAL, true } };

static uint64_t
share_amount(const struct vm_object *o, unsigned i)
{
	CHECK(i < ARRAY_LEN(object_shares));
	return object_shares[i].is_virtual
		   ? round_up_u64(o->page_count, SLOTS_PER_RUN) << o->daemon->page_shift
		   : 1;
}

/* The first `count` of them. */
static void
shares_give(struct vm_object *o, unsigned count)
{
	CHECK(count <= ARRAY_LEN(object_shares));
	while (count-- > 0)
		share_give(o->daemon, o->bill->account, object_shares[count].share,
		    share_amount(o, count));
}

static int
shares_take(struct vm_object *o)
{
	for (unsigned i = 0; i < ARRAY_LEN(object_shares); i++) {
		int error = share_take(
		    o->daemon, o->bill->account, object_shares[i].share, share_amount(o, i));

		if (error) {
			shares_give(o, i);
			return error;
		}
	}
	return 0;
}

void
vm_object_shares_move(struct vm_object *o, struct share_account *from, struct share_account *to)
{
	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	for (unsigned i = 0; i < ARRAY_LEN(object_shares); i++)
		share_move(from, to, object_shares[i].share, share_amount(o, i));
}

/* An object without a backing. owner: NULL for the daemon's own. */
static struct vm_object *
object_blank(struct daemon *d, struct task *owner, uint64_t page_count)
{
	struct vm_object *o = own_alloc(OWN_OBJECT, sizeof(*o));

	CHECK(page_count > 0);
	if (!o)
		return NULL;
	o->magic = VM_OBJECT_MAGIC;
	o->daemon = d;
	o->page_count = page_count;
	o->backing.memfd = -1;
	o->owner = owner ? task_get(owner) : NULL;
	o->bill = owner ? &owner->bill : NULL;
	store_relaxed(&o->references, 1);
	return o;
}

static void
object_free(struct vm_object *o)
{
	struct task *owner = o->owner;

	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	if (o->bill)
		shares_give(o, ARRAY_LEN(object_shares));
	if (o->external)
		own_free(OWN_MARKS, load_relaxed(&o->external->marks));
	own_free(OWN_EXTERNAL, o->external);
	CHECK(!o->is_purgeable || purgeable_is_idle(&o->purgeable));
	o->magic = 0;
	own_free(OWN_OBJECT, o);
	if (owner)
		task_put(owner);
}

/* Takes what it must have, a backing among it unless it is to get a client's descriptor, and puts
 * it into the table. => 0; or -errno: it is no more */
static int
object_begin(struct vm_object *o, int foreign_fd, enum object_use use)
{
	struct daemon *d = o->daemon;
	int error = 0;

	if (foreign_fd < 0)
		error = vm_backing_create(&o->backing, o->page_count << d->page_shift);
	if (error)
		goto fail_backing;
	error = slots_take(d, o->page_count, &o->slot_base);
	if (error)
		goto fail_slots;
	o->blocks = &d->slots.blocks[o->slot_base / SLOTS_PER_BLOCK];
	lock_init(&o->lock, RANK_OBJECT);
	cond_init(&o->unbusy);
	if (foreign_fd >= 0)
		vm_backing_adopt(&o->backing, foreign_fd, o->owner->uid);
	if (o->owner)
		fetch_add_relaxed(&o->owner->objects, 1);
	error = table_add(d, o);
	if (!error) {
		kept_object_add(o, use);
		failpt_die(FAIL_DIE_OBJECT_MADE);
		return 0;
	}

	if (o->owner)
		fetch_sub_relaxed(&o->owner->objects, 1);
	lock_fini(&o->lock);
	cond_fini(&o->unbusy);
	slots_put(d, o->slot_base, o->page_count);
fail_slots:
	if (foreign_fd < 0)
		vm_backing_destroy(d, &o->backing);
fail_backing:
	object_free(o);
	return error;
}

/* The shares are taken, or the object is no more. => 0 or -errno */
static int
object_charge(struct vm_object *o)
{
	int error = o->bill ? shares_take(o) : 0;

	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	if (error) {
		o->bill = NULL;
		object_free(o);
	}
	return error;
}

/* An anonymous object has that use. Purgeable memory begins nonvolatile. */
static void
object_is_for(struct vm_object *o, enum object_use use)
{
	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	o->is_shareable = (use & OBJECT_SHAREABLE) != 0;
	o->alone = use != OBJECT_CHUNK;
	if (use & OBJECT_TAGGED)
		o->standing = use & OBJECT_UNCOUNTED ? STANDING_UNCOUNTED : STANDING_TAGGED;
	o->is_purgeable = (use & OBJECT_PURGEABLE) != 0;
	if (!o->is_purgeable)
		return;
	purgeable_init(&o->purgeable);
	o->standing = STANDING_NONVOLATILE;
}

/* From object_begin on, walks of the table see it, so all that is constant is there by then.
 * external: as vm_object_create_external; or NULL */
static int
object_create(struct daemon *d, struct task *owner, uint64_t page_count, enum object_use use,
    struct external *external, struct vm_object **ret)
{
	int error = failpt_hit(FAIL_OBJECT_CREATE_ENOMEM);
	struct vm_object *o = error ? NULL : object_blank(d, owner, page_count);

	if (!o) {
		own_free(OWN_EXTERNAL, external);
		return error ? error : -ENOMEM;
	}
	object_is_for(o, use);
	o->external = external;
	if (external) {
		o->standing = STANDING_EXTERNAL;
		vm_object_of_file(o);
	}
	error = object_charge(o);
	if (!error)
		error = object_begin(o, -1, use);
	if (!error)
		*ret = o;
	return error;
}

int
vm_object_create(struct daemon *d, struct task *owner, uint64_t page_count, enum object_use use,
    struct vm_object **ret)
{
	return object_create(d, owner, page_count, use, NULL, ret);
}

int
vm_object_create_external(struct daemon *d, struct task *owner, uint64_t page_count,
    struct external *external, struct vm_object **ret)
{
	CHECK(external != NULL);
	return object_create(d, owner, page_count, OBJECT_SHAREABLE, external, ret);
}

int
vm_object_create_device(struct daemon *d, const struct device_memory *of, struct vm_object **ret)
{
	struct vm_object *o;
	int error = failpt_hit(FAIL_OBJECT_CREATE_ENOMEM);

	CHECK(of->owner || of->fd < 0);
	if (error)
		return error;
	o = object_blank(d, of->owner, of->page_count);
	if (!o)
		return -ENOMEM;
	o->is_shareable = o->alone = o->is_device = true;
	o->cache_mode = of->cache_mode;
	error = object_charge(o);
	if (!error)
		error = object_begin(o, of->fd, OBJECT_SHAREABLE);
	if (!error)
		*ret = o;
	return error;
}

int
vm_object_restore(
    struct daemon *d, struct task *owner, uint32_t index, int memfd, struct vm_object **ret)
{
	const struct kept_object *row = &d->kept_objects.rows[index];
	struct vm_object *o = object_blank(d, owner, row->pages);
	int error = o ? object_charge(o) : -ENOMEM;

	CHECK(index < d->objects.room && memfd >= 0);
	if (error)
		return error;
	o->slot_base = row->slot_base;
	error = slots_take_at(d, o->slot_base, o->page_count);
	if (error) {
		object_free(o);
		return error;
	}
	o->backing.memfd = memfd;
	o->blocks = &d->slots.blocks[o->slot_base / SLOTS_PER_BLOCK];
	object_is_for(o, (enum object_use)row->use);
	lock_init(&o->lock, RANK_OBJECT);
	cond_init(&o->unbusy);
	fetch_add_relaxed(&owner->objects, 1);
	lock_acquire(&d->objects.lock);
	CHECK(!d->objects.objects[index]);
	o->index = index;
	o->id = load_acquire(&((struct kept_object *)(uintptr_t)row)->id);
	d->objects.objects[index] = o;
	d->objects.used = (uint32_t)max_u64(d->objects.used, index + 1);
	d->objects.next_id = max_u64(d->objects.next_id, o->id + 1);
	lock_release(&d->objects.lock);
	*ret = o;
	return 0;
}

void
vm_object_put(struct vm_object *o)
{
	struct daemon *d = o->daemon;

	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	if (fetch_sub_acq_rel(&o->references, 1) != 1)
		return;
	CHECKF(vm_object_next_live(o, 0, o->page_count) == o->page_count,
	    "object %llu ends with live pages", (unsigned long long)o->id);
	lock_acquire(&d->objects.lock);
	CHECK(d->objects.objects[o->index] == o && !o->holes && !o->upls && !o->mappings &&
	      !o->named && o->cover_count == 0 && o->mapped_pages == 0 &&
	      tree_is_empty(&o->above) && tree_is_empty(&o->below) &&
	      (!o->external || tree_is_empty(&o->external->followers)));
	d->objects.objects[o->index] = NULL;
	if (o->index < d->objects.hint)
		d->objects.hint = o->index;
	lock_release(&d->objects.lock);
	kept_object_remove(o);
	if (o->submap)
		submap_destroy(o);
	vm_object_slots_end(o);
	vm_backing_destroy(d, &o->backing);
	if (o->owner)
		fetch_sub_relaxed(&o->owner->objects, 1);
	lock_fini(&o->lock);
	cond_fini(&o->unbusy);
	object_free(o);
}

/* As a task (task.c). */
static struct vm_object *
get_unless_ending(struct vm_object *o)
{
	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	return reference_get_try(&o->references) ? o : NULL;
}

/* Owner: low bits of the object's id 10 | its index in the table 20 | page 34. Most of an id is
 * missing: a thread that finds an object must see whether the page has the handle, which no other
 * page has as long as the stored page lives. */
#define OWNER_PAGE_BITS  34
#define OWNER_INDEX_BITS 20
_Static_assert(OBJECTS_MAX == 1u << OWNER_INDEX_BITS, "an owner has room for each index");

struct cowner
vm_object_owner(const struct vm_object *o, uint64_t page)
{
	INVARIANT(page >> OWNER_PAGE_BITS == 0);
	return (struct cowner){ o->id << (OWNER_PAGE_BITS + OWNER_INDEX_BITS) |
				(uint64_t)o->index << OWNER_PAGE_BITS | page };
}

struct vm_object *
vm_object_of_owner(struct daemon *d, struct cowner owner, uint64_t *ret_page)
{
	struct object_table *t = &d->objects;
	uint32_t index = (uint32_t)(owner.v >> OWNER_PAGE_BITS) & (OBJECTS_MAX - 1);
	uint64_t page = owner.v & ((UINT64_C(1) << OWNER_PAGE_BITS) - 1);
	struct vm_object *o;

	lock_acquire(&t->lock);
	o = t->objects[index];
	if (o && page < o->page_count && vm_object_owner(o, page).v == owner.v)
		o = get_unless_ending(o);
	else
		o = NULL;
	lock_release(&t->lock);
	*ret_page = page;
	return o;
}

struct vm_object *
vm_object_next(struct daemon *d, uint32_t *cursor)
{
	struct object_table *t = &d->objects;
	struct vm_object *o = NULL;

	lock_acquire(&t->lock);
	CHECK(t->used <= t->room);
	while (*cursor < t->used && !o) {
		o = t->objects[(*cursor)++];
		if (o)
			o = get_unless_ending(o);
	}
	lock_release(&t->lock);
	return o;
}

void
vm_object_settle(struct vm_object *o)
{
	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	lock_acquire(&o->lock);
	lock_release(&o->lock);
}
