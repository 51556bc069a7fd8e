/* SPDX-License-Identifier: MIT */
#ifndef BENCH_POLICIES_PLOT_H
#define BENCH_POLICIES_PLOT_H

#include "plan.h"

/* Draws the pictures into an SVG file. => 0 or -errno; prints what went wrong. */
int policies_plot(const struct policies *p, const char *path);

#endif
