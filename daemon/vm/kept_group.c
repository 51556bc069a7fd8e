/* SPDX-License-Identifier: MIT */
#include "vm/kept_group.h"

#include <errno.h>
#include <string.h>

#include "daemon.h"
#include "vm/kept_arena.h"

static struct arena_shape
shape_of(void)
{
	return (struct arena_shape){ .name = "groups",
		.version = 1,
		.row_bytes = sizeof(struct kept_group),
		.bytes = KEPT_GROUPS_MAX * sizeof(struct kept_group) };
}

int
kept_groups_create(struct daemon *d)
{
	struct kept_groups *k = &d->kept_groups;
	struct arena_shape shape = shape_of();

	CHECK(!k->rows);
	if (!d->keeper)
		return 0;
	k->rows = kept_arena_open(d, KEPT_GROUPS, &shape, &k->fd);
	return k->rows ? 0 : -errno;
}

void
kept_groups_destroy(struct daemon *d)
{
	struct arena_shape shape = shape_of();

	kept_arena_close(d->kept_groups.rows, d->kept_groups.fd, &shape);
}

int
kept_group_take(struct daemon *d, int pidfd)
{
	struct kept_group *rows = d->kept_groups.rows;

	locks_assert_none();
	CHECK(rows && pidfd >= 0);
	if (!keeper_has_room(d->keeper, 1))
		return -ENFILE;
	for (unsigned i = 0; i < KEPT_GROUPS_MAX; i++) {
		if (load_acquire(&rows[i].state) != KEPT_GROUP_FREE)
			continue;
		memset(&rows[i].counts, 0, sizeof(rows[i].counts));
		store_relaxed(&rows[i].state, KEPT_GROUP_TAKEN);
		keeper_keep(d->keeper, KEPT_GROUP_MAKER, i, pidfd);
		return (int)i;
	}
	return -ENFILE;
}

void
kept_group_drop(struct daemon *d, unsigned row)
{
	struct kept_group *rows = d->kept_groups.rows;

	locks_assert_none();
	CHECK(rows && row < KEPT_GROUPS_MAX);
	/* Free only when the keeper has been told: another one's descriptor gets the number then.
	 */
	store_release(&rows[row].state, KEPT_GROUP_TAKEN);
	keeper_drop(d->keeper, KEPT_GROUP_MAKER, row);
	store_release(&rows[row].state, KEPT_GROUP_FREE);
}

unsigned
kept_groups_count(const struct daemon *d)
{
	struct arena_shape shape = shape_of();

	return d->kept_groups.rows ? kept_arena_rows(d->kept_groups.fd, &shape) : 0;
}
