/* SPDX-License-Identifier: MIT
 *
 * What windows show. Runs on: jobs (make); any thread.
 */
#include "vm/window_source.h"

#include <errno.h>
#include <stdlib.h>

#include "vm/copy_link.h"
#include "vm/vm_mapping.h"
#include "vm/window.h"

bool
window_shows(const struct vm_object *copy, uint64_t index, const struct vm_object *source,
    uint64_t source_index)
{
	struct copy_place at = { NULL, 0 };
	bool is_foreign = true;

	copies_lock(copy->daemon);
	if (!copy_page_is_own_locked(copy, index) && copy_link_below_locked(copy, index))
		at = copy_owner_locked(copy, index, &is_foreign);
	copies_unlock(copy->daemon);
	return at.object == source && at.index == source_index && !is_foreign;
}

int
window_make(struct vm_mapping *m, uint64_t first, uint64_t count, struct vm_object *source,
    uint64_t source_first)
{
	struct vm_map *map = &m->task->map;
	struct window *w = calloc(1, sizeof(*w));
	struct vm_mapping *seen = vm_mapping_blank();
	unsigned page_shift = source->daemon->page_shift;
	bool may;

	locks_assert_none();
	CHECK(count > 0 && !source->is_shareable && !m->object->is_shareable);
	if (w)
		w->pages = calloc(count, 1);
	if (!w || !w->pages || !seen) {
		vm_mapping_blank_free(seen);
		if (w)
			free(w->pages);
		free(w);
		return -ENOMEM;
	}
	seen->is_read_only = true;
	lock_acquire(&source->lock);
	CHECK(vm_mapping_place_locked(seen, source, m->task,
	    vm_mapping_address(m, first) - (source_first << page_shift), source_first,
	    source_first + count));
	lock_release(&source->lock);
	w->source = vm_mapping_get(seen);
	w->source_first = source_first;
	w->first = first;
	w->end = first + count;
	lock_acquire(&map->lock);
	may = window_next_locked(m, first, first + count) == first + count;
	if (may) {
		w->next = load_relaxed(&m->windows);
		store_relaxed(&m->windows, w);
	}
	lock_release(&map->lock);
	if (!may) {
		vm_mapping_put(w->source);
		free(w->pages);
		free(w);
		return -EEXIST;
	}
	fetch_add_relaxed(
	    &m->task->window_blocks, (unsigned)(count / window_block(source->daemon) + 2));
	return 0;
}
