/* SPDX-License-Identifier: MIT
 *
 * Copies of a client's map and of its process's mappings. Runs on: jobs.
 */
#include "audit/client.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon.h"
#include "vm/task.h"
#include "vm/vm_map.h"
#include "vm/vm_mapping.h"

/* Whether the entry lies in its mapping, and the mapping is of this task. */
static bool
entry_is_placed(const struct task *task, const struct vm_entry *e)
{
	const struct vm_mapping *m = e->mapping;
	unsigned shift = task->daemon->page_shift;
	uint64_t first = e->offset >> shift, end = first + ((e->end - e->start) >> shift);

	CHECK_OBJ(m, VM_MAPPING_MAGIC);
	return m->task == task && first >= m->first && end <= m->end &&
	       e->start == m->base + e->offset;
}

/* => false: there is room for fewer entries than the map has */
static bool
entries_copy(struct client *c, size_t room)
{
	struct vm_map *map = &c->task->map;
	bool fits;

	lock_acquire(&map->lock);
	fits = map->count <= room;
	c->version = map->version;
	c->entry_count = map->count;
	for (uint32_t i = 0; fits && i < map->count; i++) {
		const struct vm_entry *e = &map->entries[i];

		c->entries[i] = (struct client_entry){ .start = e->start,
			.end = e->end,
			.base = e->start - e->offset,
			.is_device = e->mapping->object->is_device,
			.is_foreign = e->mapping->object->backing.is_foreign,
			.mapping = vm_mapping_get(e->mapping) };
		c->misplaced += !entry_is_placed(c->task, e);
	}
	lock_release(&map->lock);
	return fits;
}

static bool
mapping_is_listed(const struct vm_mapping *m)
{
	struct vm_object *o = m->object;
	const struct vm_mapping *at;

	lock_acquire(&o->lock);
	for (at = o->mappings; at && at != m; at = at->next)
		continue;
	lock_release(&o->lock);
	return at != NULL;
}

static int
inode_compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

/* Names the memfd of each entry. => 0 or -ENOMEM */
static int
inodes_find(struct client *c)
{
	const struct vm_mapping *before = NULL;
	struct stat st = { 0 };
	size_t kept = 0;

	if (c->entry_count == 0)
		return 0;
	c->inodes = malloc(c->entry_count * sizeof(c->inodes[0]));
	if (!c->inodes)
		return -ENOMEM;
	for (size_t i = 0; i < c->entry_count; i++) {
		const struct vm_mapping *m = c->entries[i].mapping;

		if (m != before) {
			c->misplaced += !mapping_is_listed(m);
			if (c->entries[i].is_foreign)
				continue;
			fstat(m->object->backing.memfd, &st);
			c->inodes[c->inode_count++] = st.st_ino;
		}
		before = m;
		c->entries[i].inode = st.st_ino;
		c->device = st.st_dev;
	}
	qsort(c->inodes, c->inode_count, sizeof(c->inodes[0]), inode_compare);
	for (size_t i = 0; i < c->inode_count; i++)
		if (kept == 0 || c->inodes[i] != c->inodes[kept - 1])
			c->inodes[kept++] = c->inodes[i];
	c->inode_count = kept;
	return 0;
}

int
client_begin(struct client *c, struct task *task)
{
	size_t room = 0;

	CHECK_OBJ(task, TASK_MAGIC);
	locks_assert_none();
	*c = (struct client){ .task = task };
	/* With M dropped, because memory may have to be waited for. */
	while (!entries_copy(c, room)) {
		struct client_entry *more;

		room = c->entry_count + c->entry_count / 4;
		c->entry_count = 0;
		more = realloc(c->entries, room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		c->entries = more;
	}
	return inodes_find(c);
}

void
client_end(struct client *c)
{
	locks_assert_none();
	for (size_t i = 0; i < c->entry_count; i++)
		vm_mapping_put(c->entries[i].mapping);
	free(c->entries);
	free(c->places);
	free(c->inodes);
	*c = (struct client){ 0 };
}

static int
place_add(void *context, const struct place *place)
{
	struct client *c = context;

	if (place->device != c->device || !place->is_shared)
		return 0;
	if (c->place_count == c->place_room) {
		size_t room = c->place_room ? 2 * c->place_room : 64;
		struct place *more = realloc(c->places, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		c->places = more;
		c->place_room = room;
	}
	/* A process that changes its mappings meanwhile may show one twice. */
	if (c->place_count > 0 && place->start < c->places[c->place_count - 1].end)
		return 0;
	c->places[c->place_count++] = *place;
	return 0;
}

int
client_places_read(struct client *c)
{
	c->place_count = 0;
	return places_read(c->task, place_add, c);
}

bool
client_is_still(struct client *c)
{
	bool still;

	lock_acquire(&c->task->map.lock);
	still = c->task->map.version == c->version;
	lock_release(&c->task->map.lock);
	return still && !task_is_dead(c->task);
}

bool
client_place_fits(const struct client *c, const struct client_entry *e, const struct place *p)
{
	return p->device == c->device && p->inode == e->inode && p->is_shared &&
	       p->start - p->offset == e->base;
}

bool
client_place_is_own(const struct client *c, const struct place *p)
{
	size_t low = 0, high = c->inode_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (c->inodes[middle] < p->inode)
			low = middle + 1;
		else
			high = middle;
	}
	return p->device == c->device && low < c->inode_count && c->inodes[low] == p->inode;
}

const struct place *
client_place_from(const struct client *c, uint64_t address)
{
	size_t low = 0, high = c->place_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (c->places[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return &c->places[low];
}

const struct client_entry *
client_entry_from(const struct client *c, uint64_t address)
{
	size_t low = 0, high = c->entry_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (c->entries[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return &c->entries[low];
}
