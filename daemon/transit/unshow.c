/* SPDX-License-Identifier: MIT
 *
 * What windows show is taken out of page tables. Runs on: jobs.
 */
#include "transit/unshow.h"

#include "pmap/pmap.h"
#include "transit/release.h"
#include "vm/vm_mapping.h"
#include "vm/window.h"

/* The largest page. */
#define PAGE_MOST 65536u

/* The next mapping of the object at or above *id that has windows, with a reference. One that ends
 * shows nothing any more: its entries have gone. => NULL: none */
static struct vm_mapping *
windowed_next(struct vm_object *o, uint64_t *id)
{
	struct vm_mapping *m;

	lock_acquire(&o->lock);
	for (m = o->mappings; m && (m->id < *id || !vm_mapping_has_windows(m) ||
				       !reference_get_try(&m->references));)
		m = m->next;
	if (m)
		*id = m->id + 1;
	lock_release(&o->lock);
	return m;
}

/* The page that is seen at the place of the first page from *index on that is not open, with a
 * reference on its object. => NULL: none below end */
static struct vm_object *
source_next(struct vm_mapping *m, uint64_t *index, uint64_t end, uint64_t *ret_index)
{
	struct vm_object *source = NULL;

	lock_acquire(&m->task->map.lock);
	*index = window_next_locked(m, *index, end);
	if (*index < end) {
		const struct window *w = window_at_locked(m, *index);

		source = w->source->object;
		vm_object_get(source);
		*ret_index = w->source_first + (*index - w->first);
		++*index;
	}
	lock_release(&m->task->map.lock);
	return source;
}

static void
page_unshow(struct vm_object *source, uint64_t index, void *page)
{
	struct daemon *d = source->daemon;
	struct vm_page *p = NULL;
	uint64_t slot;

	lock_acquire(&source->lock);
	while (slot_kind(slot = load_relaxed(vm_object_slot(source, index))) == SLOT_RESIDENT) {
		p = &d->frames.pages[slot_frame(slot)];
		if (vm_page_busy_only(p))
			break;
		vm_object_wait_unbusy(source, p);
		p = NULL;
	}
	lock_release(&source->lock);
	if (!p || slot_kind(slot) != SLOT_RESIDENT)
		return;
	(void)pmap_hide(source, index, p, page);
	vm_object_unbusy(source, index, p);
}

void
windows_unshow(struct vm_object *o, uint64_t first, uint64_t end)
{
	char page[PAGE_MOST];
	struct vm_mapping *m;
	uint64_t id = 0;

	locks_assert_none();
	CHECK(o->daemon->page_bytes <= sizeof(page));
	while ((m = windowed_next(o, &id)) != NULL) {
		struct vm_object *source;
		uint64_t at = first, index;

		while ((source = source_next(m, &at, end, &index)) != NULL) {
			page_unshow(source, index, page);
			vm_object_put(source);
		}
		vm_mapping_put(m);
	}
}
