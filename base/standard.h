/* SPDX-License-Identifier: MIT
 *
 * The standard streams of our programs, which nobody promises to be open, or to take what is
 * written.
 */
#ifndef BASE_STANDARD_H
#define BASE_STANDARD_H

/* The first thing in main. Where descriptor 0, 1 or 2 is closed, something is put there that can
 * be neither read nor written, so that no file or socket opened later gets that number and a
 * message into its content. Ends the process with status 1 if that is not possible. */
void standard_open(const char *program);
/* The last thing in main: where all went well (status 0), standard output must have taken
 * everything; if not, says so on standard error. Nothing may be written after it. => the exit
 * status: the one given, or 1 */
int standard_finish(const char *program, int status);

#endif
