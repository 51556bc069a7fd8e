/* SPDX-License-Identifier: MIT
 *
 * A private memory cgroup, in version 1 or 2 of the hierarchy.
 */
#ifndef BENCH_CGROUP_H
#define BENCH_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

struct cgroup_root {
	int version;    /* 1 or 2 */
	char path[256]; /* where the memory controller is mounted */
};

/* mounts: the file to read, /proc/mounts but for tests. => 0; -ENOENT: no hierarchy has the memory
 * controller. */
int cgroup_find(const char *mounts, struct cgroup_root *ret);
/* Version 2: whether the root does not yet offer the memory controller to its children. */
bool cgroup_needs_subtree(const struct cgroup_root *root);
int cgroup_set_subtree(const struct cgroup_root *root, bool on);

/* path: the group's directory, below root. => 0 or -errno. */
int cgroup_make(const char *path);
int cgroup_limit(const struct cgroup_root *root, const char *path, uint64_t bytes);
int cgroup_usage(const struct cgroup_root *root, const char *path, uint64_t *ret_bytes);
uint64_t cgroup_oom_kills(const struct cgroup_root *root, const char *path);
/* Kills all processes in the group (all were put there by pagerbench), waits for their end, removes
 * the group. */
int cgroup_remove(const char *path);

#endif
