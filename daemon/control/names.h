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
/* A name for the pages, of whose object the caller has a reference. account: pays for the
 * descriptor. *ret_fd: the descriptor that is to be handed out. => 0, -ENOMEM (also: the user has
 * its share), -EMFILE (also: the object has COVERS_MAX) or another -errno */
int names_make(
    struct daemon *d, const struct named_range *pages, struct share_account *account, int *ret_fd);
/* d->left_names are watched. */
void names_take_over(struct daemon *d);
/* All entries end, whoever holds descriptors of them; `gone` is called when their pages have been
 * discarded. Called when all sessions have ended. */
void names_end(struct daemon *d, void (*gone)(struct daemon *d));

#endif
