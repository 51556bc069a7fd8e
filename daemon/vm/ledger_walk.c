/* SPDX-License-Identifier: MIT
 *
 * Bills by walking. Runs on: jobs, the memorystatus thread. Allocates nothing.
 */
#include "vm/ledger_walk.h"

#include "daemon.h"
#include "vm/task.h"
#include "vm/vm_object.h"

void
vm_object_walk_locked(const struct vm_object *o, struct class_pages *ret)
{
	lock_assert_held(&((struct vm_object *)(uintptr_t)o)->lock);
	pageq_assert_held(o->daemon);
	*ret = (struct class_pages){ 0 };
	for (uint64_t i = 0; (i = vm_object_next_live(o, i, o->page_count)) < o->page_count; i++)
		ret->pages[vm_page_class_locked(o, load_relaxed(vm_object_slot(o, i)))]++;
}

enum ledger_class
vm_object_differs_locked(const struct vm_object *o, const struct class_pages *walked)
{
	pageq_assert_held(o->daemon);
	for (unsigned c = LEDGER_CLASS_NONE + 1; c < LEDGER_CLASS_COUNT; c++)
		if (o->class_pages[c] != walked->pages[c])
			return (enum ledger_class)c;
	return LEDGER_CLASS_NONE;
}

void
task_walk_locked(struct task *task, struct class_pages *ret)
{
	struct daemon *d = task->daemon;
	struct object_table *t = &d->objects;

	pageq_assert_held(d);
	*ret = (struct class_pages){ 0 };
	lock_acquire(&t->lock);
	for (uint32_t i = 0; i < t->used; i++) {
		const struct vm_object *o = t->objects[i];

		if (!o || o->owner != task)
			continue;
		for (unsigned c = LEDGER_CLASS_NONE + 1; c < LEDGER_CLASS_COUNT; c++)
			ret->pages[c] += o->class_pages[c];
	}
	lock_release(&t->lock);
	/* Devices are billed by the mapping, and each object of one compares its own. */
	ret->pages[LEDGER_CLASS_IOKIT_MAPPED] =
	    ledger_pages(&task->bill.ledger, PAGER_LEDGER_IOKIT_MAPPED);
	ret->pages[LEDGER_CLASS_DEVICE] = 0;
}

enum pager_ledger_entry
task_differs_locked(const struct task *task, const struct class_pages *walked)
{
	pageq_assert_held(task->daemon);
	for (int i = 0; i < PAGER_LEDGER_COUNT; i++) {
		enum pager_ledger_entry entry = (enum pager_ledger_entry)i;

		if (ledger_is_pages(entry) &&
		    ledger_pages(&task->bill.ledger, entry) != class_pages_of(walked, entry))
			return entry;
	}
	return PAGER_LEDGER_COUNT;
}

uint64_t
class_pages_of(const struct class_pages *walked, enum pager_ledger_entry entry)
{
	static const int counted[] = {
#define LEDGER(NAME, name, unit, kind, classes, text) LEDGER_OF_##NAME,
#include "tbl/ledger.h"
	};
	uint64_t pages = 0;

	CHECK(entry < PAGER_LEDGER_COUNT);
	for (unsigned c = 0; c < LEDGER_CLASS_COUNT; c++)
		if (counted[entry] >> c & 1)
			pages += walked->pages[c];
	return pages;
}

#if DEBUG_LEVEL >= 1
static void
object_step(struct daemon *d, uint32_t *cursor)
{
	struct vm_object *o = vm_object_next(d, cursor);
	struct class_pages walked;
	enum ledger_class class;

	if (!o) {
		*cursor = 0;
		return;
	}
	lock_acquire(&o->lock);
	pageq_lock(d);
	vm_object_walk_locked(o, &walked);
	class = vm_object_differs_locked(o, &walked);
	CHECKF(class == LEDGER_CLASS_NONE, "object %llu: %llu pages of class %d, %llu are billed",
	    (unsigned long long)o->id, (unsigned long long)walked.pages[class], (int)class,
	    (unsigned long long)o->class_pages[class]);
	pageq_unlock(d);
	lock_release(&o->lock);
	vm_object_put(o);
}

static void
task_step(struct daemon *d, uint32_t *cursor)
{
	struct task *task = task_next(d, cursor);
	struct class_pages walked;
	enum pager_ledger_entry entry;

	if (!task) {
		*cursor = 0;
		return;
	}
	pageq_lock(d);
	task_walk_locked(task, &walked);
	entry = task_differs_locked(task, &walked);
	CHECKF(entry == PAGER_LEDGER_COUNT, "process %d: entry %d has %llu pages, %llu are billed",
	    (int)task->pid, (int)entry, (unsigned long long)class_pages_of(&walked, entry),
	    (unsigned long long)ledger_pages(&task->bill.ledger, entry));
	pageq_unlock(d);
	task_put(task);
}

void
ledger_walk_step(struct daemon *d, struct ledger_walk *at)
{
	locks_assert_none();
	object_step(d, &at->object);
	task_step(d, &at->task);
}
#endif
