/* SPDX-License-Identifier: MIT
 *
 * Ranges of a task's map. Runs on: control loop and jobs.
 */
#include "region/range.h"

#include <errno.h>

#include "vm/vm_map.h"
#include "vm/vm_mapping.h"
#include "vm/window.h"

int
range_init(struct range *range, struct task *task, uint64_t address, uint64_t size)
{
	uint64_t page = task->daemon->page_bytes;

	CHECK_OBJ(task, TASK_MAGIC);
	if (size == 0 || (address | size) % page || address >= VM_ADDRESS_MAX ||
	    size > VM_ADDRESS_MAX || address + size > VM_ADDRESS_MAX || address == 0)
		return -EINVAL;
	*range = (struct range){
		.task = task, .address = address, .end = address + size, .at = address
	};
	return 0;
}

int
range_is_covered(struct range *range)
{
	struct vm_map *m = &range->task->map;
	bool covered;

	locks_assert_none();
	CHECK(range->address < range->end);
	lock_acquire(&m->lock);
	covered = vm_map_is_covered(m, range->address, range->end);
	lock_release(&m->lock);
	return covered ? 0 : -EINVAL;
}

int
range_room_locked(const struct range *range)
{
	struct vm_map *m = &range->task->map;
	const struct vm_entry *e = vm_map_lookup_from(m, range->address);

	lock_assert_held(&m->lock);
	if (e && e->start < range->end)
		return -EEXIST;
	if (m->virtual_bytes + (range->end - range->address) >
		param(m->daemon, max_client_virtual_bytes) ||
	    m->count >= param(m->daemon, max_client_regions))
		return -ENOMEM;
	return vm_map_reserve(m);
}

bool
task_entry_get(struct task *task, uint64_t address, struct vm_entry *ret)
{
	struct vm_entry *e;

	locks_assert_none();
	CHECK_OBJ(task, TASK_MAGIC);
	lock_acquire(&task->map.lock);
	e = vm_map_lookup_from(&task->map, address);
	if (e) {
		*ret = *e;
		vm_mapping_get(e->mapping);
	}
	lock_release(&task->map.lock);
	return e != NULL;
}

bool
range_has_windows(const struct range *range)
{
	struct vm_map *map = &range->task->map;
	unsigned page_shift = range->task->daemon->page_shift;
	bool has = false;

	lock_acquire(&map->lock);
	for (uint32_t i = vm_map_index(map, range->address);
	     !has && i < map->count && map->entries[i].start < range->end; i++) {
		const struct vm_entry *e = &map->entries[i];
		uint64_t from = max_u64(e->start, range->address), to = min_u64(e->end, range->end);
		uint64_t first = (e->offset + (from - e->start)) >> page_shift,
			 end = first + ((to - from) >> page_shift);

		has = window_next_locked(e->mapping, first, end) < end;
	}
	lock_release(&map->lock);
	return has;
}
