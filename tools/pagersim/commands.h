/* SPDX-License-Identifier: MIT
 *
 * The subcommands. argv[0] is the subcommand's name. => exit status.
 */
#ifndef PAGERSIM_COMMANDS_H
#define PAGERSIM_COMMANDS_H

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

int cmd_replay(int argc, char **argv);
int cmd_generate(int argc, char **argv);
int cmd_convert(int argc, char **argv);
int cmd_policies(int argc, char **argv);

#endif
