/* SPDX-License-Identifier: MIT */
#include "vm/kept_policy.h"

#include <errno.h>
#include <stdio.h>

#include "daemon.h"
#include "vm/kept_arena.h"
#include "vm/task_record.h"

static struct arena_shape
shape_of(void)
{
	return (struct arena_shape){ .name = "policy",
		.version = 1,
		.row_bytes = sizeof(struct policy_choice),
		.bytes = sizeof(struct policy_choice) };
}

int
kept_policy_create(struct daemon *d)
{
	struct kept_policy *k = &d->kept_policy;
	struct arena_shape shape = shape_of();

	CHECK(!k->choice);
	if (!d->keeper)
		return 0;
	k->choice = kept_arena_open(d, KEPT_POLICY, &shape, &k->fd);
	return k->choice ? 0 : -errno;
}

void
kept_policy_destroy(struct daemon *d)
{
	struct arena_shape shape = shape_of();

	kept_arena_close(d->kept_policy.choice, d->kept_policy.fd, &shape);
}

static struct policy_choice *
choice_of(const struct daemon *d, const struct task *task)
{
	if (task)
		return task->map.record ? &task->map.record->policy : NULL;
	return d->kept_policy.choice;
}

void
kept_policy_note(struct daemon *d, struct task *task, const char *text)
{
	struct policy_choice *choice;
	unsigned long long times;

	if (likely(!d->keeper))
		return;
	/* It may be about to get its record. */
	if (task)
		lock_acquire(&task->map.lock);
	choice = choice_of(d, task);
	if (task)
		lock_release(&task->map.lock);
	if (!choice)
		return;
	/* Two may choose at a time. */
	pageq_lock(d);
	times = load_relaxed(&choice->times) + 1;
	snprintf(choice->text[times & 1], POLICY_TEXT_BYTES, "%s", text);
	store_release(&choice->times, times);
	pageq_unlock(d);
}

const char *
kept_policy_noted(const struct daemon *d, const struct task *task)
{
	struct policy_choice *choice = choice_of(d, task);
	unsigned long long times = choice ? load_acquire(&choice->times) : 0;
	char *text;

	if (times == 0)
		return NULL;
	text = choice->text[times & 1];
	text[POLICY_TEXT_BYTES - 1] = '\0';
	return text;
}
