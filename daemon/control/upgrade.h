/* SPDX-License-Identifier: MIT
 *
 * Whether another program can take over from this worker: that program is asked (pagerd --arenas)
 * what it would make of the daemon's options, and that is compared with what this worker has made.
 */
#ifndef UPGRADE_H
#define UPGRADE_H

#include "daemon.h"

/* Around the making of arenas: what a program must have in common with this one becomes text. Runs
 * on: the main thread, before there are others. */
void upgrade_list_begin(struct daemon *d);
void upgrade_list_end(struct daemon *d, uint64_t segment_bytes);
/* Asks a program; takes up to ten seconds. Jobs, no lock held. => whether it can take over; if not,
 * a text for people */
bool upgrade_ask(struct daemon *d, int program, char *text, size_t size);
/* The same for two texts of that kind. */
bool upgrade_fits(const char *ours, const char *theirs, char *text, size_t size);

#endif
