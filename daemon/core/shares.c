/* SPDX-License-Identifier: MIT
 *
 * Shares of users. Runs on: any thread.
 */
#include "core/shares.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "daemon.h"
#include "own.h"

static const struct {
	const char *unit, *parameter, *what, *refusal;
} rows[] = {
#define SHARE(NAME, unit, parameter, what, refusal) { unit, parameter, what, refusal },
#include "tbl/share.h"
};

/* Of max_table_bytes 0. A page of tables serves 512 pages or fewer, so small memories want more
 * than their part. */
#define TABLES_LEAST (128ull << 20)

void
shares_create(struct daemon *d)
{
	lock_init(&d->shares.lock, RANK_JOBS);
	shares_count_descriptors(d);
}

void
shares_count_descriptors(struct daemon *d)
{
	CHECK(d->server_count > 0);
	DIR *directory = opendir("/proc/self/fd");
	struct rlimit limit = { 1024, 1024 };
	uint64_t own = 0;

	getrlimit(RLIMIT_NOFILE, &limit);
	while (directory && readdir(directory))
		own++;
	if (directory)
		closedir(directory);
	/* One for each thread that is watched, opened when it is first looked at (watch/watcher.c).
	 */
	own += fault_thread_count(d) + worker_thread_count(d) + JOBS_THREADS;
	own += limit.rlim_cur / 8;
	share_tell(d, SHARE_DESCRIPTORS, limit.rlim_cur > own ? limit.rlim_cur - own : 0);
}

void
shares_destroy(struct daemon *d)
{
	CHECK(d->shares.accounts == NULL);
	lock_fini(&d->shares.lock);
}

struct share_account *
share_account_get(struct daemon *d, uid_t uid, bool is_privileged)
{
	struct share_account *made = own_alloc(OWN_ACCOUNT, sizeof(*made)), *account;

	if (!made)
		return NULL;
	lock_acquire(&d->shares.lock);
	for (account = d->shares.accounts; account && account->uid != uid;)
		account = account->next;
	CHECK(!account || account->references > 0);
	if (!account) {
		account = made;
		made = NULL;
		account->uid = uid;
		account->is_privileged = is_privileged;
		account->next = d->shares.accounts;
		d->shares.accounts = account;
	}
	account->references++;
	lock_release(&d->shares.lock);
	own_free(OWN_ACCOUNT, made);
	return account;
}

void
share_account_put(struct daemon *d, struct share_account *account)
{
	struct share_account **at = &d->shares.accounts;

	CHECK(account != NULL);
	lock_acquire(&d->shares.lock);
	CHECK(account->references > 0);
	if (--account->references > 0) {
		lock_release(&d->shares.lock);
		return;
	}
	while (*at != account) {
		CHECK(*at != NULL);
		at = &(*at)->next;
	}
	*at = account->next;
	lock_release(&d->shares.lock);
	for (unsigned i = 0; i < SHARE_COUNT; i++)
		CHECKF(load_relaxed(&account->used[i]) == 0, "user %u ends with %llu %s of %s",
		    (unsigned)account->uid, (unsigned long long)load_relaxed(&account->used[i]),
		    rows[i].unit, rows[i].what);
	CHECK(load_relaxed(&account->dirty_pages) == 0);
	own_free(OWN_ACCOUNT, account);
}

void
share_tell(struct daemon *d, enum share share, uint64_t total)
{
	CHECK(share != SHARE_OBJECTS && share != SHARE_TABLES && share != SHARE_PORTS &&
	      share != SHARE_QUEUED);
	store_relaxed(&d->shares.told[share], total);
}

uint64_t
share_total(const struct daemon *d, enum share share)
{
	uint64_t bytes;

	CHECK(share < SHARE_COUNT);
	switch (share) {
	case SHARE_OBJECTS:
		return param(d, max_objects);
	case SHARE_PORTS:
		return param(d, max_ports);
	case SHARE_QUEUED:
		bytes = param(d, max_queued_bytes);
		return bytes ? bytes : d->options.memory_bytes;
	case SHARE_TABLES:
		bytes = param(d, max_table_bytes);
		return bytes ? bytes
			     : TABLES_LEAST +
				   ((uint64_t)load_relaxed(&d->frames.size) << d->page_shift) / 4;
	default:
		return load_relaxed(&d->shares.told[share]);
	}
}

