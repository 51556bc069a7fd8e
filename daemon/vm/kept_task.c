/* SPDX-License-Identifier: MIT
 *
 * Records of clients. Runs on: jobs (create), the main thread (open), any thread that changes a
 * map. M held; never blocks.
 */
#include "vm/kept_task.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arena.h"
#include "daemon.h"
#include "own.h"

/* Changes of a map are begun while it has as many entries as it may, and clip two. */
static uint32_t
room_of(const struct daemon *d)
{
	return 2 * (uint32_t)param(d, max_client_regions) + 16;
}

static struct arena_shape
shape_of(const struct daemon *d)
{
	return (struct arena_shape){
		.name = "record",
		.version = 5,
		.row_bytes = sizeof(struct kept_entry),
		.bytes = sizeof(struct task_record) + 2 * room_of(d) * sizeof(struct kept_entry),
	};
}

static struct kept_entry *
half_of(const struct task_record *r, uint64_t times)
{
	struct kept_entry *first = (struct kept_entry *)(uintptr_t)(r + 1);

	return first + (times & 1) * r->room;
}

void
task_record_list(const struct daemon *d)
{
	struct arena_shape shape = shape_of(d);

	arena_list_add(&shape);
}

int
task_record_create(struct task *task, bool is_control, int *ret_fd)
{
	struct daemon *d = task->daemon;
	struct arena_shape shape = shape_of(d);
	int fd = arena_make(&shape);
	struct task_record *r;

	CHECK(!task->map.record);
	locks_assert_none();
	if (fd < 0)
		return fd;
	r = arena_map(fd, &shape);
	if (!r) {
		close(fd);
		return -ENOMEM;
	}
	own_area_shared(OWN_RECORD, r, shape.bytes);
	r->id = task->id;
	r->pid = (uint32_t)task->pid;
	r->uid = task->uid;
	r->is_control = is_control;
	r->room = room_of(d);
	snprintf(r->name, sizeof(r->name), "%s", task->name);
	lock_acquire(&task->map.lock);
	task->map.record = r;
	/* A forked child has something already. */
	if (task->map.count > 0)
		task_record_map_locked(&task->map);
	lock_release(&task->map.lock);
	task_record_group(task);
	*ret_fd = fd;
	return 0;
}

void
task_record_group(const struct task *task)
{
	const struct client_group *group = load_acquire(&task->bill.group);

	if (unlikely(task->map.record != NULL) && group)
		store_release(&task->map.record->group, group->id);
}

struct task_record *
task_record_open(struct daemon *d, int fd)
{
	struct arena_shape shape = shape_of(d);
	struct task_record *r = arena_check(fd, &shape) == 0 ? arena_map(fd, &shape) : NULL;

	CHECK(fd >= 0);
	if (!r)
		return NULL;
	own_area_shared(OWN_RECORD, r, shape.bytes);
	close(fd);
	return r;
}

bool
task_record_is_possible(const struct daemon *d, const struct task_record *record)
{
	uint64_t map = load_acquire(&((struct task_record *)(uintptr_t)record)->map);

	return record->room == room_of(d) && (uint32_t)map <= record->room;
}

void
task_record_forsake(struct task *task, const char *why)
{
	struct task_record *record = task->map.record;

	CHECK_OBJ(task, TASK_MAGIC);
	if (!record || !load_acquire(&record->is_attached))
		return;
	log_error_limited("session %llu (%s, process %d): its books cannot be right after a "
			  "takeover, so it is ended rather than served wrong bytes: %s",
	    (unsigned long long)task->id, task->name, (int)task->pid, why);
	if (task->pidfd >= 0)
		(void)syscall(SYS_pidfd_send_signal, task->pidfd, SIGKILL, NULL, 0);
	store_release(&record->is_attached, 0);
}

