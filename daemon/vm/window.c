/* SPDX-License-Identifier: MIT
 *
 * Windows: the books. Runs on: any thread.
 */
#include "vm/window.h"

/* Under M that does not change. */
static struct window *
first_of(const struct vm_mapping *m)
{
	return load_relaxed(&((struct vm_mapping *)(uintptr_t)m)->windows);
}

struct window *
window_at_locked(const struct vm_mapping *m, uint64_t index)
{
	struct window *w = first_of(m);

	lock_assert_held(&m->task->map.lock);
	while (
	    w && (index < w->first || index >= w->end || w->pages[index - w->first] == WINDOW_OPEN))
		w = w->next;
	return w;
}

uint64_t
window_next_locked(const struct vm_mapping *m, uint64_t index, uint64_t end)
{
	lock_assert_held(&m->task->map.lock);
	for (const struct window *w = first_of(m); w; w = w->next)
		for (uint64_t i = max_u64(index, w->first); i < end && i < w->end; i++)
			if (w->pages[i - w->first] != WINDOW_OPEN)
				end = i;
	return end;
}

void
window_block_locked(const struct window *w, uint64_t index, uint64_t low, uint64_t high,
    uint64_t *ret_first, uint64_t *ret_end)
{
	uint64_t block = window_block(w->source->object->daemon);
	uint64_t first = round_down_u64(index, block), end = first + block;

	lock_assert_held(&w->source->task->map.lock);
	first = max_u64(first, max_u64(w->first, low));
	end = min_u64(end, min_u64(w->end, high));
	CHECK(first <= index && index < end && w->pages[index - w->first] != WINDOW_OPEN);
	*ret_first = *ret_end = index;
	while (*ret_first > first && w->pages[*ret_first - 1 - w->first] != WINDOW_OPEN)
		--*ret_first;
	while (*ret_end < end && w->pages[*ret_end - w->first] != WINDOW_OPEN)
		++*ret_end;
}

void
window_set_locked(struct window *w, uint64_t first, uint64_t end, enum window_page to)
{
	lock_assert_held(&w->source->task->map.lock);
	CHECK(w->first <= first && first < end && end <= w->end);
	for (uint64_t i = first; i < end; i++)
		if (w->pages[i - w->first] != WINDOW_OPEN)
			w->pages[i - w->first] = (uint8_t)to;
}

void
window_cut_locked(struct vm_mapping *m, uint64_t first, uint64_t end)
{
	lock_assert_held(&m->task->map.lock);
	for (struct window *w = first_of(m); w; w = w->next) {
		uint64_t from = max_u64(first, w->first), to = min_u64(end, w->end);

		if (from < to)
			window_set_locked(w, from, to, WINDOW_OPEN);
	}
}
