/* SPDX-License-Identifier: MIT
 *
 * Groups, for the worker that comes after this one: rows by a number, by which the keeper has the
 * descriptor of the process that has made the group. Which clients are in it stands in their
 * records. Only where there is a keeper.
 */
#ifndef KEPT_GROUP_H
#define KEPT_GROUP_H

#include <stdint.h>

#include "atomics.h"
#include "vm/group_counts.h"

struct daemon;

enum kept_group_state { KEPT_GROUP_FREE, KEPT_GROUP_TAKEN, KEPT_GROUP_VALID };

struct kept_group {
	atomic_uint state; /* enum kept_group_state; others but id count where it is VALID */
	uint32_t uid, maker, is_control;
	int32_t band;
	uint32_t reserved;
	atomic_ullong id; /* stays when the row is free: no number is used twice */
	uint64_t key, limit_pages;
	struct group_counts counts; /* written by whoever writes those of a group */
	char name[64];
};

#define KEPT_GROUPS_MAX 16384u

struct kept_groups {
	struct kept_group *rows; /* NULL: there is no keeper */
	int fd;
};

/* => 0, -EPROTO: what was left is of another build, or -errno */
int kept_groups_create(struct daemon *d);
void kept_groups_destroy(struct daemon *d);
/* A free row becomes TAKEN, with the maker's descriptor at the keeper, and counts of zero. => its
 * number, or -ENFILE. Runs on: the control loop */
int kept_group_take(struct daemon *d, int pidfd);
/* Rows below may be in use. Runs on: the main thread, before there are others */
unsigned kept_groups_count(const struct daemon *d);
/* The row is free. No lock held; any thread */
void kept_group_drop(struct daemon *d, unsigned row);

#endif
