/* SPDX-License-Identifier: MIT */
#include "vm/kept_process.h"

#include <errno.h>

#include "daemon.h"
#include "vm/kept_arena.h"

static struct arena_shape
shape_of(void)
{
	return (struct arena_shape){ .name = "processes",
		.version = 1,
		.row_bytes = sizeof(struct kept_process),
		.bytes = KEPT_PROCESSES_MAX * sizeof(struct kept_process) };
}

int
kept_processes_create(struct daemon *d)
{
	struct kept_processes *k = &d->kept_processes;
	struct arena_shape shape = shape_of();

	CHECK(!k->rows);
	if (!d->keeper)
		return 0;
	k->rows = kept_arena_open(d, KEPT_PROCESSES, &shape, &k->fd);
	return k->rows ? 0 : -errno;
}

void
kept_processes_destroy(struct daemon *d)
{
	struct arena_shape shape = shape_of();

	kept_arena_close(d->kept_processes.rows, d->kept_processes.fd, &shape);
}

int
kept_process_take(struct daemon *d, int pidfd)
{
	struct kept_process *rows = d->kept_processes.rows;

	locks_assert_none();
	CHECK(rows && pidfd >= 0);
	if (!keeper_has_room(d->keeper, 1))
		return -ENFILE;
	for (unsigned i = 0; i < KEPT_PROCESSES_MAX; i++) {
		if (load_acquire(&rows[i].state) != KEPT_PROCESS_FREE)
			continue;
		store_relaxed(&rows[i].state, KEPT_PROCESS_TAKEN);
		keeper_keep(d->keeper, KEPT_LIMITED, i, pidfd);
		return (int)i;
	}
	return -ENFILE;
}

void
kept_process_drop(struct daemon *d, unsigned row)
{
	struct kept_process *rows = d->kept_processes.rows;

	locks_assert_none();
	CHECK(rows && row < KEPT_PROCESSES_MAX);
	/* Free only when the keeper has been told: another one's descriptor gets the number then.
	 */
	store_release(&rows[row].state, KEPT_PROCESS_TAKEN);
	keeper_drop(d->keeper, KEPT_LIMITED, row);
	store_release(&rows[row].state, KEPT_PROCESS_FREE);
}

unsigned
kept_processes_count(const struct daemon *d)
{
	struct arena_shape shape = shape_of();

	return d->kept_processes.rows ? kept_arena_rows(d->kept_processes.fd, &shape) : 0;
}
