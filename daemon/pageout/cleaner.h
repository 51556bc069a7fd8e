/* SPDX-License-Identifier: MIT
 *
 * The cleaner: a thread that writes dirty pages to the places that their pagers have for them, and
 * lets go of objects that nobody maps any more. Requests come by pagers/returns.h.
 */
#ifndef CLEANER_H
#define CLEANER_H

struct daemon;

/* => 0 or -errno; cleaner_fini also after a failure */
int cleaner_start(struct daemon *d);
/* Writes what is dirty, and ends. Pages that cannot be written are lost: the log says so. => there
 * is no session any more */
void cleaner_stop(struct daemon *d);
void cleaner_fini(struct daemon *d);

#endif
