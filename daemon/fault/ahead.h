/* SPDX-License-Identifier: MIT
 *
 * Reading files ahead of a run. The pages come while the client works on those before them, and are
 * mapped by soft faults, many at a time; each such fault asks for more.
 */
#ifndef AHEAD_H
#define AHEAD_H

#include "fault/target.h"

/* The fault is on a run, and pages below `from` are there or on their way: begins to read what lies
 * behind them, as far as memory and the seat allow. => no lock held, the target's object kept */
void ahead_read(
    struct fault_server *server, const struct fault *f, const struct target *t, uint64_t from);

#endif
