/* SPDX-License-Identifier: MIT
 *
 * The results of a replay, printed or drawn.
 */
#ifndef PAGERSIM_REPORT_H
#define PAGERSIM_REPORT_H

#include <stdio.h>

#include "replay.h"

void report_table(const struct replay *r, FILE *out);
void report_tsv(const struct replay *r, FILE *out);
/* => 0 or a negative errno, printed. */
int report_json(const struct replay *r, FILE *out);
/* Draws an SVG picture with gnuplot. => 0 or a negative errno, printed. */
int report_plot(const struct replay *r, const char *path);

#endif
