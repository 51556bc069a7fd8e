/* SPDX-License-Identifier: MIT
 *
 * The command line.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>

#include "daemon.h"

/* Whose members may connect to a daemon of root's, unless --socket-mode says otherwise. */
#define OPTIONS_GROUP "pagerd"

/* Ends the program with a message; status 1: it failed, 2: usage. */
void NORETURN PRINTF_LIKE(2, 3) die(int status, const char *fmt, ...);
/* Fills in d->options, with defaults, and the parameters that are options. */
void options_parse(struct daemon *d, int argc, char **argv);
/* --private: the daemon is one run's, and its clients and the directory of its socket end with it.
 */
bool options_are_private(void);
/* Decides who may connect. A client gets an open /dev/userfaultfd, with which it can stop the
 * kernel in the middle of the kernel's own accesses to its memory: that is not for everybody,
 * unless the administrator says so. => root alone may connect, and nobody has asked for that */
bool options_choose_access(struct options *options);

#endif
