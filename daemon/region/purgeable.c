/* SPDX-License-Identifier: MIT
 *
 * Purgeable memory of a task. Runs on: jobs.
 */
#include "region/purgeable.h"

#include <errno.h>
#include <sys/mman.h>

#include "transit/purge.h"
#include "vm/vm_mapping.h"

/* Objects that are purged before others' jobs pass. */
#define PURGE_OBJECTS 4u

int
region_purgeable(struct task *task, struct stat_shard stats, uint64_t address, const uint32_t *word,
    uint32_t *ret)
{
	struct vm_entry e;
	int error = 0;

	locks_assert_none();
	if ((word && !purgeable_word_is_valid(*word)) || !task_entry_get(task, address, &e))
		return -EINVAL;
	if (e.start > address || !e.mapping->object->is_purgeable)
		error = -EINVAL;
	else if (!word)
		*ret = vm_object_purgeable_get(e.mapping->object);
	/* To let content go is to write. */
	else if (e.mapping->is_read_only || !(e.protection & PROT_WRITE))
		error = -EACCES;
	else
		error =
		    vm_object_purgeable_set(stats, e.mapping->object, *word, task->map.record, ret);
	vm_mapping_put(e.mapping);
	return error;
}

bool
region_purge_all(struct task *task, struct stat_shard stats, uint64_t *cursor)
{
	unsigned count = 0;
	struct vm_entry e;

	locks_assert_none();
	while (count < PURGE_OBJECTS) {
		struct hole hole;
		uint64_t pages;

		if (!task_entry_get(task, *cursor, &e))
			return false;
		if (e.mapping->object->is_purgeable && !e.mapping->is_read_only) {
			(void)vm_object_purge(stats, &hole, e.mapping->object, true, &pages);
			count++;
		}
		*cursor = e.end;
		vm_mapping_put(e.mapping);
	}
	return true;
}
