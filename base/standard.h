/* SPDX-License-Identifier: MIT
 *
 * The standard streams of our programs, which may be closed, or may not take the output.
 */
#ifndef BASE_STANDARD_H
#define BASE_STANDARD_H

/* The first thing in main. If descriptor 0, 1 or 2 is closed, it is opened on something that can be
 * neither read nor written. Otherwise a file or socket opened later would get that number, and
 * messages would be written into it. Ends the process with status 1 if that is not possible. */
void standard_open(const char *program);
/* The last thing in main. If status is 0, checks that standard output has taken everything, and
 * reports on standard error if it has not. Nothing may be written afterwards. => the exit status:
 * the one given, or 1 */
int standard_finish(const char *program, int status);

#endif
