/* SPDX-License-Identifier: MIT
 *
 * Groups: the clients of what was started together (pagerctl run), with all that they fork and go
 * on to. Each client has its own bill; the group has what they have together, the most that it was,
 * and what those have counted that have ended. A group is there as long as a client is in it or the
 * process lives that has made it: that process may be about to become the first client.
 */
#ifndef GROUP_H
#define GROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/ledger.h"
#include "lock.h"
#include "vm/group_counts.h"

struct daemon;
struct share_account;

/* What is counted of profiles (struct pager_rep_profile). */
enum profiled {
	PROFILED_GATHERED,
	PROFILED_REFILLS,
	PROFILED_BROUGHT,
	PROFILED_HITS,
	PROFILED_WASTED,
	PROFILED_COUNT
};

struct client_group {
	struct client_group *next;             /* under the lock of struct groups */
	unsigned references;                   /* likewise */
	unsigned now;                          /* likewise: its clients */
	uint64_t id, key;                      /* (C) */
	uid_t uid;                             /* (C) of its maker; here and below */
	pid_t maker;                           /* (C) */
	int pidfd;                             /* (C) */
	struct share_account *account;         /* (C) pays for that descriptor, with a reference */
	uint64_t limit_pages;                  /* (C) for each of its processes; 0: none */
	int band;                              /* (C) likewise; PROCESS_BAND_NONE: none */
	char name[64];                         /* (C) */
	atomic_llong balances[GROUP_BALANCES]; /* (Q) to write, (A) to look at: pages */
	struct group_counts *counts;           /* (C) in the row, so that they outlive the worker */
	struct group_counts own_counts;        /* or, without a keeper, these */
	unsigned kept;                         /* (C) the row 31 | 1: there is one */
	bool has_profiles; /* the control loop's: its images have profiles (record/profiles.h) */
	atomic_ullong profiled[PROFILED_COUNT]; /* (A) of the images that have given way */
};

struct groups {
	struct lock lock; /* covers the list; leaf */
	struct client_group *list;
	uint64_t last_id;
};

/* What a group is made of. */
struct group_birth {
	uid_t uid;
	bool is_control;
	pid_t maker;
	int pidfd; /* of the maker; stays the caller's */
	uint64_t limit_pages;
	int band;
	const char *name;
};

void groups_create(struct daemon *d);
void groups_destroy(struct daemon *d);
/* => its number in *ret_id and its key; 0, -ENOMEM, -EMFILE, or as of share_take */
int group_make(
    struct daemon *d, const struct group_birth *birth, uint64_t *ret_id, uint64_t *ret_key);
/* Those that the worker before this one has left are made again, without their clients. Runs on:
 * the main thread, before there are others. => 0 or -ENOMEM */
int groups_take_over(struct daemon *d);
/* The group of that number. key NULL: whoever asks for it may. => with a reference, or NULL */
struct client_group *group_find(struct daemon *d, uint64_t id, const uint64_t *key);
struct client_group *group_get(struct daemon *d, struct client_group *group);
void group_put(struct daemon *d, struct client_group *group);
/* A client begins with a reference; or one that is in it already is taken over. */
void group_enter(struct daemon *d, struct client_group *group);
/* It is one more of those so far. Once for each: when it has joined, or is attached and has been in
 * it from its fork on. */
void group_count(struct client_group *group);
/* A client ends: its counts are kept. The reference is still to be put. */
void group_leave(struct daemon *d, struct client_group *group, const struct ledger *ledger);
/* Clients now, and so far. */
void group_counts(
    struct daemon *d, struct client_group *group, uint32_t *ret_now, uint32_t *ret_ever);
/* That many pages more or less. Under PAGEQ. */
void group_post(struct client_group *group, enum group_balance balance, long long pages);
/* Those without a client whose maker has ended go. => whether there are some without a client whose
 * maker lives. Runs on: the control loop, now and then */
bool groups_sweep(struct daemon *d);

#endif
