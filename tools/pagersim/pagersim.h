/* SPDX-License-Identifier: MIT
 *
 * pagersim's own: messages, progress, and one entry per subcommand.
 */
#ifndef PAGERSIM_H
#define PAGERSIM_H

#include <stdint.h>

#include "base.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* "pagersim: message" on stderr. => error, so that `return error_print(-EINVAL, ...)` reads well.
 */
int error_print(int error, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* A bar on stderr when it is a terminal and the work has taken more than half a second. One thread.
 */
void progress_update(const char *what, uint64_t done, uint64_t total);
void progress_end(void);

/* argv[0] is the subcommand. => exit status. */
int cmd_replay(int argc, char **argv);
int cmd_generate(int argc, char **argv);
int cmd_convert(int argc, char **argv);
int cmd_policies(int argc, char **argv);

#endif
