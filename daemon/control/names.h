/* SPDX-License-Identifier: MIT
 *
 * Named entries' ends: the control loop sees the last copy of a descriptor closed, and has the
 * pages discarded that nobody else keeps.
 */
#ifndef NAMES_H
#define NAMES_H

#include <uv.h>

#include "vm/named_entry.h"

struct names;

/* => 0 or -ENOMEM. Runs on: the control loop, here and below */
int names_create(struct daemon *d, uv_loop_t *loop);
void names_destroy(struct daemon *d);
/* From now on the entry is watched. => 0 or -errno: it is the caller's still */
int names_add(struct daemon *d, struct named_entry *entry);
/* All entries end, whoever holds descriptors of them; `gone` is called when their pages have been
 * discarded. Called when all sessions have ended. */
void names_end(struct daemon *d, void (*gone)(struct daemon *d));

#endif
