/* SPDX-License-Identifier: MIT
 *
 * The pool of faults, and lists of its places. Runs on: any thread. Allocates only at start.
 */
#include "memorystatus/park.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon.h"
#include "vm/task.h"

int
park_create(struct daemon *d)
{
	struct park *k = &d->park;
	uint32_t room = (uint32_t)param(d, parked_faults);

	CHECK(room > 0 && room < UINT32_MAX && !k->pool);
	k->room = room;
	k->pool = calloc(room + 1, sizeof(*k->pool));
	if (!k->pool)
		return -ENOMEM;
	for (uint32_t i = 1; i <= room; i++)
		k->pool[i].next = i < room ? i + 1 : PARK_NONE;
	k->free_head = 1;
	lock_init(&k->lock, RANK_PARK);
	return 0;
}

void
park_destroy(struct daemon *d)
{
	CHECK(d->park.pool != NULL);
	free(d->park.pool);
	d->park.pool = NULL;
	lock_fini(&d->park.lock);
}

/* The list's faults are counted with those that wait, or with one kind of those that were
 * refused. */
static atomic_uint *
count_of(struct park *k, const struct park_list *l)
{
	return l == &k->refused     ? &k->refused_count
	       : l == &k->tableless ? &k->tableless_count
	       : l == &k->placeless ? &k->placeless_count
	       : l == &k->storing   ? &k->storing_count
				    : &k->count;
}

/* Whether the list's faults wait for frames. Those of others wait for their clients' own pages to
 * leave, or were refused. */
static bool
is_for_frames(const struct park *k, const struct park_list *l)
{
	return l >= k->waiting && l < k->waiting + FRAME_USE_COUNT;
}

/* Whether threads wait for the list's faults: those of others have got SIGBUS. */
static bool
is_waiting(struct park *k, const struct park_list *l)
{
	return count_of(k, l) == &k->count || l == &k->storing;
}

static void
append_locked(struct park *k, struct park_list *l, uint32_t i)
{
	lock_assert_held(&k->lock);
	CHECK(i != PARK_NONE && i <= k->room);
	CHECK((l->head == PARK_NONE) == (l->tail == PARK_NONE));
	k->pool[i].next = PARK_NONE;
	if (l->tail == PARK_NONE)
		l->head = i;
	else
		k->pool[l->tail].next = i;
	l->tail = i;
}

void
park_unlink_locked(struct park *k, struct park_list *l, uint32_t i, uint32_t previous)
{
	atomic_uint *count = count_of(k, l);

	lock_assert_held(&k->lock);
	CHECK((previous == PARK_NONE ? l->head : k->pool[previous].next) == i);
	CHECK(load_relaxed(count) > 0);
	if (previous == PARK_NONE)
		l->head = k->pool[i].next;
	else
		k->pool[previous].next = k->pool[i].next;
	if (l->tail == i)
		l->tail = previous;
	CHECK(!is_waiting(k, l) || k->pool[i].fault.task->waits.count > 0);
	if (is_waiting(k, l))
		k->pool[i].fault.task->waits.count--;
	if (is_for_frames(k, l))
		fetch_sub_relaxed(&k->frame_count, 1);
	if (k->pool[i].is_patient)
		fetch_sub_relaxed(&k->patient_count, 1);
	store_release(count, load_relaxed(count) - 1);
	k->pool[i].next = k->free_head;
	k->free_head = i;
}

uint32_t
park_keep_locked(struct park *k, struct park_list *l, const struct fault *fault, enum wait_for wait)
{
	atomic_uint *count = count_of(k, l);
	uint32_t i = k->free_head;

	lock_assert_held(&k->lock);
	if (i == PARK_NONE)
		return i;
	CHECK(i <= k->room);
	CHECK_OBJ(fault->task, TASK_MAGIC);
	k->free_head = k->pool[i].next;
	k->pool[i].fault = *fault;
	k->pool[i].wait = wait;
	k->pool[i].ticket = k->next_ticket++;
	task_get(fault->task);
	if (is_waiting(k, l))
		fault->task->waits.count++;
	if (is_for_frames(k, l))
		fetch_add_relaxed(&k->frame_count, 1);
	k->pool[i].is_patient =
	    is_for_frames(k, l) && !load_relaxed(&fault->task->creation.is_fast);
	if (k->pool[i].is_patient)
		fetch_add_relaxed(&k->patient_count, 1);
	append_locked(k, l, i);
	store_release(count, load_relaxed(count) + 1);
	return i;
}
