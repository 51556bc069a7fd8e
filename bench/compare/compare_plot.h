/* SPDX-License-Identifier: MIT */
#ifndef BENCH_COMPARE_PLOT_H
#define BENCH_COMPARE_PLOT_H

#include "compare_rows.h"

/* Draws the ratios of the figures that have a target: median, least and greatest. Prints what went
 * wrong. => 0 or -errno. */
int plot_write(const char *path, const struct row_result *rows, unsigned count);

#endif
