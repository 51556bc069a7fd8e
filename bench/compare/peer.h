/* SPDX-License-Identifier: MIT
 *
 * The kernel as a pager: a memory cgroup with swap on zram (lz4) or on a file, set up for one run
 * and put back after it. What has been changed is written to a journal *before* it is changed; the
 * journal lies in memory shared with a guardian process, which undoes what is left when this
 * process ends, however it ends.
 *
 * Equal memory: the zram pool is charged to nobody, so what the kernel has is limit + the pool's
 * maximum.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cgroup.h"
#include "options.h"

/* Each flag is set before its change and cleared after its undoing. Paths are constant while a flag
 * is set. */
struct peer_journal {
	volatile bool cgroup_made, subtree_set, zram_changed, swap_on, swap_file_made,
	    page_cluster_set;
	volatile bool directory_made;
	struct cgroup_root root;
	char cgroup[300];
	char zram[32]; /* "zram0" */
	char zram_algorithm[32];
	char swap[300]; /* what swap_on is about */
	char page_cluster[16];
	char directory[300]; /* for everything temporary */
};

struct peer {
	enum peer_kind kind;
	int page_cluster; /* -1: leave it */
	uint64_t swap_bytes;
	struct peer_journal *journal; /* shared with the guardian */
	pid_t guardian;
	int guardian_fd; /* its closing tells the guardian */
};

/* Looks whether this machine and user can do it (says on standard error why not) and starts the
 * guardian. Nothing is changed but a directory made in `directory`. => 0 or -errno. */
int peer_create(struct peer *p, enum peer_kind kind, int page_cluster, const char *directory);
/* Puts everything back, waits for the guardian. */
void peer_destroy(struct peer *p);

/* Swap on, cgroup made (without a limit). => 0 or -errno, everything undone. */
int peer_begin(struct peer *p, uint64_t swap_bytes);
/* Undoes peer_begin. => 0 or -errno (said on standard error). */
int peer_end(struct peer *p);
/* Bytes of memory that the zram pool has had at most since peer_begin; 0 for a swap file. */
uint64_t peer_pool_max_bytes(const struct peer *p);
/* What the pool holds: uncompressed / compressed; 0 when empty. */
double peer_pool_ratio(const struct peer *p);

/* Undoes what the journal tells, in the right order; twice does no harm. => 0 or the first -errno.
 */
int peer_undo(struct peer_journal *j);

#endif
