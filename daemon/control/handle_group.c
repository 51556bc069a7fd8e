/* SPDX-License-Identifier: MIT
 *
 * Requests about groups: GROUP_MAKE, GROUP_JOIN, GROUP, GROUPS, PROFILE. Runs on: the control loop.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "control/request.h"
#include "memorystatus/jetsam.h"
#include "memorystatus/memorystatus.h"
#include "record/profiles.h"
#include "vm/kept_task.h"

int
handle_group_make(struct request *r)
{
	const struct pager_req_group_make *in = r->body;
	struct pager_rep_group_make *out = r->reply;
	const struct session *session = r->session;
	struct daemon *d = r->daemon;
	struct group_birth birth = { .uid = session->uid,
		.is_control = session->is_control,
		.maker = session->pid,
		.pidfd = session->task ? session->task->pidfd : session->pidfd,
		.limit_pages = in->limit_bytes >> d->page_shift,
		.band = in->band,
		.name = in->name };

	loop_assert(d);
	if (in->reserved != 0 || memchr(in->name, '\0', sizeof(in->name)) == NULL ||
	    (in->band != PROCESS_BAND_NONE && (in->band < 0 || !jetsam_band_name(in->band))))
		return -EINVAL;
	/* Anybody may make their own programs less important than they would be. */
	if (in->band > BAND_IMPORTANT && !session->is_control)
		return -EPERM;
	if (in->limit_bytes != 0 && birth.limit_pages < LIMIT_PAGES_LEAST)
		return -ERANGE;
	return group_make(d, &birth, &out->id, &out->key);
}

/* What the group has for each of its processes holds for this one, where nobody has said otherwise
 * of it. */
static void
process_join(struct daemon *d, struct process *process, const struct client_group *group)
{
	unsigned long long none = 0;

	if (group->limit_pages)
		cas_acq_rel(&process->limit_pages, &none, group->limit_pages);
	if (group->band != PROCESS_BAND_NONE && load_relaxed(&process->band) == PROCESS_BAND_NONE) {
		process_band_set(d, process, group->band);
		memorystatus_want(d);
	}
	process_keep_inherited(d, process);
}

int
handle_group_join(struct request *r)
{
	const struct pager_req_group_join *in = r->body;
	struct daemon *d = r->daemon;
	struct client_group *group = group_find(d, in->id, &in->key);
	struct task *task = r->task;
	bool is_new;

	loop_assert(d);
	if (!group)
		return -ESRCH;
	pageq_lock(d);
	is_new = bill_group_set(&task->bill, group);
	pageq_unlock(d);
	if (!is_new) {
		bool is_done =
		    r->session->is_asked_again && load_relaxed(&task->bill.group) == group;

		group_put(d, group);
		return is_done ? 0 : -EALREADY;
	}
	task_record_group(task);
	group_enter(d, group);
	group_count(group);
	profile_join(d, task, group);
	process_join(d, task->bill.process, group);
	return 0;
}

/* => true: the session may see what that user's clients have */
static bool
sees(const struct session *session, uid_t uid)
{
	return session->is_control || session->uid == uid;
}

int
handle_group(struct request *r)
{
	const struct pager_req_group *in = r->body;
	struct pager_rep_group *out = r->reply;
	struct daemon *d = r->daemon;
	struct client_group *group = group_find(d, in->id, NULL);
	uint64_t *most[GROUP_BALANCES] = { &out->footprint_most, &out->resident_most,
		&out->compressed_most };
	uint32_t cursor = 0;
	struct task *task;

	loop_assert(d);
	if (!group)
		return -ESRCH;
	if (!sees(r->session, group->uid)) {
		group_put(d, group);
		return -EPERM;
	}
	out->uid = group->uid;
	out->maker = (uint32_t)group->maker;
	out->band = group->band;
	out->limit_bytes = group->limit_pages << d->page_shift;
	snprintf(out->name, sizeof(out->name), "%s", group->name);
	profiles_hasten(d);
	group_counts(d, group, &out->now, &out->ever);
	while ((task = task_next(d, &cursor)) != NULL) {
		for (int i = 0; load_relaxed(&task->bill.group) == group && i < PAGER_LEDGER_COUNT;
		     i++)
			out->ledger[i] += ledger_value(
			    &task->bill.ledger, (enum pager_ledger_entry)i, d->page_bytes);
		task_put(task);
	}
	for (int i = 0; i < PAGER_LEDGER_COUNT; i++)
		out->ledger[i] += load_relaxed(&group->counts->ended[i]);
	for (int i = 0; i < GROUP_BALANCES; i++)
		*most[i] = (uint64_t)load_relaxed(&group->counts->most[i]) << d->page_shift;
	group_put(d, group);
	return 0;
}

int
handle_groups(struct request *r)
{
	const struct pager_req_groups *in = r->body;
	struct pager_rep_groups *out = r->reply;
	uint32_t cursor = (uint32_t)in->cursor;
	struct task *task = NULL;

	loop_assert(r->daemon);
	while (out->count < PAGER_GROUP_MEMBERS_PER_REPLY &&
	       (task = task_next(r->daemon, &cursor)) != NULL) {
		const struct client_group *group = load_acquire(&task->bill.group);

		if (group && sees(r->session, task->uid)) {
			struct pager_wire_group_member *m = &out->members[out->count++];

			*m = (struct pager_wire_group_member){ .session_id = task->id,
				.group = group->id };
			memcpy(m->name, group->name, sizeof(m->name));
		}
		task_put(task);
	}
	out->next_cursor = task ? cursor : 0;
	r->reply_bytes =
	    offsetof(struct pager_rep_groups, members) + out->count * sizeof(out->members[0]);
	return 0;
}

int
handle_profile(struct request *r)
{
	const struct pager_req_profile *in = r->body;
	struct daemon *d = r->daemon;
	struct client_group *group;
	int error = -EINVAL;

	loop_assert(d);
	group = group_find(d, in->group, NULL);
	if (!group)
		return -ESRCH;
	if (!sees(r->session, group->uid))
		error = -EPERM;
	else if (in->op == PAGER_PROFILE_SHOW)
		error = profile_show(d, group, in->nth, r->reply);
	else if (in->op == PAGER_PROFILE_BEGIN && in->nth == 0)
		error = profiles_begin(d, group);
	group_put(d, group);
	return error;
}
