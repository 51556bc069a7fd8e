/* SPDX-License-Identifier: MIT
 *
 * The workload engine: the same scenarios over any backend. Fill, warm up, measure, verify.
 */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include "scenario.h"

/* Several runs (of one scenario) are measured in short slices in turn, so that changes in the
 * machine's speed affect all alike. configs, ret: [count].
 * => 0; -EINVAL: several runs of a scenario_has_rounds; another -errno. Bad pages are no error. */
int workload_run(
    const struct workload_config *configs, unsigned count, struct workload_result *ret);

#endif
