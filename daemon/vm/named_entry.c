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

/* => false: the object has as many as it may have */
static bool
cover(struct named_entry *n)
{
	struct vm_object *o = n->object;
	bool may;

	lock_acquire(&o->lock);
	may = o->cover_count < COVERS_MAX;
	if (may) {
		o->cover_count++;
		n->next_of_object = o->named;
		o->named = n;
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

static struct named_range
range_of(const struct named_entry *n)
{
	CHECK_OBJ(n, NAMED_ENTRY_MAGIC);
	return (struct named_range){ n->object, n->first, n->end, n->is_writable, n->may_change };
}

int
named_entry_create(struct daemon *d, const struct named_range *range, int pipe,
    const struct named_identity *identity, struct share_account *account, struct named_entry **ret)
{
	struct named_entry *n, **chain;
	int error;

	locks_assert_none();
	CHECK(range->object->is_shareable && range->first < range->end &&
	      range->end <= range->object->page_count);
	error = share_take(d, account, SHARE_DESCRIPTORS, 1);
	if (error)
		return error;
	n = calloc(1, sizeof(*n));
	if (!n) {
		share_give(d, account, SHARE_DESCRIPTORS, 1);
		return -ENOMEM;
	}
	*n = (struct named_entry){ .magic = NAMED_ENTRY_MAGIC,
		.object = range->object,
		.first = range->first,
		.end = range->end,
		.is_writable = range->is_writable,
		.may_change = range->may_change,
		.identity = *identity,
		.pipe = pipe,
		.account = share_account_get(d, account->uid, account->is_privileged) };
	if (!n->account || !cover(n)) {
		error = n->account ? -EMFILE : -ENOMEM;
		share_give(d, account, SHARE_DESCRIPTORS, 1);
		if (n->account)
			share_account_put(d, n->account);
		free(n);
		return error;
	}
	vm_object_get(range->object);
	lock_acquire(&d->named.lock);
	chain = chain_locked(&d->named, identity);
	n->next = *chain;
	*chain = n;
	d->named.count++;
	lock_release(&d->named.lock);
	*ret = n;
	return 0;
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
		*ret = range_of(n);
	}
	lock_release(&d->named.lock);
	return n != NULL;
}

void
named_entry_end(struct daemon *d, struct named_entry *n, struct named_range *ret)
{
	struct named_entry **at;

	CHECK_OBJ(n, NAMED_ENTRY_MAGIC);
	locks_assert_none();
	lock_acquire(&d->named.lock);
	at = chain_locked(&d->named, &n->identity);
	while (*at != n) {
		CHECK(*at);
		at = &(*at)->next;
	}
	*at = n->next;
	d->named.count--;
	lock_release(&d->named.lock);
	uncover(n);
	*ret = range_of(n);
	closer_close(d, n->pipe, 0, n->account->uid);
	share_give(d, n->account, SHARE_DESCRIPTORS, 1);
	share_account_put(d, n->account);
	n->magic = 0;
	free(n);
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
