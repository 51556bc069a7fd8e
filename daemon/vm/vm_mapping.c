/* SPDX-License-Identifier: MIT
 *
 * Mappings. Runs on: control loop and jobs (create); any thread.
 */
#include "vm/vm_mapping.h"

#include <errno.h>
#include <stdlib.h>

#include "own.h"
#include "vm/task.h"
#include "vm/vm_page.h"
#include "vm/window.h"

bool
vm_mapping_place_locked(struct vm_mapping *m, struct vm_object *o, struct task *task, uint64_t base,
    uint64_t first, uint64_t end)
{
	struct vm_mapping **at = &o->mappings;

	lock_assert_held(&o->lock);
	CHECK(first < end && end <= o->page_count && !m->object);
	if (o->is_shareable && o->cover_count >= COVERS_MAX)
		return false;
	m->object = o;
	m->task = task_get(task);
	m->base = base;
	m->first = first;
	m->end = end;
	vm_object_get(o);
	while (*at)
		at = &(*at)->next;
	m->id = o->next_mapping_id++;
	if (!m->number && m->id < UINT32_MAX - SEEN_BY_FIRST)
		m->number = SEEN_BY_FIRST + (uint32_t)m->id;
	o->cover_count++;
	o->is_exposed |= !task_is_trusted(m->task);
	*at = m;
	return true;
}

static void
mapping_unlink(struct vm_object *o, struct vm_mapping *m)
{
	struct vm_mapping **at = &o->mappings;

	lock_acquire(&o->lock);
	while (*at != m) {
		CHECK(*at);
		at = &(*at)->next;
	}
	*at = m->next;
	o->cover_count--;
	lock_release(&o->lock);
}

struct vm_mapping *
vm_mapping_blank(void)
{
	struct vm_mapping *m = own_alloc(OWN_MAPPING, sizeof(*m));

	if (m)
		m->magic = VM_MAPPING_MAGIC;
	return m;
}

void
vm_mapping_blank_free(struct vm_mapping *m)
{
	CHECK(!m || !m->object);
	own_free(OWN_MAPPING, m);
}

int
vm_mapping_create(struct vm_object *o, struct task *task, uint64_t base, uint64_t first,
    uint64_t end, struct vm_mapping **ret)
{
	struct vm_mapping *m = vm_mapping_blank();
	bool may;

	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	CHECK(first < end && end <= o->page_count && (base & (o->daemon->page_bytes - 1)) == 0);
	locks_assert_none();
	if (!m)
		return -ENOMEM;
	lock_acquire(&o->lock);
	may = vm_mapping_place_locked(m, o, task, base, first, end);
	lock_release(&o->lock);
	if (!may) {
		vm_mapping_blank_free(m);
		return -EMFILE;
	}
	*ret = vm_mapping_get(m);
	return 0;
}

/* All windows of a mapping that has ended. */
static void
windows_free(struct vm_mapping *m)
{
	struct window *w;

	locks_assert_none();
	while ((w = load_relaxed(&m->windows)) != NULL) {
		store_relaxed(&m->windows, w->next);
		fetch_sub_relaxed(&m->task->window_blocks,
		    (unsigned)((w->end - w->first) / window_block(w->source->object->daemon) + 2));
		vm_mapping_put(w->source);
		free(w->pages);
		free(w);
	}
}

void
vm_mapping_put(struct vm_mapping *m)
{
	CHECK_OBJ(m, VM_MAPPING_MAGIC);
	locks_assert_none();
	if (fetch_sub_acq_rel(&m->references, 1) != 1)
		return;
	mapping_unlink(m->object, m);
	/* Nobody finds it any more. */
	windows_free(m);
	m->magic = 0;
	vm_object_put(m->object);
	task_put(m->task);
	own_free(OWN_MAPPING, m);
}

void
mapper_walk_begin(struct mapper_walk *w, struct vm_object *o, uint64_t low, uint64_t high)
{
	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	CHECK(low < high && high <= o->page_count);
	w->object = o;
	w->low = low;
	w->high = high;
	w->next_id = 0;
	w->more = true;
	w->count = w->at = 0;
	w->seen_by_any = true;
}

static void
seen_add(struct mapper_walk *w, uint32_t by)
{
	for (unsigned i = 0; i < w->seen_count; i++)
		if (w->seen_by[i] == by)
			return;
	if (by == SEEN_BY_ANY || w->seen_count == MAPPER_SEEN)
		w->seen_by_any = true;
	else if (by >= SEEN_BY_FIRST)
		w->seen_by[w->seen_count++] = by;
}

void
mapper_walk_begin_seen(struct mapper_walk *w, struct vm_object *o, uint64_t low, uint64_t high)
{
	mapper_walk_begin(w, o, low, high);
	if (!o->is_shareable)
		return;
	w->seen_by_any = false;
	w->seen_count = 0;
	lock_acquire(&o->lock);
	for (uint64_t i = low; i < high && !w->seen_by_any; i++) {
		uint64_t slot = load_relaxed(vm_object_slot(o, i));
		struct vm_page *p;

		if (slot_kind(slot) != SLOT_RESIDENT)
			continue;
		p = &o->daemon->frames.pages[slot_frame(slot)];
		/* Another thread fills it, and keeps it busy. */
		if (page_word_state(load_acquire(&p->word)) != PAGE_FILLING)
			seen_add(w, load_relaxed(&p->seen_by));
	}
	lock_release(&o->lock);
}

static bool
may_see(const struct mapper_walk *w, const struct vm_mapping *m)
{
	if (likely(w->seen_by_any))
		return true;
	for (unsigned i = 0; i < w->seen_count; i++)
		if (w->seen_by[i] == m->number)
			return true;
	return false;
}

static void
take_step(struct mapper_walk *w)
{
	struct vm_object *o = w->object;
	struct vm_mapping *m;

	w->count = w->at = 0;
	lock_acquire(&o->lock);
	for (m = o->mappings; m && w->count < MAPPER_STEP; m = m->next) {
		if (m->id < w->next_id)
			continue;
		w->next_id = m->id + 1;
		/* The first: all its pages have been given back, and its last reference goes soon.
		 */
		if (m->first >= m->end || m->end <= w->low || m->first >= w->high || !may_see(w, m))
			continue;
		if (unlikely(load_acquire(&m->task->is_unborn)))
			continue;
		w->taken[w->count++] = (struct mapper){ .task = task_get(m->task),
			.is_read_only = m->is_read_only,
			.base = m->base,
			.low = max_u64(m->first, w->low),
			.high = min_u64(m->end, w->high) };
	}
	w->more = m != NULL;
	lock_release(&o->lock);
}

const struct mapper *
mapper_walk_next(struct mapper_walk *w)
{
	locks_assert_none();
	if (w->at < w->count)
		task_put(w->taken[w->at++].task);
	if (w->at == w->count && w->more)
		take_step(w);
	return w->at < w->count ? &w->taken[w->at] : NULL;
}

void
mapper_walk_end(struct mapper_walk *w)
{
	locks_assert_none();
	while (w->at < w->count)
		task_put(w->taken[w->at++].task);
	w->more = false;
}
