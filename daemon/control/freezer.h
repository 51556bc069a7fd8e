/* SPDX-License-Identifier: MIT
 *
 * The freezer: one process after the other is frozen or thawed, in pieces, between which others'
 * jobs pass. Nobody waits for it. Runs on: the control loop, and jobs.
 */
#ifndef FREEZER_H
#define FREEZER_H

struct daemon;

/* => 0 or -ENOMEM */
int freezer_create(struct daemon *d);
void freezer_destroy(struct daemon *d);
/* Begins with the next process that is to be frozen or thawed, if none is under way. */
void freezer_look(struct daemon *d);
/* Takes up no other process; `ended` is called when the one under way is done. */
void freezer_end(struct daemon *d, void (*ended)(struct daemon *d));

#endif
