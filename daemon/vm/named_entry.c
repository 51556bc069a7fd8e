/* SPDX-License-Identifier: MIT
 *
 * Named entries. Runs on: control loop, jobs.
 */
#include "vm/named_entry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/closer.h"
#include "failpt.h"
#include "own.h"

static struct named_entry **
chain_locked(struct named_table *t, const struct named_identity *identity)
{
	lock_assert_held(&t->lock);
	return &t->chains[identity->inode % NAMED_CHAINS];
}

static bool
is_same(const struct named_identity *a, const struct named_identity *b)
{
	return a->inode == b->inode && a->born_ns == b->born_ns;
}

void
named_table_create(struct daemon *d)
{
	CHECK(d->named.count == 0);
	lock_init(&d->named.lock, RANK_JOBS);
}

void
named_table_destroy(struct daemon *d)
{
	CHECK(d->named.count == 0);
	lock_fini(&d->named.lock);
}

/* The first that no name of the object has. O held */
static unsigned
number_free_locked(const struct vm_object *o)
{
	const struct named_entry *n;
	unsigned number = 0;

	lock_assert_held(&o->lock);
	do {
		for (n = o->named; n && n->number != number; n = n->next_of_object)
			continue;
		number += n != NULL;
	} while (n);
	return number;
}

/* => false: the object has as many as it may have */
static bool
cover(struct named_entry *n, bool has_number)
{
	struct vm_object *o = n->object;
	bool may;

	lock_acquire(&o->lock);
	may = o->cover_count < COVERS_MAX;
	if (may && !has_number)
		n->number = number_free_locked(o);
	if (may) {
		o->cover_count++;
		n->next_of_object = o->named;
		o->named = n;
		o->was_named |= n->is_findable;
	}
	lock_release(&o->lock);
	return may;
}

static void
uncover(struct named_entry *n)
{
	struct vm_object *o = n->object;
	struct named_entry **at = &o->named;

	lock_acquire(&o->lock);
	while (*at != n) {
		CHECK(*at);
		at = &(*at)->next_of_object;
	}
	*at = n->next_of_object;
	o->cover_count--;
	lock_release(&o->lock);
}

static void
table_add(struct daemon *d, struct named_entry *n)
{
	struct named_entry **chain;

	lock_acquire(&d->named.lock);
	chain = chain_locked(&d->named, &n->identity);
	n->next = *chain;
	*chain = n;
	d->named.count++;
	lock_release(&d->named.lock);
}

static void
table_remove(struct daemon *d, struct named_entry *n)
{
	struct named_entry **at;

	lock_acquire(&d->named.lock);
	at = chain_locked(&d->named, &n->identity);
	while (*at != n) {
		CHECK(*at);
		at = &(*at)->next;
	}
	*at = n->next;
	d->named.count--;
	lock_release(&d->named.lock);
}

struct named_range
named_entry_range(const struct named_entry *n)
{
	CHECK_OBJ(n, NAMED_ENTRY_MAGIC);
	return (struct named_range){ n->object, n->first, n->end, n->is_writable, n->may_change };
}

static uint64_t
kept_id(const struct named_entry *n)
{
	const struct kept_name name = { n->object->index, n->account->uid,
		n->account->is_privileged, n->is_writable, n->number };

	return kept_name_pack(&name);
}

/* number: which of its object's it has been; NULL: it is new */
static int
entry_make(struct daemon *d, const struct named_range *range, int pipe,
    const struct named_identity *identity, struct share_account *account, const unsigned *number,
    struct named_entry **ret)
{
	unsigned descriptors = identity ? 1 : 0;
	struct named_entry *n;
	int error;

