/* SPDX-License-Identifier: MIT
 *
 * Groups and their list. Runs on: the control loop (they are made, joined, looked at), jobs of
 * clients that fork, the thread that drops a task's last reference.
 */
#include "vm/group.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "daemon.h"
#include "own.h"
#include "text.h"

void
groups_create(struct daemon *d)
{
	lock_init(&d->groups.lock, RANK_JOBS);
}

static void
group_free(struct daemon *d, struct client_group *group)
{
	for (int i = 0; i < GROUP_BALANCES; i++)
		CHECK(load_relaxed(&group->balances[i]) == 0);
	close(group->pidfd);
	share_give(d, group->account, SHARE_DESCRIPTORS, 1);
	share_account_put(d, group->account);
	own_free(OWN_GROUP, group);
}

void
groups_destroy(struct daemon *d)
{
	struct client_group *group;

	while ((group = d->groups.list) != NULL) {
		CHECK(group->references == 0);
		d->groups.list = group->next;
		group_free(d, group);
	}
	lock_fini(&d->groups.lock);
}

/* What only the group has: its descriptor, and the share of that. => 0 or -errno: nothing is taken
 */
static int
group_fill(struct daemon *d, struct client_group *group, const struct group_birth *birth)
{
	int error = -ENOMEM;

	group->account = share_account_get(d, birth->uid, birth->is_control);
	if (!group->account)
		return error;
	error = share_take(d, group->account, SHARE_DESCRIPTORS, 1);
	if (!error) {
		group->pidfd = fcntl(birth->pidfd, F_DUPFD_CLOEXEC, 3);
		error = group->pidfd < 0 ? -errno : 0;
		if (error)
			share_give(d, group->account, SHARE_DESCRIPTORS, 1);
	}
	if (error)
		share_account_put(d, group->account);
	return error;
}

int
group_make(struct daemon *d, const struct group_birth *birth, uint64_t *ret_id, uint64_t *ret_key)
{
	struct client_group *group = own_alloc(OWN_GROUP, sizeof(*group));
	int error;

	if (!group)
		return -ENOMEM;
	*group = (struct client_group){ .uid = birth->uid,
		.maker = birth->maker,
		.limit_pages = birth->limit_pages,
		.band = birth->band };
	snprintf(group->name, sizeof(group->name), "%s", birth->name);
	text_clean(group->name);
	error = getrandom(&group->key, sizeof(group->key), 0) == sizeof(group->key) ? 0 : -EAGAIN;
	if (!error)
		error = group_fill(d, group, birth);
	if (error) {
		own_free(OWN_GROUP, group);
		return error;
	}
	lock_acquire(&d->groups.lock);
	group->id = ++d->groups.last_id;
	group->next = d->groups.list;
	d->groups.list = group;
	*ret_id = group->id;
	*ret_key = group->key;
	lock_release(&d->groups.lock);
	return 0;
}

struct client_group *
group_find(struct daemon *d, uint64_t id, const uint64_t *key)
{
	struct client_group *group;

	lock_acquire(&d->groups.lock);
	group = d->groups.list;
	while (group && (group->id != id || (key && group->key != *key)))
		group = group->next;
	if (group)
		group->references++;
	lock_release(&d->groups.lock);
	return group;
}

struct client_group *
group_get(struct daemon *d, struct client_group *group)
{
	lock_acquire(&d->groups.lock);
	CHECK(group->references > 0);
	group->references++;
	lock_release(&d->groups.lock);
	return group;
}

/* Takes it out of the list. => lock held */
static void
unlink_locked(struct daemon *d, struct client_group *group)
{
	struct client_group **at = &d->groups.list;

	lock_assert_held(&d->groups.lock);
	while (*at != group) {
		CHECK(*at != NULL);
		at = &(*at)->next;
	}
	*at = group->next;
}

void
group_put(struct daemon *d, struct client_group *group)
{
	bool ends;

	lock_acquire(&d->groups.lock);
	CHECK(group->references > 0);
	ends = --group->references == 0 && pidfd_has_ended(group->pidfd);
	if (ends)
		unlink_locked(d, group);
	lock_release(&d->groups.lock);
	if (ends)
		group_free(d, group);
}

void
group_enter(struct daemon *d, struct client_group *group)
{
	lock_acquire(&d->groups.lock);
	group->now++;
	group->ever++;
	lock_release(&d->groups.lock);
}

void
group_leave(struct daemon *d, struct client_group *group, const struct ledger *ledger)
{
	for (int i = 0; i < PAGER_LEDGER_COUNT; i++)
		if (ledger_only_grows((enum pager_ledger_entry)i))
			fetch_add_relaxed(
			    &group->ended[i], ledger_pages(ledger, (enum pager_ledger_entry)i));
	lock_acquire(&d->groups.lock);
	CHECK(group->now > 0);
	group->now--;
	lock_release(&d->groups.lock);
}

void
group_counts(struct daemon *d, struct client_group *group, uint32_t *ret_now, uint32_t *ret_ever)
{
	lock_acquire(&d->groups.lock);
	*ret_now = group->now;
	*ret_ever = group->ever;
	lock_release(&d->groups.lock);
}

void
group_post(struct client_group *group, enum group_balance balance, long long pages)
{
	long long now = load_relaxed(&group->balances[balance]) + pages;

	CHECK(now >= 0);
	store_relaxed(&group->balances[balance], now);
	if (now > load_relaxed(&group->most[balance]))
		store_relaxed(&group->most[balance], now);
}

bool
groups_sweep(struct daemon *d)
{
	struct client_group **at = &d->groups.list, *gone = NULL, *group;
	bool are_kept = false;

	lock_acquire(&d->groups.lock);
	while ((group = *at) != NULL) {
		if (group->references > 0 || !pidfd_has_ended(group->pidfd)) {
			are_kept |= group->references == 0;
			at = &group->next;
			continue;
		}
		*at = group->next;
		group->next = gone;
		gone = group;
	}
	lock_release(&d->groups.lock);
	while ((group = gone) != NULL) {
		gone = group->next;
		group_free(d, group);
	}
	return are_kept;
}
