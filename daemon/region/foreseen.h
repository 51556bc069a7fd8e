/* SPDX-License-Identifier: MIT
 *
 * The thread of profiles (record/profiles.h): takes notes of what comes back, brings in what came
 * next in the last run, and writes what this run was when it has ended. It takes no frame that
 * pageout would have to make for it, and waits for nothing but its own reads of swap and notes.
 */
#ifndef FORESEEN_H
#define FORESEEN_H

#include "daemon.h"

/* => 0 or -errno; foreseen_fini also after a failure */
int foreseen_start(struct daemon *d);
/* All runs end, and are written. => there is no session any more */
void foreseen_stop(struct daemon *d);
void foreseen_fini(struct daemon *d);

#endif