	locks_assert_none();
	CHECK(range->object->is_shareable && range->first < range->end &&
	      range->end <= range->object->page_count && (identity || pipe < 0));
	error = identity ? share_take(d, account, SHARE_DESCRIPTORS, 1) : 0;
	if (error)
		return error;
	n = own_alloc(OWN_NAMED_ENTRY, sizeof(*n));
	if (!n) {
		share_give(d, account, SHARE_DESCRIPTORS, descriptors);
		return -ENOMEM;
	}
	*n = (struct named_entry){ .magic = NAMED_ENTRY_MAGIC,
		.object = range->object,
		.first = range->first,
		.end = range->end,
		.is_writable = range->is_writable,
		.may_change = range->may_change,
		.is_findable = identity != NULL,
		.identity = identity ? *identity : (struct named_identity){ 0, 0 },
		.pipe = pipe,
		.number = number ? *number : 0,
		.account = share_account_get(d, account->uid, account->is_privileged) };
	if (!n->account || !cover(n, number != NULL)) {
		error = n->account ? -EMFILE : -ENOMEM;
		share_give(d, account, SHARE_DESCRIPTORS, descriptors);
		if (n->account)
			share_account_put(d, n->account);
		own_free(OWN_NAMED_ENTRY, n);
		return error;
	}
	vm_object_get(range->object);
	if (n->is_findable)
		table_add(d, n);
	*ret = n;
	return 0;
}

int
named_entry_create(struct daemon *d, const struct named_range *range, int pipe,
    const struct named_identity *identity, struct share_account *account, struct named_entry **ret)
{
	int error = entry_make(d, range, pipe, identity, account, NULL, ret);

	locks_assert_none();
	if (!error && identity && d->keeper) {
		keeper_keep(d->keeper, KEPT_NAME, kept_id(*ret), pipe);
		failpt_die(FAIL_DIE_NAME_MADE);
	}
	return error;
}

int
named_entry_restore(struct daemon *d, const struct kept_name *name, struct vm_object *o, int pipe,
    struct named_entry **ret)
{
	struct named_range range = { o, 0, o->page_count, name->is_writable, false };
	struct share_account *account = share_account_get(d, name->uid, name->is_privileged);
	struct named_identity identity;
	int error = account ? named_identify(pipe, &identity) : -ENOMEM;

	locks_assert_none();
	if (!error)
		error = entry_make(d, &range, pipe, &identity, account, &name->number, ret);
	if (account)
		share_account_put(d, account);
	return error;
}

bool
named_entry_find(struct daemon *d, const struct named_identity *identity, struct named_range *ret)
{
	struct named_entry *n;

	locks_assert_none();
	lock_acquire(&d->named.lock);
	n = *chain_locked(&d->named, identity);
	while (n && !is_same(&n->identity, identity))
		n = n->next;
	if (n) {
		CHECK_OBJ(n, NAMED_ENTRY_MAGIC);
		vm_object_get(n->object);
		*ret = named_entry_range(n);
	}
	lock_release(&d->named.lock);
	return n != NULL;
}

void
named_entry_end(struct daemon *d, struct named_entry *n, struct named_range *ret)
{
	CHECK_OBJ(n, NAMED_ENTRY_MAGIC);
	locks_assert_none();
	if (n->is_findable) {
		table_remove(d, n);
		keeper_drop(d->keeper, KEPT_NAME, kept_id(n));
	}
	uncover(n);
	*ret = named_entry_range(n);
	closer_close(d, n->pipe, 0, n->account->uid);
	share_give(d, n->account, SHARE_DESCRIPTORS, n->is_findable ? 1 : 0);
	share_account_put(d, n->account);
	n->magic = 0;
	own_free(OWN_NAMED_ENTRY, n);
}

int
named_identify(int fd, struct named_identity *ret)
{
	static const char pipes[] = "pipe:[";
	char path[64], target[sizeof(pipes)];
	struct stat status;

	CHECK(fd >= 0);
	/* Files of any other kind have names that begin otherwise. They are not asked for their
	 * status: a file system may be a client's, and answer when it likes. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (readlink(path, target, sizeof(target)) < (ssize_t)sizeof(pipes) ||
	    memcmp(target, pipes, sizeof(pipes) - 1) != 0 || fstat(fd, &status) < 0)
		return -EBADF;
	/* The time changes only where somebody writes to the pipe, or changes its mode or its
	 * owner: that is for root and for the daemon's own user. */
	*ret = (struct named_identity){ (uint64_t)status.st_ino,
		(uint64_t)status.st_ctim.tv_sec * 1000000000u + (uint64_t)status.st_ctim.tv_nsec };
	return 0;
}
