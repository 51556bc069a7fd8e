/* SPDX-License-Identifier: MIT
 *
 * Faults that were answered with SIGBUS, and are answered truly when there is room, which takes the
 * poison away. No thread waits for that answer, and none will fault again on a page with poison: so
 * whatever keeps such a fault from being answered, it goes back to its list, and the lists are
 * looked at for as long as they have any.
 */
#ifndef REFUSED_H
#define REFUSED_H

#include "memorystatus/park.h"

/* A page gets SIGBUS, or has it and was not answered: its fault is kept if there is a place
 * (refused faults get half of the pool at most). */
void refused_keep(struct daemon *d, const struct fault *fault, enum refusal why);
/* The same. => PARK held */
void refused_keep_locked(struct park *k, const struct fault *fault, enum refusal why);
/* A refused fault that a server of the lane may answer now, taken out with its reference. => false:
 * none; no lock held */
bool refused_take(struct daemon *d, unsigned lane, struct fault *ret);
bool refused_take_tableless(struct daemon *d, unsigned lane, struct fault *ret);
bool refused_take_placeless(struct daemon *d, unsigned lane, struct fault *ret);
/* Forgets one refused fault of the task whose address is in [start, end). => false: there is
 * none */
bool refused_forget(
    struct daemon *d, struct task *task, uint64_t start, uint64_t end, uint64_t *ret_address);

/* Whether there is room for those that were refused for want of frames. Any thread. */
bool refused_have_room(const struct daemon *d);
/* Table memory has been given back: faults refused for want of it are looked at. Any thread, no
 * lock held. */
void refused_tables_freed(struct daemon *d);
/* Pagers may have pages that they had not: faults refused for want of them are looked at. Any
 * thread, no lock held. */
void refused_places_changed(struct daemon *d);
/* Has the tableless looked at now and then, whatever has been given back. Runs on: the writer. =>
 * no lock held */
void refused_tableless_look(struct daemon *d);

#endif
