/* SPDX-License-Identifier: MIT
 *
 * Another build of pagerd, to be compared with this one. Protocol, library and statistics of two
 * builds may differ, so each build's daemon is driven by the pagerbench of the same build.
 */
#ifndef BENCH_BUILDS_H
#define BENCH_BUILDS_H

#include <limits.h>

/* In one round both builds run, and the other build once more: what it differs from itself is
 * noise. */
#define BUILD_RUNS 3

enum build_run {
	BUILD_OTHER,
	BUILD_THIS,
	BUILD_OTHER_AGAIN,
};

struct build {
	char daemon[PATH_MAX];
	char bench[PATH_MAX]; /* empty: there is none, this program drives it */
};

/* path: a build directory, the prefix of an installation, or the file of the daemon, beside which
 * pagerbench is looked for as either of them has it. Says on standard error what is missing.
 * => 0 or -errno */
int build_find(const char *path, struct build *ret);
/* Who is k-th in a round. Over six rounds each is in each place, and behind each other, equally
 * often. */
enum build_run build_order(unsigned round, unsigned k);

#endif
