/* SPDX-License-Identifier: MIT
 *
 * A daemon's tables without its threads: frames, slots, statistics, one task and one object. For
 * tests that link the daemon's library.
 */
#ifndef C_UNIT_H
#define C_UNIT_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "control/jobs.h"
#include "daemon.h"
#include "own.h"
#include "pageq/pageq.h"
#include "vm/named_entry.h"
#include "vm/port.h"
#include "vm/task.h"
#include "vm/vm_map.h"
#include "vm/vm_mapping.h"
#include "vm/vm_object.h"
#include "vm/vm_page.h"
#include "watch/watcher.h"

struct unit {
	struct daemon *daemon;
	struct task *task;
	struct vm_object *object;
	struct vm_mapping *mapping; /* of all of it by the task, at UNIT_BASE */
};

enum { UNIT_FRAMES = 1024, UNIT_PAGES = 4096 };
#define UNIT_BASE 0x700000000000ull
/* A fill for the unit's task, at its mapping. */
#define UNIT_FILL(unit)                                                                            \
	{                                                                                          \
		.task = (unit)->task, .base = UNIT_BASE                                            \
	}

/* A task of this process and of that user, with a reference. */
static inline struct task *
unit_task_of(struct daemon *d, uid_t uid)
{
	struct share_account *account = share_account_get(d, uid, true);
	struct task *task;

	assert_non_null(account);
	assert_int_equal(share_take(d, account, SHARE_SESSIONS, 1), 0);
	assert_int_equal(share_take(d, account, SHARE_DESCRIPTORS, SESSION_DESCRIPTORS), 0);
	task = task_create(d, &(struct task_birth){ .id = 1,
				  .pid = getpid(),
				  .uid = uid,
				  .pidfd = -1,
				  .is_control = true,
				  .account = account,
				  .name = "unit" });
	assert_non_null(task);
	share_account_put(d, account);
	return task;
}

static inline struct task *
unit_task(struct daemon *d)
{
	return unit_task_of(d, getuid());
}

/* servers: how many fault servers of the common lane the tables have room for. */
static inline void
unit_start_servers(struct unit *u, unsigned servers)
{
	struct daemon *d = calloc(1, sizeof(*d));

	assert_non_null(d);
	d->loop_thread = pthread_self();
	params_init(&d->params);
	store_relaxed(&d->params.max_virtual_bytes, 1ull << 30);
	d->page_bytes = d->hw_bytes = 4096;
	d->page_shift = 12;
	d->cpus.count = d->server_count = servers;
	d->worker_count = 1;
	d->options.page_bytes = 4096;
	d->options.memory_bytes = UNIT_FRAMES * 4096ull;
	d->options.policy = (char *)(uintptr_t) "mach2q";
	assert_int_equal(stats_create(&d->stats, shard_count(d)), 0);
	assert_int_equal(bells_create(&d->bells, seat_count(d), d->server_count), 0);
	assert_int_equal(watch_create(d), 0);
	assert_int_equal(task_table_create(d), 0);
	assert_int_equal(object_table_create(d), 0);
	named_table_create(d);
	ports_create(d);
	assert_int_equal(slots_create(d), 0);
	assert_int_equal(frames_create(d, 4 * (256u << 10) / 4096), 0);
	pageq_init(&d->pageq);
	u->daemon = d;
	u->task = unit_task(d);
	assert_int_equal(vm_object_create(d, u->task, UNIT_PAGES, OBJECT_CHUNK, &u->object), 0);
	assert_int_equal(
	    vm_mapping_create(u->object, u->task, UNIT_BASE, 0, UNIT_PAGES, &u->mapping), 0);
}

static inline void
unit_start(struct unit *u)
{
	unit_start_servers(u, 1);
}

static inline void
unit_stop(struct unit *u)
{
	struct daemon *d = u->daemon;

	vm_mapping_put(u->mapping);
	vm_object_put(u->object);
	task_put(u->task);
	task_table_destroy(d);
	pageq_fini(&d->pageq);
	watch_destroy(d);
	frames_destroy(d);
	slots_destroy(d);
	ports_destroy(d);
	named_table_destroy(d);
	object_table_destroy(d);
	bells_destroy(&d->bells);
	stats_destroy(&d->stats);
	free(d);
	/* What is counted as taken is counted as given back. */
	assert_int_equal(own_count(OWN_MAPPING), 0);
	assert_int_equal(own_count(OWN_OBJECT), 0);
	assert_int_equal(own_count(OWN_NAMED_ENTRY), 0);
	assert_int_equal(own_count(OWN_TASK), 0);
	assert_int_equal(own_count(OWN_MAP), 0);
}

static inline void
unit_job_finished(void *context)
{
	(void)context;
}

/* With the jobs threads. */
static inline void
unit_jobs_start(struct unit *u)
{
	unit_start(u);
	assert_int_equal(jobs_start(u->daemon, unit_job_finished, NULL), 0);
}

/* Runs the jobs that have been submitted to their end, and ends the threads. */
static inline void
unit_jobs_stop(struct unit *u)
{
	duties_stop(u->daemon);
	jobs_stop(u->daemon);
}

static inline long long
unit_level(struct unit *u, enum stat_index index)
{
	return load_relaxed(&u->daemon->stats.levels[index]);
}

/* An entry comes into a client's map, and the first one goes. */
static inline void
unit_map(struct task *task, const struct vm_entry *entry)
{
	lock_acquire(&task->map.lock);
	assert_int_equal(vm_map_reserve(&task->map), 0);
	vm_map_insert(&task->map, entry);
	lock_release(&task->map.lock);
}

static inline struct vm_entry
unit_unmap(struct task *task)
{
	struct vm_entry entry;

	lock_acquire(&task->map.lock);
	entry = vm_map_remove_at(&task->map, 0);
	lock_release(&task->map.lock);
	return entry;
}

#endif
