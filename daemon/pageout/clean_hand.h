/* SPDX-License-Identifier: MIT
 *
 * The cleaner's hands: threads that make its calls on clients' memory, which may last as long as a
 * client likes. The cleaner itself makes none, so no client delays what it does for others. It
 * gives work, which waits in the queue of its object's lane, and takes it back when it is done.
 * An object is in one hand at a time, and one user's objects are in half of the common lane's. A
 * client that holds a hand up is moved to a side lane (watch/watcher.h), which has a hand for such
 * clients, and ended in the end.
 */
#ifndef CLEAN_HAND_H
#define CLEAN_HAND_H

#include "pageout/cleaner_priv.h"

/* => 0 or -errno; clean_hands_fini also after a failure */
int clean_hands_start(struct daemon *d, struct clean_hands *h);
/* Waits until each hand has finished what it has. */
void clean_hands_stop(struct clean_hands *h);
void clean_hands_fini(struct clean_hands *h);

/* Gives work for an object that is in no hand: WORK_GATHER and WORK_LEAVE of a run, WORK_VISIT.
 * The object and the run stay until it has been taken back. => false: there is no place for more.
 * Runs on: the cleaner, here and below; no lock held */
bool clean_work_give(struct clean_hands *h, struct clean_work work);
/* Takes back what is done. => false: nothing is */
bool clean_work_take(struct clean_hands *h, struct clean_work *ret);

#endif
