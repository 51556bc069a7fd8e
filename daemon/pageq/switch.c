/* SPDX-License-Identifier: MIT
 *
 * Switching policies: the resident pages are replayed into the policy that comes. Runs on: jobs.
 * Allocates (the policy's memory), with no lock held.
 */
#include "pageq/switch.h"

#include <errno.h>

#include "pageq/pageq_priv.h"
#include "vm/task.h"

/* Whether a switch for the task (NULL: of the daemon's policy) concerns the object's pages. */
static bool
is_concerned(const struct policies *p, const struct task *task, const struct vm_object *o)
{
	return task ? vm_object_policy_task(o) == task
		    : policies_own(p, vm_object_policy_task(o)) == NULL;
}

/* Resident pages enter the policy that is in force now, as if they had just been faulted in. The
 * inactive ones go first and become active, which lets each stay for one more turn at most. */
static void
replay_locked(struct daemon *d, struct task *task)
{
	pageq_assert_held(d);
	for (int pass = 0; pass < 2; pass++) {
		enum page_state want = pass == 0 ? PAGE_INACTIVE : PAGE_ACTIVE;

		for (uint32_t frame = 0; frame < d->frames.count; frame++) {
			struct vm_page *p = frame_row(d, frame);
			struct vm_object *o;

			if (frame_page_state(d, frame) != want)
				continue;
			o = frame_object(d, frame);
			if (!is_concerned(&d->pageq.policies, task, o))
				continue;
			if (pass == 1 && load_acquire(&p->word) & PAGE_REPLAYED) {
				vm_page_flags_clear(p, PAGE_REPLAYED);
				continue;
			}
			page_policy_fault(object_policy(d, o), frame_pol_page(d, o, frame), 0);
			if (pass == 0) {
				/* The second pass leaves it out. */
				vm_page_commit(d, o, frame, PAGE_INACTIVE, PAGE_ACTIVE);
				vm_page_flags_set(p, PAGE_REPLAYED);
			}
		}
	}
}

/* The client's pages leave the policy that has ordered them, its own or the daemon's. */
static void
withdraw_locked(struct daemon *d, struct task *task)
{
	pageq_assert_held(d);
	for (uint32_t frame = 0; frame < d->frames.count; frame++) {
		enum page_state state = frame_page_state(d, frame);
		struct vm_object *o;

		if (state != PAGE_INACTIVE && state != PAGE_ACTIVE && state != PAGE_LAUNDRY &&
		    state != PAGE_CLEANING)
			continue;
		o = frame_object(d, frame);
		if (vm_object_policy_task(o) == task)
			page_policy_forget(object_policy(d, o), frame_pol_page(d, o, frame), true);
	}
}

/* Pages that are on their way out enter the new policy too, because it will be told how they end.
 */
static void
replay_leaving_locked(struct daemon *d, struct task *task)
{
	pageq_assert_held(d);
	for (uint32_t frame = 0; frame < d->frames.count; frame++) {
		enum page_state state = frame_page_state(d, frame);
		struct vm_object *o;

		if (state != PAGE_LAUNDRY && state != PAGE_CLEANING)
			continue;
		o = frame_object(d, frame);
		if (is_concerned(&d->pageq.policies, task, o))
			page_policy_fault(object_policy(d, o), frame_pol_page(d, o, frame), 0);
	}
}

int
policy_switch(struct daemon *d, struct task *task, const char *policy)
{
	struct policies *policies = &d->pageq.policies;
	struct page_policy *made = NULL, *old;
	int error;

	locks_assert_none();
	error = task && policy[0] == '\0' ? 0 : page_policy_create(d, policy, &made);
	if (error)
		return error;
	pageq_lock(d);
	/* The task's end has dropped its policy or will drop it (policies_drop), and no new one. */
	if (task && task_is_dead(task)) {
		pageq_unlock(d);
		page_policy_destroy(made);
		return -ESRCH;
	}
	if (task) {
		CHECK(task->index < d->tasks.room);
		withdraw_locked(d, task);
		old = policies_own(policies, task);
		policies->own_count += (made != NULL) - (old != NULL);
		policies->own[task->index] = made;
	} else {
		old = policies->common;
		policies->common = made;
	}
	replay_locked(d, task);
	replay_leaving_locked(d, task);
	pageq_unlock(d);
	page_policy_destroy(old);
	return 0;
}
