/* SPDX-License-Identifier: MIT */
#include "region/let_go.h"

#include "pmap/pins.h"
#include "region/piece.h"
#include "transit/purge.h"
#include "vm/copy_link.h"
#include "vm/copy_look.h"
#include "vm/vm_mapping.h"
#include "vm/vm_object.h"

#define COST_LOOK  2u /* of a page, in slots looked at (piece.h) */
#define PINS_PAGES 128u

/* What kind of memory it is. */
static enum release_why
kind_look(const struct vm_entry *e, uint64_t first, uint64_t last)
{
	struct vm_object *o = e->mapping->object;

	if (o->external || copies_follow(o, first, last))
		return RELEASE_WHY_FILE;
	if (o->is_device)
		return RELEASE_WHY_DEVICE;
	if (o->is_shareable)
		return RELEASE_WHY_SHAREABLE;
	if (e->wired_count > 0)
		return RELEASE_WHY_WIRED;
	if (o->is_purgeable && vm_object_purgeable_get(o) != PURGEABLE_NONVOLATILE)
		return RELEASE_WHY_VOLATILE;
	return RELEASE_WHY_NONE;
}

/* Whether what the page reads as is below it, and has to become its own. */
static bool
page_lacks(const struct vm_object *o, uint64_t index)
{
	bool lacks;

	copies_lock(o->daemon);
	lacks = !copy_page_is_own_locked(o, index);
	copies_unlock(o->daemon);
	return lacks;
}

/* Looks at the pages: counts those that are away, and looks for pins of the others, which may pass
 * and may come: it is those that stay that it finds. => the first page that is pinned; last: none
 */
static uint64_t
pages_look(struct vm_object *o, uint64_t first, uint64_t last, uint64_t *away)
{
	uint64_t indexes[PINS_PAGES], i = first;
	bool pinned[PINS_PAGES], is_copy = vm_object_is_linked(o, COPY_BELOW);
	unsigned n = 0;

	locks_assert_none();
	for (;; i++) {
		uint64_t slot;

		i = is_copy ? i : vm_object_next_live(o, i, last);
		if (n == PINS_PAGES || (i >= last && n > 0)) {
			(void)pins_find(o->daemon, o, indexes, n, pinned);
			for (unsigned k = 0; k < n; k++)
				if (pinned[k])
					return indexes[k];
			n = 0;
		}
		if (i >= last)
			return last;
		slot = load_acquire(vm_object_slot(o, i));
		if (slot_kind(slot) == SLOT_RESIDENT)
			indexes[n++] = i;
		else if (slot_kind(slot) == SLOT_STORED || (is_copy && page_lacks(o, i)))
			++*away;
	}
}

bool
let_go_look(struct range *range, struct pager_wire_release_refusal *ret)
{
	struct daemon *d = range->task->daemon;
	struct piece p = piece_begin(range, COST_LOOK);
	struct part part;

	locks_assert_none();
	if (range->at == range->address && range_has_windows(range))
		ret->why = RELEASE_WHY_WINDOW;
	while (ret->why == RELEASE_WHY_NONE && piece_next(&p, &part)) {
		struct vm_object *o = part.entry.mapping->object;
		uint64_t away = 0, at = part.first;

		ret->why = kind_look(&part.entry, part.first, part.last);
		if (ret->why == RELEASE_WHY_NONE)
			at = pages_look(o, part.first, part.last, &away);
		if (ret->why == RELEASE_WHY_NONE && at < part.last)
			ret->why = RELEASE_WHY_PINNED;
		if (ret->why != RELEASE_WHY_NONE)
			ret->address =
			    part.entry.start + ((at << d->page_shift) - part.entry.offset);
		ret->away += away << d->page_shift;
		vm_mapping_put(part.entry.mapping);
	}
	return ret->why == RELEASE_WHY_NONE;
}