void
task_record_close(struct daemon *d, struct task_record *record)
{
	struct arena_shape shape = shape_of(d);

	if (!record)
		return;
	own_area_forget(record);
	arena_unmap(record, &shape);
}

const struct kept_entry *
task_record_entries(const struct task_record *record, uint32_t *ret_count)
{
	uint64_t map = load_acquire(&((struct task_record *)(uintptr_t)record)->map);

	*ret_count = (uint32_t)map;
	CHECK(*ret_count <= record->room);
	return half_of(record, map >> 32);
}

void
task_record_map_locked(struct vm_map *m)
{
	struct task_record *r = m->record;
	uint64_t times = (load_relaxed(&r->map) >> 32) + 1;
	struct kept_entry *to = half_of(r, times);

	lock_assert_held(&m->lock);
	CHECK(m->count <= r->room);
	for (uint32_t i = 0; i < m->count; i++) {
		const struct vm_entry *e = &m->entries[i];

		to[i] = (struct kept_entry){
			.start = e->start,
			.end = e->end,
			.object = e->mapping->object->id,
			.offset = e->offset,
			.behavior = e->behavior,
			.inheritance = e->inheritance,
			.protection = e->protection,
			.max_protection = e->max_protection,
			.tag = e->tag,
			.mapping = (uint32_t)(e->mapping->id << 1) |
				   (e->mapping->is_read_only ? KEPT_READ_ONLY : 0),
			.user_wired_count = e->user_wired_count,
		};
	}
	r->counted[times & 1] = m->counted;
	store_release(&r->map, times << 32 | m->count);
}

uint64_t
task_record_counted(const struct task_record *record)
{
	uint64_t map = load_acquire(&((struct task_record *)(uintptr_t)record)->map);

	CHECK((uint32_t)map <= record->room);
	return record->counted[map >> 32 & 1];
}

bool
task_record_is_counted(const struct task_record *record)
{
	return task_record_counted(record) ==
	       load_relaxed(&((struct task_record *)(uintptr_t)record)->begun);
}

void
task_record_count_locked(struct vm_map *m)
{
	lock_assert_held(&m->lock);
	if (unlikely(m->record != NULL))
		m->counted = load_relaxed(&m->record->begun);
}

uint32_t
task_record_purgeable(struct task_record *record, uint32_t before, bool is_lost)
{
	if (likely(!record))
		return before;
	if (load_acquire(&record->purgeable_by) != load_relaxed(&record->begun)) {
		store_release(&record->purgeable_by, 0);
		store_relaxed(&record->purgeable_before, before);
		store_release(&record->purgeable_by, load_relaxed(&record->begun));
	} else if (is_lost) {
		store_relaxed(&record->purgeable_before, before);
	}
	return load_relaxed(&record->purgeable_before);
}

void
task_record_limit(struct task_record *record, unsigned entry, const struct ledger_limit_wish *wish)
{
	struct kept_ledger_limit *l;

	if (likely(!record))
		return;
	CHECK(entry < ARRAY_LEN(record->ledger_limits));
	l = &record->ledger_limits[entry];
	/* Between two of these a kill leaves none; the tool that asked has no answer then. */
	store_release(&l->most, 0);
	store_relaxed(&l->warn, wish->warn);
	store_relaxed(&l->refill_ns, wish->refill_ns);
	store_release(&l->most, wish->most);
}

void
task_record_limits_apply(struct task *task, struct task_record *record)
{
	for (unsigned i = 0; i < ARRAY_LEN(record->ledger_limits); i++) {
		struct kept_ledger_limit *l = &record->ledger_limits[i];
		struct ledger_limit_wish wish = { .most = load_acquire(&l->most),
			.warn = load_relaxed(&l->warn),
			.refill_ns = load_relaxed(&l->refill_ns) };

		if (wish.most == 0)
			continue;
		(void)ledger_limit_set(&task->bill.limits[i], &wish);
		store_release(&task->bill.has_limits, true);
	}
}
