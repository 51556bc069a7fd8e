/* SPDX-License-Identifier: MIT
 *
 * The journal of what has been changed on this machine: a flag is set before its change is made,
 * and cleared after the change has been undone. It lies in memory that is shared with the guardian.
 * The text that belongs to a flag does not change while the flag is set.
 */
#ifndef BENCH_JOURNAL_H
#define BENCH_JOURNAL_H

#include <stdbool.h>

#include "cgroup.h"

#define PAGE_CLUSTER_FILE "/proc/sys/vm/page-cluster"

struct journal {
	volatile bool cgroup_made, subtree_set, zram_changed, swap_on, swap_file_made,
	    page_cluster_set;
	volatile bool directory_made;
	struct cgroup_root root;
	char cgroup[300];
	char zram[32]; /* the device, as "zram0" */
	char zram_algorithm[32];
	char swap[300]; /* the file or device that swap_on and swap_file_made are about */
	char page_cluster[16];
	char directory[300]; /* for all temporary files */
	volatile int group;  /* a group of processes that must not outlive this one; 0: none */
};

/* Kills the group and undoes what the flags say, in the right order; but for the directory, where a
 * daemon may still have files open. Calling it twice does no harm. => 0 or the first -errno. */
int journal_undo(struct journal *j);
/* Removes the directory, if it has been made. */
void journal_remove_directory(struct journal *j);

#endif
