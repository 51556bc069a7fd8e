/* SPDX-License-Identifier: MIT
 *
 * Policies change while pages are under way: what is resident is replayed into the one that comes.
 * Runs on: jobs, and the control loop at a task's end.
 */
#include <errno.h>

#include "pageq/pageq.h"
#include "pageq/pageq_priv.h"

/* What is resident leaves its policy and enters the one that is in force now, as if just faulted
 * in: inactive pages first, and active again, which costs each at most one more turn. `s` NULL:
 * pages of clients without a policy of their own. */
static void
replay_locked(struct daemon *d, struct task *task)
{
	for (int pass = 0; pass < 2; pass++) {
		enum page_state want = pass == 0 ? PAGE_INACTIVE : PAGE_ACTIVE;

		for (uint32_t frame = 0; frame < d->frames.count; frame++) {
			struct vm_page *p = page_of(d, frame);
			struct vm_object *o;

			if (state_of(d, frame) != want)
				continue;
			o = d->objects.objects[p->object];
			if (task ? o->owner != task : pageq_own_policy(d, o->owner) != NULL)
				continue;
			if (pass == 1 && load_acquire(&p->word) & PAGE_REPLAYED) {
				vm_page_flags_clear(p, PAGE_REPLAYED);
				continue;
			}
			page_policy_fault(policy_of(d, o), pol_of(d, o, frame), 0);
			if (pass == 0) {
				/* Not to be seen again in the second pass. */
				vm_page_commit(d, o, frame, PAGE_INACTIVE, PAGE_ACTIVE);
				vm_page_flags_set(p, PAGE_REPLAYED);
			}
		}
	}
}

/* The pages of a client leave the daemon's policy, or its own, before the other one gets them. */
static void
withdraw_locked(struct daemon *d, struct task *task)
{
	for (uint32_t frame = 0; frame < d->frames.count; frame++) {
		enum page_state state = state_of(d, frame);
		struct vm_object *o;

		if (state != PAGE_INACTIVE && state != PAGE_ACTIVE && state != PAGE_LAUNDRY &&
		    state != PAGE_CLEANING)
			continue;
		o = d->objects.objects[page_of(d, frame)->object];
		if (o->owner == task)
			page_policy_forget(policy_of(d, o), pol_of(d, o, frame), true);
	}
}

/* Pages on their way out at the moment of a switch: the new policy must know them, for it will hear
 * how they end. */
static void
replay_leaving_locked(struct daemon *d, struct task *task)
{
	for (uint32_t frame = 0; frame < d->frames.count; frame++) {
		enum page_state state = state_of(d, frame);
		struct vm_object *o;

		if (state != PAGE_LAUNDRY && state != PAGE_CLEANING)
			continue;
		o = d->objects.objects[page_of(d, frame)->object];
		if (task ? o->owner == task : pageq_own_policy(d, o->owner) == NULL)
			page_policy_fault(policy_of(d, o), pol_of(d, o, frame), 0);
	}
}

int
pageq_policy_switch(struct daemon *d, struct task *task, const char *policy)
{
	struct page_policy *made = NULL, *old;
	int error = task && policy[0] == '\0' ? 0 : page_policy_create(d, policy, &made);

	if (error)
		return error;
	pageq_lock(d);
	/* Its end has dropped its policy, or will (pageq_policy_drop). */
	if (task && task_is_dead(task)) {
		pageq_unlock(d);
		page_policy_destroy(made);
		return -ESRCH;
	}
	if (task) {
		withdraw_locked(d, task);
		old = pageq_own_policy(d, task);
		d->pageq.own_policies += (made != NULL) - (old != NULL);
		d->pageq.task_policies[task->index] = made;
	} else {
		old = d->pageq.policy;
		d->pageq.policy = made;
	}
	replay_locked(d, task);
	replay_leaving_locked(d, task);
	pageq_unlock(d);
	page_policy_destroy(old);
	return 0;
}

void
pageq_policy_drop(struct daemon *d, struct task *task)
{
	struct page_policy *old;

	pageq_lock(d);
	old = pageq_own_policy(d, task);
	if (old) {
		d->pageq.task_policies[task->index] = NULL;
		d->pageq.own_policies--;
	}
	pageq_unlock(d);
	page_policy_destroy(old);
}
