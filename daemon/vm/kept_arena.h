/* SPDX-License-Identifier: MIT
 *
 * A table of the daemon's that outlives its workers.
 */
#ifndef KEPT_ARENA_H
#define KEPT_ARENA_H

#include "arena.h"
#include "keeper/kept.h"

struct daemon;

/* Maps what the worker before this one has left by that name, or a new one, which the keeper has
 * from then on. The descriptor is the caller's. => NULL: errno says why not, EPROTO: it is of
 * another build */
void *kept_arena_open(
    struct daemon *d, enum kept_kind kind, const struct arena_shape *shape, int *ret_fd);

#endif
