/* SPDX-License-Identifier: MIT
 *
 * A private pagerd that pages as pagersim does, steered over its control socket. Functions return 0
 * or -errno, and print what went wrong.
 */
#ifndef BENCH_POLICY_DAEMON_H
#define BENCH_POLICY_DAEMON_H

#include "plan.h"

struct policy_daemon;

int policy_daemon_start(const struct policies *p, struct policy_daemon **ret);
void policy_daemon_stop(struct policy_daemon *pd);
const char *policy_daemon_socket(const struct policy_daemon *pd);
/* frames: the resident pages that the policy may have; 0: all frames. */
int policy_daemon_set(struct policy_daemon *pd, const char *policy, uint32_t frames);
/* Counts since the daemon's start. */
int policy_daemon_counts(struct policy_daemon *pd, struct policy_counts *ret);
/* window: pages that stay mapped while recording. */
int policy_daemon_record(struct policy_daemon *pd, const char *path, unsigned window);
int policy_daemon_record_end(struct policy_daemon *pd);

#endif
