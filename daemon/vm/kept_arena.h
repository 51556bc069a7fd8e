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
/* This worker's end of it. NULL: there is none */
void kept_arena_close(void *content, int fd, const struct arena_shape *shape);
/* Rows below may be in use. To look at what has no memory would give it some. */
unsigned kept_arena_rows(int fd, const struct arena_shape *shape);

#endif
