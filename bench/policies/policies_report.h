/* SPDX-License-Identifier: MIT */
#ifndef BENCH_POLICIES_REPORT_H
#define BENCH_POLICIES_REPORT_H

#include <stdio.h>

#include "plan.h"

/* The median of each count over the live runs. */
struct policy_counts policies_live(
    const struct policies *p, unsigned load, unsigned fraction, unsigned policy);
void policies_markdown(const struct policies *p, FILE *f);
/* => 0 or -errno, printed. */
int policies_tsv(const struct policies *p, const char *path);
/* On standard output. */
void policies_json(const struct policies *p);

#endif
