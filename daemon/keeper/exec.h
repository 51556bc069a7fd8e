/* SPDX-License-Identifier: MIT
 *
 * From a keeper to a worker of another program.
 */
#ifndef KEEPER_EXEC_H
#define KEEPER_EXEC_H

#include "keeper/kept.h"

/* Executes the program as a worker: this process's descriptors of the link go along. It comes back
 * only where that is not possible. */
void keeper_exec(int binary, char *const *arguments, const struct keeper_link *link);
/* In that program, with the descriptor that is the last argument. => 0; -EPROTO: it is no table, or
 * one of another version; or -errno */
int keeper_link_open(int table, struct keeper_link *ret);

#endif
