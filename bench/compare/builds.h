/* SPDX-License-Identifier: MIT
 *
 * Another build of pagerd, to compare with this one. Protocol, library and statistics of two builds
 * may differ, so the pagerbench of each build drives the daemon of that build.
 */
#ifndef BENCH_BUILDS_H
#define BENCH_BUILDS_H

#include <limits.h>

/* In one round both builds run, and the other build runs a second time: its difference from itself
 * is noise. */
#define BUILD_RUNS 3

enum build_run {
	BUILD_OTHER,
	BUILD_THIS,
	BUILD_OTHER_AGAIN,
};

struct build {
	char daemon[PATH_MAX];
	char bench[PATH_MAX]; /* empty: there is none, so this program drives the daemon */
};

/* path: a build directory, the prefix of an installation, or the daemon's file in one of these.
 * Prints what is missing. => 0 or -errno. */
int build_find(const char *path, struct build *ret);
/* => the k-th run of a round. Over six rounds each run has each place, and follows each other run,
 * equally often. */
enum build_run build_order(unsigned round, unsigned k);

#endif
