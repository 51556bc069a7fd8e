/* SPDX-License-Identifier: MIT
 *
 * Faults that were refused. Runs on: fault servers, jobs (forget), the writer (look), any thread
 * that gives memory back. Allocates nothing.
 */
#include "memorystatus/refused.h"

#include "clock.h"
#include "daemon.h"
#include "pagers/returns.h"
#include "vm/task.h"

/* A refused fault that cannot be answered at its turn has its next one after this time, and each
 * time that it cannot after twice as long, in nanoseconds: its client may keep it from being
 * answered for good. */
#define AGAIN_FIRST_NS 10000000u
#define AGAIN_MOST_NS  2000000000u

/* Refused faults that are kept. */
static uint32_t
kept_count(struct park *k)
{
	return load_acquire(&k->refused_count) + load_acquire(&k->tableless_count) +
	       load_acquire(&k->placeless_count);
}

/* Where faults are kept that were refused for that reason. */
static struct park_list *
list_of(struct park *k, enum refusal why)
{
	CHECK(why < REFUSAL_COUNT);
	return why == REFUSED_FRAMES   ? &k->refused
	       : why == REFUSED_TABLES ? &k->tableless
				       : &k->placeless;
}

/* Half of the places are left to faults that wait. Pages whose faults are not kept stay SIGBUS
 * until they are given back. */
void
refused_keep_locked(struct park *k, const struct fault *fault, enum refusal why)
{
	struct fault kept = *fault;

	lock_assert_held(&k->lock);
	if (kept_count(k) >= k->room / 2 || task_is_dead(fault->task))
		return;
	if (fault->is_refused) {
		kept.again_after_ns = fault->again_after_ns == 0 ? AGAIN_FIRST_NS
				      : fault->again_after_ns >= AGAIN_MOST_NS / 2
					  ? AGAIN_MOST_NS
					  : 2 * fault->again_after_ns;
		kept.again_ns = clock_now_ns() + kept.again_after_ns;
	}
	park_keep_locked(k, list_of(k, why), &kept, WAIT_FIRST);
}

void
refused_keep(struct daemon *d, const struct fault *fault, enum refusal why)
{
	/* The cleaner collects tables that nobody uses, and has it answered then. */
	if (why == REFUSED_TABLES && load_relaxed(&d->slots.idle) > 0)
		returns_ring(d);
	lock_acquire(&d->park.lock);
	refused_keep_locked(&d->park, fault, why);
	lock_release(&d->park.lock);
}

/* Takes out one fault of the task's in [start, end). => false: none */
static bool
take_in_range_locked(struct park *k, struct park_list *l, struct task *task, uint64_t start,
    uint64_t end, uint64_t *ret_address)
{
	lock_assert_held(&k->lock);
	for (uint32_t i = l->head, previous = PARK_NONE; i != PARK_NONE;
	     previous = i, i = k->pool[i].next) {
		const struct fault *f = &k->pool[i].fault;

		if (f->task != task || f->address < start || f->address >= end)
			continue;
		*ret_address = f->address;
		park_unlink_locked(k, l, i, previous);
		return true;
	}
	return false;
}

bool
refused_forget(
    struct daemon *d, struct task *task, uint64_t start, uint64_t end, uint64_t *ret_address)
{
	struct park *k = &d->park;
	bool found = false;

	locks_assert_none();
	CHECK(start < end);
	if (kept_count(k) == 0)
		return false;
	lock_acquire(&k->lock);
	for (unsigned why = 0; why < REFUSAL_COUNT && !found; why++)
		found = take_in_range_locked(
		    k, list_of(k, (enum refusal)why), task, start, end, ret_address);
	lock_release(&k->lock);
	if (found)
		task_put(task);
	return found;
}

/* Takes out the list's first fault that a server of the lane may answer: taking its poison away is
 * a call on the client's memory. For one of the tableless, its client must be able to have table
 * memory, too.
 * => false: none */
static bool
take_kept(struct daemon *d, struct park_list *l, unsigned lane, struct fault *ret)
{
	struct park *k = &d->park;
	uint32_t previous = PARK_NONE, i;
	uint64_t now_ns = clock_now_ns();

	CHECK(lane <= SIDE_LANES);
	lock_acquire(&k->lock);
	for (i = l->head; i != PARK_NONE; previous = i, i = k->pool[i].next) {
		const struct task *task = k->pool[i].fault.task;

		/* The placeless are looked at when something has changed for them. */
		if ((k->pool[i].fault.again_ns <= now_ns || l == &k->placeless) &&
		    load_relaxed(&task->lane) == lane &&
		    (l != &k->tableless ||
			share_room(d, task->bill.account, SHARE_TABLES) >= TABLE_BLOCK_BYTES))
			break;
	}
	if (i != PARK_NONE) {
		*ret = k->pool[i].fault;
		park_unlink_locked(k, l, i, previous);
	}
	lock_release(&k->lock);
	return i != PARK_NONE;
}

bool
refused_take(struct daemon *d, unsigned lane, struct fault *ret)
{
	locks_assert_none();
	return take_kept(d, &d->park.refused, lane, ret);
}

bool
refused_take_tableless(struct daemon *d, unsigned lane, struct fault *ret)
{
	locks_assert_none();
	return take_kept(d, &d->park.tableless, lane, ret);
}

bool
refused_take_placeless(struct daemon *d, unsigned lane, struct fault *ret)
{
	locks_assert_none();
	return take_kept(d, &d->park.placeless, lane, ret);
}

bool
refused_have_room(const struct daemon *d)
{
	return !load_relaxed(&d->park.squeezed) &&
	       load_relaxed(&d->frames.free_count) >= load_relaxed(&d->frames.free_min);
}

void
refused_tables_freed(struct daemon *d)
{
	locks_assert_none();
	if (load_acquire(&d->park.tableless_count) == 0)
		return;
	fetch_add_acq_rel(&d->park.tables_freed, 1);
	bells_ring_all(&d->bells);
}

void
refused_places_changed(struct daemon *d)
{
	locks_assert_none();
	if (load_acquire(&d->park.placeless_count) == 0)
		return;
	fetch_add_acq_rel(&d->park.places_changed, 1);
	bells_ring_all(&d->bells);
}

/* Faults that were refused for want of table memory are looked at this often (nanoseconds) at the
 * least: there may be more of it for other reasons than that blocks were given back, such as a
 * parameter that was set, or a fault may have been refused just after it was given back. */
#define TABLES_EVERY_NS 100000000u

void
refused_tableless_look(struct daemon *d)
{
	uint64_t now_ns = clock_now_ns();

	locks_assert_none();
	if (now_ns - d->park.tables_looked_ns < TABLES_EVERY_NS)
		return;
	d->park.tables_looked_ns = now_ns;
	refused_tables_freed(d);
}
