/* SPDX-License-Identifier: MIT */
#include "journal.h"

#include <errno.h>
#include <signal.h>
#include <sys/swap.h>
#include <unistd.h>

#include "process.h"
#include "zram.h"

static void
undo_one(volatile bool *flag, int result, int *error)
{
	if (result == 0)
		*flag = false;
	else if (!*error)
		*error = result;
}

int
journal_undo(struct journal *j)
{
	int error = 0;

	if (j->group > 0)
		kill(-j->group, SIGKILL);
	j->group = 0;
	if (j->cgroup_made)
		undo_one(&j->cgroup_made, cgroup_remove(j->cgroup), &error);
	if (j->swap_on) {
		/* EINVAL: swapon had failed. */
		int off = swapoff(j->swap) == 0 || errno == EINVAL || errno == ENOENT ? 0 : -errno;

		undo_one(&j->swap_on, off, &error);
	}
	if (j->swap_file_made && !j->swap_on)
		undo_one(&j->swap_file_made, unlink(j->swap) == 0 || errno == ENOENT ? 0 : -errno,
		    &error);
	if (j->zram_changed && !j->swap_on) {
		int back = zram_reset(j->zram);

		if (!back)
			back = zram_write(j->zram, "comp_algorithm", j->zram_algorithm);
		undo_one(&j->zram_changed, back, &error);
	}
	if (j->page_cluster_set)
		undo_one(
		    &j->page_cluster_set, file_write(PAGE_CLUSTER_FILE, j->page_cluster), &error);
	if (j->subtree_set && !j->cgroup_made)
		undo_one(&j->subtree_set, cgroup_set_subtree(&j->root, false), &error);
	return error;
}

void
journal_remove_directory(struct journal *j)
{
	if (!j->directory_made)
		return;
	directory_remove(j->directory);
	j->directory_made = false;
}
