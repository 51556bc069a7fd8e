/* SPDX-License-Identifier: MIT
 *
 * Groups and their list. Runs on: the control loop (they are made, joined, looked at), jobs of
 * clients that fork, the thread that drops a task's last reference.
 */
#include "vm/group.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
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
	if (group->kept)
		kept_group_drop(d, group->kept - 1);
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

/* The row, if there is a keeper. => 0 or -ENFILE: nothing is kept */
static int
group_keep(struct daemon *d, struct client_group *group, const struct group_birth *birth)
{
	struct kept_group *row;
	int i;

	group->counts = &group->own_counts;
	if (likely(!d->keeper))
		return 0;
	i = kept_group_take(d, group->pidfd);
	if (i < 0)
		return i;
	group->kept = (unsigned)i + 1;
	row = &d->kept_groups.rows[i];
	group->counts = &row->counts;
	row->uid = group->uid;
	row->maker = (uint32_t)group->maker;
	row->is_control = birth->is_control;
	row->band = group->band;
	row->key = group->key;
	row->limit_pages = group->limit_pages;
	memcpy(row->name, group->name, sizeof(row->name));
	return 0;
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
	error = group_keep(d, group, birth);
	if (error) {
		group_free(d, group);
		return error;
	}
	lock_acquire(&d->groups.lock);
	group->id = ++d->groups.last_id;
	if (unlikely(group->kept)) {
		store_relaxed(&d->kept_groups.rows[group->kept - 1].id, group->id);
		store_release(&d->kept_groups.rows[group->kept - 1].state, KEPT_GROUP_VALID);
	}
	group->next = d->groups.list;
	d->groups.list = group;
	*ret_id = group->id;
	*ret_key = group->key;
	lock_release(&d->groups.lock);
	return 0;
}

/* => 0 or -ENOMEM */
static int
row_take_over(struct daemon *d, unsigned i)
{
	struct kept_group *row = &d->kept_groups.rows[i];
	int pidfd = keeper_take(d->keeper, KEPT_GROUP_MAKER, i), error = -ENOMEM;
	struct client_group *group;
	struct group_birth birth = { .pidfd = pidfd };

	if (pidfd < 0 || load_acquire(&row->state) != KEPT_GROUP_VALID) {
		if (pidfd >= 0)
			close(pidfd);
		kept_group_drop(d, i);
		return 0;
	}
	birth.uid = row->uid;
	birth.is_control = row->is_control;
	group = own_alloc(OWN_GROUP, sizeof(*group));
	if (group) {
		*group = (struct client_group){ .id = load_relaxed(&row->id),
			.key = row->key,
			.uid = row->uid,
			.maker = (pid_t)row->maker,
			.limit_pages = row->limit_pages,
			.band = row->band,
			.counts = &row->counts,
			.kept = i + 1 };
		snprintf(group->name, sizeof(group->name), "%.*s", (int)sizeof(row->name) - 1,
		    row->name);
		error = group_fill(d, group, &birth);
	}
	close(pidfd);
	if (error) {
		own_free(OWN_GROUP, group);
		return error;
	}
	group->next = d->groups.list;
	d->groups.list = group;
	return 0;
}

int
groups_take_over(struct daemon *d)
{
	unsigned count = kept_groups_count(d);
	int error = 0;

	for (unsigned i = 0; i < count && !error; i++) {
		struct kept_group *row = &d->kept_groups.rows[i];

		d->groups.last_id = max_u64(d->groups.last_id, load_relaxed(&row->id));
		if (load_acquire(&row->state) != KEPT_GROUP_FREE)
			error = row_take_over(d, i);
	}
	return error;
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
	lock_release(&d->groups.lock);
}

void
group_count(struct client_group *group)
{
	fetch_add_relaxed(&group->counts->ever, 1);
}

void
group_leave(struct daemon *d, struct client_group *group, const struct ledger *ledger)
{
	for (int i = 0; i < PAGER_LEDGER_COUNT; i++)
		if (ledger_only_grows((enum pager_ledger_entry)i))
			fetch_add_relaxed(&group->counts->ended[i],
			    ledger_pages(ledger, (enum pager_ledger_entry)i));
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
	*ret_ever = (uint32_t)load_relaxed(&group->counts->ever);
	lock_release(&d->groups.lock);
}

void
group_post(struct client_group *group, enum group_balance balance, long long pages)
{
	long long now = load_relaxed(&group->balances[balance]) + pages;

	CHECK(now >= 0);
	store_relaxed(&group->balances[balance], now);
	if (now > load_relaxed(&group->counts->most[balance]))
		store_relaxed(&group->counts->most[balance], now);
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
