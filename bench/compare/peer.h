/* SPDX-License-Identifier: MIT
 *
 * The kernel as a pager: a memory cgroup with swap on zram (lz4) or on a file, or without swap for
 * a mapped file, set up for one run and removed after it. Each change is written to the journal
 * *before* it is made. When this process ends, for whatever reason, the guardian process undoes
 * what the journal still holds.
 *
 * Equal memory: no cgroup is charged for the zram pool, so the kernel has the cgroup's limit plus
 * the pool's maximum.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "guardian.h"
#include "journal.h"
#include "options.h"

struct peer {
	enum peer_kind kind;
	bool swap;               /* runs with swap will come */
	int page_cluster;        /* vm.page-cluster during a run with swap; -1: unchanged */
	struct journal *journal; /* in memory shared with the guardian */
	struct guardian guardian;
};

/* Takes a name that only one comparison can have. The kernel frees it when the last process that
 * holds it ends, which may be the guardian. => 0 or -errno, printed */
int peer_only_one(void);

/* Checks that this machine and this user can do it (prints why not), makes a temporary directory in
 * `directory` and starts the guardian. Nothing else is changed. swap: whether there will be runs
 * with swap. => 0 or -errno. */
int peer_create(
    struct peer *p, enum peer_kind kind, bool swap, int page_cluster, const char *directory);
/* Undoes everything and waits for the guardian. */
void peer_destroy(struct peer *p);

/* Turns swap on, unless swap_bytes is 0, and makes the cgroup, without a limit. => 0; or -errno:
 * everything is undone. */
int peer_begin(struct peer *p, uint64_t swap_bytes);
/* Undoes peer_begin. => 0 or -errno, printed. */
int peer_end(struct peer *p);
/* The greatest size of the zram pool since peer_begin, in bytes of memory; 0 for a swap file. */
uint64_t peer_pool_max_bytes(const struct peer *p);
/* The pool's content: uncompressed bytes / compressed bytes; 0 when it is empty. */
double peer_pool_ratio(const struct peer *p);

#endif
