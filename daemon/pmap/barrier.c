/* SPDX-License-Identifier: MIT
 *
 * The barrier of a fork. Runs on: jobs (begin), the control loop (end).
 */
#include "pmap/barrier.h"

#include "clock.h"
#include "pmap/uffd.h"

/* What is to be woken. */
struct barrier_threads {
	uint64_t start, end; /* client addresses; 0: none */
};

static struct barrier_threads
end_locked(struct vm_map *m)
{
	struct barrier_threads threads = { 0, 0 };

	lock_assert_held(&m->lock);
	if (m->barrier_met && m->count > 0)
		threads =
		    (struct barrier_threads){ m->entries[0].start, m->entries[m->count - 1].end };
	m->barrier = 0;
	m->barrier_met = false;
	return threads;
}

static void
wake(const struct task *task, struct barrier_threads threads)
{
	/* It costs the same however long the range is. */
	if (threads.end > threads.start && task->uffd >= 0)
		uffd_wake(task->uffd, threads.start, threads.end - threads.start);
}

void
barrier_begin(struct task *task, uint64_t child)
{
	struct vm_map *m = &task->map;

	CHECK_OBJ(task, TASK_MAGIC);
	CHECK(child != 0);
	lock_acquire(&m->lock);
	m->barrier = child;
	m->barrier_since_ns = clock_now_ns();
	lock_release(&m->lock);
}

bool
barrier_end(struct task *task, uint64_t child)
{
	struct vm_map *m = &task->map;
	struct barrier_threads threads = { 0, 0 };
	bool ends;

	CHECK_OBJ(task, TASK_MAGIC);
	lock_acquire(&m->lock);
	ends = m->barrier && (child == 0 || child == m->barrier);
	if (ends)
		threads = end_locked(m);
	lock_release(&m->lock);
	wake(task, threads);
	return ends;
}

uint64_t
barrier_expire(struct task *task, uint64_t allowed_ns)
{
	struct vm_map *m = &task->map;
	struct barrier_threads threads = { 0, 0 };
	uint64_t child = 0;

	CHECK_OBJ(task, TASK_MAGIC);
	lock_acquire(&m->lock);
	if (m->barrier && clock_now_ns() - m->barrier_since_ns > allowed_ns) {
		child = m->barrier;
		threads = end_locked(m);
	}
	lock_release(&m->lock);
	wake(task, threads);
	return child;
}
