/* SPDX-License-Identifier: MIT
 *
 * Pictures drawn by gnuplot(1), a program that need not be installed.
 */
#ifndef GNUPLOT_H
#define GNUPLOT_H

#include <stdio.h>

/* Has gnuplot run a script and copies the SVG picture that it draws to `to`. script: a file written
 * from its beginning (tmpfile()); it sets the terminal, and no output. gnuplot prints on standard
 * error what is wrong with a script. => 0; -ENOENT: gnuplot is not installed; -EPROTO: gnuplot
 * failed; another -errno: no process, no temporary file, or `to` could not be written. */
int gnuplot_draw(FILE *script, FILE *to);
/* What to tell the user about an error of gnuplot_draw. */
const char *gnuplot_strerror(int error);
/* Writes a text into a script as a string of gnuplot, quoted. */
void gnuplot_quote(FILE *script, const char *text);

#endif
