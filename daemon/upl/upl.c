/* SPDX-License-Identifier: MIT
 *
 * Page lists: life, and which pages are theirs. Runs on: any thread.
 */
#include "upl/upl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "own.h"
#include "vm/vm_page.h"

static bool
flags_fit(unsigned flags)
{
	if (flags & ~UPL_FLAGS)
		return false;
	return flags & UPL_COPYOUT_FROM ? !(flags & (UPL_RET_ONLY_ABSENT | UPL_PRECIOUS))
					: !(flags & (UPL_RET_ONLY_DIRTY | UPL_CLEAN_IN_PLACE));
}

struct upl *
upl_begin(void *memory, struct vm_object *o, struct task *task, uint64_t base, uint64_t first,
    unsigned count, unsigned flags)
{
	struct upl *u = memory;

	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	CHECK(count > 0 && first < o->page_count && count <= o->page_count - first);
	CHECK(flags_fit(flags) || flags == UPL_CLEANING_ALL);
	locks_assert_none();
	memset(u, 0, UPL_BYTES(count));
	u->magic = UPL_MAGIC;
	u->flags = flags;
	u->object = o;
	u->task = task;
	u->base = base;
	u->first = first;
	u->count = count;
	u->holds = (uint64_t *)(u + 1);
	u->pages = (uint8_t *)(u->holds + (count + 63) / 64);
	vm_object_get(o);
	lock_acquire(&o->lock);
	u->next = o->upls;
	o->upls = u;
	lock_release(&o->lock);
	return u;
}

int
upl_create(struct vm_object *o, struct task *task, uint64_t base, uint64_t first, uint64_t count,
    unsigned flags, struct upl **ret)
{
	unsigned pages =
	    (unsigned)min_u64(count, max_u64(UPL_BYTES_MAX >> o->daemon->page_shift, 1));
	void *memory;

	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	locks_assert_none();
	CHECK(count > 0 && first < o->page_count && count <= o->page_count - first);
	if (!flags_fit(flags))
		return -EINVAL;
	memory = own_realloc(OWN_PAGE_LIST, NULL, UPL_BYTES(pages));
	if (!memory)
		return -ENOMEM;
	*ret = upl_begin(memory, o, task, base, first, pages, flags);
	return 0;
}

unsigned
upl_next_held(const struct upl *u, unsigned i)
{
	while (i < u->count) {
		uint64_t holds = u->holds[i / 64] >> i % 64;

		if (holds != 0) {
			i += (unsigned)__builtin_ctzll(holds);
			return i < u->count ? i : u->count;
		}
		i += 64 - i % 64;
	}
	return u->count;
}

void
upl_clip(struct upl *u)
{
	CHECK_OBJ(u, UPL_MAGIC);
	CHECK(u->gathered > 0 && u->gathered <= u->count);
	lock_acquire(&u->object->lock);
	u->count = u->gathered;
	lock_release(&u->object->lock);
}

/* The row of a page that is held, and that nobody else can give another frame. */
static struct vm_page *
page_of(const struct upl *u, unsigned i)
{
	uint64_t slot = load_relaxed(vm_object_slot(u->object, u->first + i));

	return &u->object->daemon->frames.pages[slot_frame(slot)];
}

void
upl_take_locked(struct upl *u, unsigned i)
{
	lock_assert_held(&u->object->lock);
	pageq_assert_held(u->object->daemon);
	CHECK(i < u->count && !upl_holds(u, i));
	u->holds[i / 64] |= 1ull << i % 64;
	u->held++;
	if (!upl_has_busy(u, i))
		return;
	CHECK((load_relaxed(&page_of(u, i)->word) & (PAGE_BUSY | PAGE_LISTED)) == PAGE_BUSY);
	vm_page_flags_set(page_of(u, i), PAGE_LISTED);
	u->busy++;
	frames_listed_add_locked(u->object->daemon, 1);
}

void
upl_give_locked(struct upl *u, unsigned i)
{
	lock_assert_held(&u->object->lock);
	pageq_assert_held(u->object->daemon);
	CHECK(u->held > 0 && upl_holds(u, i));
	if (upl_has_busy(u, i)) {
		CHECK((load_relaxed(&page_of(u, i)->word) & (PAGE_BUSY | PAGE_LISTED)) ==
		      (PAGE_BUSY | PAGE_LISTED));
		vm_page_flags_clear(page_of(u, i), PAGE_LISTED);
		u->busy--;
		frames_listed_add_locked(u->object->daemon, -1);
	}
	u->holds[i / 64] &= ~(1ull << i % 64);
	u->held--;
}