/* The most that all users together may have, if this one is to get more. */
static uint64_t
most_of_all(const struct daemon *d, const struct share_account *account, enum share share)
{
	uint64_t total = share_total(d, share);

	return account->is_privileged ? total
				      : total - (total * param(d, reserve_percent) + 99) / 100;
}

static uint64_t
most_of_one(const struct daemon *d, const struct share_account *account, enum share share)
{
	uint64_t total = share_total(d, share);

	CHECK(account != NULL);
	return account->is_privileged ? UINT64_MAX
				      : max_u64(total * param(d, user_percent) / 100, 1);
}

static void
tell(const struct daemon *d, const struct share_account *account, enum share share, bool is_own)
{
	static struct log_limit own[SHARE_COUNT], all[SHARE_COUNT], whole[SHARE_COUNT];
	unsigned long long total = share_total(d, share);

	CHECK(share < SHARE_COUNT);
	if (account->is_privileged)
		log_message_limited(&whole[share], LOG_WARNING,
		    "nothing is left of %s (%llu %s): %s (user %u; parameter %s)", rows[share].what,
		    total, rows[share].unit, rows[share].refusal, (unsigned)account->uid,
		    rows[share].parameter);
	else if (is_own)
		log_message_limited(&own[share], LOG_WARNING,
		    "user %u has its share of %s, %llu %% of %llu %s: %s (parameters user_percent, "
		    "%s)",
		    (unsigned)account->uid, rows[share].what,
		    (unsigned long long)param(d, user_percent), total, rows[share].unit,
		    rows[share].refusal, rows[share].parameter);
	else
		log_message_limited(&all[share], LOG_WARNING,
		    "nothing is left of %s (%llu %s) but %llu %% kept for root and the daemon's "
		    "user: %s (user %u; parameters %s, "
		    "reserve_percent)",
		    rows[share].what, total, rows[share].unit,
		    (unsigned long long)param(d, reserve_percent), rows[share].refusal,
		    (unsigned)account->uid, rows[share].parameter);
}

int
share_take(struct daemon *d, struct share_account *account, enum share share, uint64_t amount)
{
	uint64_t all = fetch_add_relaxed(&d->shares.used[share], amount) + amount;
	uint64_t own = fetch_add_relaxed(&account->used[share], amount) + amount;
	bool own_is_over = own > most_of_one(d, account, share);

	CHECK(share < SHARE_COUNT);
	if (likely(!own_is_over && all <= most_of_all(d, account, share)))
		return 0;
	if (d->shares.is_taking_over)
		return 0;
	share_give(d, account, share, amount);
	fetch_add_relaxed(&d->shares.refused, 1);
	tell(d, account, share, own_is_over);
	return own_is_over ? -EDQUOT : -ENOSPC;
}

void
share_give(struct daemon *d, struct share_account *account, enum share share, uint64_t amount)
{
	uint64_t own = fetch_sub_relaxed(&account->used[share], amount);

	CHECKF(own >= amount, "user %u gives back %llu %s of %s, and has %llu",
	    (unsigned)account->uid, (unsigned long long)amount, rows[share].unit, rows[share].what,
	    (unsigned long long)own);
	fetch_sub_relaxed(&d->shares.used[share], amount);
}

void
share_take_over(struct daemon *d, struct share_account *account, enum share share, uint64_t amount)
{
	CHECK(share < SHARE_COUNT);
	fetch_add_relaxed(&account->used[share], amount);
	fetch_add_relaxed(&d->shares.used[share], amount);
}

void
share_move(struct share_account *from, struct share_account *to, enum share share, uint64_t amount)
{
	uint64_t own = fetch_sub_relaxed(&from->used[share], amount);

	CHECKF(own >= amount, "user %u gives %llu %s of %s away, and has %llu", (unsigned)from->uid,
	    (unsigned long long)amount, rows[share].unit, rows[share].what,
	    (unsigned long long)own);
	fetch_add_relaxed(&to->used[share], amount);
}

uint64_t
share_room(const struct daemon *d, const struct share_account *account, enum share share)
{
	uint64_t all = share_used(&d->shares, share), most_all = most_of_all(d, account, share);
	uint64_t own = load_relaxed(&((struct share_account *)(uintptr_t)account)->used[share]);
	uint64_t most_own = most_of_one(d, account, share);

	if (all >= most_all || own >= most_own)
		return 0;
	return min_u64(most_all - all, most_own - own);
}
