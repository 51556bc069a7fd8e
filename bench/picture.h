/* SPDX-License-Identifier: MIT */
#ifndef BENCH_PICTURE_H
#define BENCH_PICTURE_H

#include <stdio.h>

/* Has gnuplot draw a script (gnuplot.h) into the SVG file `path`, and closes the script. NULL:
 * there is none, and errno says why. Prints what went wrong. => 0 or -errno. */
int picture_write(FILE *script, const char *path);

#endif
