/* SPDX-License-Identifier: MIT
 *
 * Shares: of each thing in tbl/share.h a user (a uid, with all its tasks) has no more than its
 * share, and some is kept for root and the daemon's own user. A thread takes the amount of a thing
 * before it makes it, and gives it back when the thing is gone. Taking and giving are atomic
 * additions; accounts are made and ended under a lock, at a task's begin and end.
 */
#ifndef SHARES_H
#define SHARES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "atomics.h"
#include "check.h"
#include "lock.h"

struct daemon;

enum share {
#define SHARE(NAME, unit, parameter, what, refusal) SHARE_##NAME,
#include "tbl/share.h"
	SHARE_COUNT
};

/* The amounts that one user has. */
struct share_account {
	struct share_account *next;      /* under the lock of struct shares */
	unsigned references;             /* likewise: tasks */
	uid_t uid;                       /* (C) */
	bool is_privileged;              /* (C) root or the daemon's own user */
	atomic_ullong used[SHARE_COUNT]; /* (A) */
	atomic_uint dirty_pages;         /* (A) here and below: vm/dirty.h */
	atomic_uint dirty_turn;          /* (A) times that pages of the user's became clean */
};

struct shares {
	struct lock lock; /* covers the list; leaf */
	struct share_account *accounts;
	atomic_ullong used[SHARE_COUNT]; /* (A) by all users */
	atomic_ullong refused;           /* (A) requests refused so far */
	bool is_taking_over;             /* what clients have had before is taken again, be it more
					    than they may take now. The main thread's, before there
					    are others */
	atomic_ullong told[SHARE_COUNT]; /* (A) how much there is of each, by share_tell */
};

/* Descriptors of a task: socket, process (and its process's), userfaultfd, agent, page map. An
 * object has one. */
#define SESSION_DESCRIPTORS 6u

void shares_create(struct daemon *d);
/* Counts the descriptors that are left for clients: those open now are the daemon's own, and it
 * needs some more for swap files. */
void shares_count_descriptors(struct daemon *d);
void shares_destroy(struct daemon *d);
/* The user's account, with a reference. => NULL: no memory */
struct share_account *share_account_get(struct daemon *d, uid_t uid, bool is_privileged);
/* The last reference ends it: everything must have been given back. */
void share_account_put(struct daemon *d, struct share_account *account);
/* => 0; -EDQUOT: the user has its share; -ENOSPC: all is in use. The log has been told which. Any
 * thread; takes no lock. */
int share_take(struct daemon *d, struct share_account *account, enum share share, uint64_t amount);
/* The same, be it above what the user could take: for what others' requests make. */
void share_take_over(
    struct daemon *d, struct share_account *account, enum share share, uint64_t amount);
void share_give(struct daemon *d, struct share_account *account, enum share share, uint64_t amount);
/* What one user has becomes another's, be it above what that one could take. */
void share_move(
    struct share_account *from, struct share_account *to, enum share share, uint64_t amount);
/* How much could be taken now. */
uint64_t share_room(const struct daemon *d, const struct share_account *account, enum share share);
/* Sets the total of a resource that no parameter names alone. Called at start by the part that has
 * it, and again when the total has changed. */
void share_tell(struct daemon *d, enum share share, uint64_t total);
/* How much there is for all users. */
uint64_t share_total(const struct daemon *d, enum share share);
static inline uint64_t
share_used(const struct shares *shares, enum share share)
{
	INVARIANT(share < SHARE_COUNT);
	return load_relaxed(&((struct shares *)(uintptr_t)shares)->used[share]);
}

#endif
