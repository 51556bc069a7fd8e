/* SPDX-License-Identifier: MIT
 *
 * The workload engine: the same scenarios over any backend. Fill, warm up, measure, verify.
 */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include "scenario.h"

/* Several (of one scenario) are measured in short slices in turn, so that a machine whose speed
 * wanders is the same to each; not where scenario_has_rounds: -EINVAL. configs, ret: [count].
 * => 0 or -errno; bad pages are not an error here. */
int workload_run(
    const struct workload_config *configs, unsigned count, struct workload_result *ret);

#endif
