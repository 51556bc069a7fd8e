/* SPDX-License-Identifier: MIT
 *
 * Changes of entries. Runs on: jobs.
 */
#include "region/change.h"

#include <errno.h>

#include "vm/vm_map.h"

int
change_entries(struct change *c)
{
	const struct range *range = c->range;
	struct vm_map *m = &range->task->map;
	int error = 0;

	locks_assert_none();
	CHECK(range->address < range->end);
	CHECK(c->apply);
	lock_acquire(&m->lock);
	if (!vm_map_is_covered(m, range->address, range->end))
		error = -EINVAL;
	else if (m->count + vm_map_clips(m, range->address, range->end) >
		 max_u64(m->count, param(m->daemon, max_client_regions)))
		error = -ENOMEM;
	if (!error)
		error = vm_map_reserve(m);
	for (uint32_t i = vm_map_index(m, range->address);
	     !error && c->check && i < m->count && m->entries[i].start < range->end; i++)
		error = c->check(c, &m->entries[i]);
	if (!error && c->agree)
		error = c->agree(c);
	if (!error) {
		vm_map_clip(m, range->address, range->end);
		for (uint32_t i = vm_map_index(m, range->address);
		     i < m->count && m->entries[i].start < range->end; i++)
			c->apply(c, &m->entries[i]);
		vm_map_simplify(m, range->address, range->end);
	}
	lock_release(&m->lock);
	return error == -ENOSPC || error == -EDQUOT ? -ENOMEM : error;
}
