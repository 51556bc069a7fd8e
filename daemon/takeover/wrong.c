/* SPDX-License-Identifier: MIT */
#include "takeover/wrong.h"

#include <signal.h>
#include <unistd.h>

#include "takeover/successor.h"
#include "vm/slot.h"
#include "vm/vm_map.h"
#include "vm/vm_object.h"

#define USES (OBJECT_SHAREABLE | OBJECT_ALONE | OBJECT_PURGEABLE | OBJECT_TAGGED | OBJECT_UNCOUNTED)

const char *
row_wrong(const struct daemon *d, const struct kept_object *row)
{
	uint64_t room = d->slots.count;

	if (row->pages == 0 || row->slot_base >= room || row->pages > room - row->slot_base ||
	    row->slot_base % SLOTS_PER_BLOCK != 0)
		return "an object of it has pages where none can be";
	if (row->use & ~(uint32_t)USES)
		return "an object of it is for a use that is not known";
	return NULL;
}

static const struct kept_object *
row_of(const struct daemon *d, uint64_t id)
{
	const struct kept_objects *k = &d->kept_objects;

	for (uint32_t i = 0; id != 0 && i < k->count; i++)
		if (load_acquire(&((struct kept_object *)(uintptr_t)&k->rows[i])->id) == id)
			return &k->rows[i];
	return NULL;
}

/* What of an entry cannot be. below: the end of the one before it. => NULL: nothing */
static const char *
entry_wrong(const struct daemon *d, const struct task_record *record, const struct kept_entry *e,
    uint64_t below)
{
	const struct kept_object *row;
	uint64_t bytes, size = e->end - e->start;
	const char *why;

	if (e->start >= e->end || e->end > VM_ADDRESS_MAX || e->offset > e->start ||
	    ((e->start | e->end | e->offset) & (d->page_bytes - 1)) != 0)
		return "a range of it cannot be";
	if (e->start < below)
		return "two ranges of it lie one over the other";
	row = row_of(d, e->object);
	if (!row)
		return "a range of it is of no object";
	why = row_wrong(d, row);
	if (why)
		return why;
	bytes = row->pages << d->page_shift;
	if (e->offset > bytes || size > bytes - e->offset)
		return "a range of it goes beyond its object";
	if (!(row->use & OBJECT_SHAREABLE) &&
	    load_acquire(&((struct kept_object *)(uintptr_t)row)->task) != record->id)
		return "a range of it is of another client's object";
	if ((e->protection & ~e->max_protection) != 0 || e->inheritance > PAGER_INHERIT_NONE ||
	    e->behavior > PAGER_BEHAVIOR_REVERSE_SEQUENTIAL)
		return "a range of it has attributes that there are not";
	return NULL;
}

static const char *
record_wrong(const struct daemon *d, const struct task_record *record)
{
	const struct kept_entry *e;
	const char *why = NULL;
	uint64_t below = 0;
	uint32_t count;

	if (!task_record_is_possible(d, record))
		return "it has more ranges than there can be";
	e = task_record_entries(record, &count);
	for (uint32_t i = 0; i < count && !why; i++) {
		why = entry_wrong(d, record, &e[i], below);
		below = e[i].end;
	}
	return why;
}

void
records_look(struct daemon *d)
{
	bool is_any = false;

	for (struct successor *s = d->successors; s; s = s->next) {
		const char *why = record_wrong(d, s->task->map.record);

		if (!why)
			continue;
		task_record_forsake(s->task, why);
		is_any = true;
	}
	if (is_any)
		takeover_again();
}

void
takeover_again(void)
{
	log_error_limited("another worker takes over without these clients");
	kill(getpid(), SIGKILL);
	_exit(1);
}
