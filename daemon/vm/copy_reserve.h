/* SPDX-License-Identifier: MIT
 *
 * Links of copies that are there before they are needed. A range that leaves a line of copies may
 * part links at its ends, and its job can often not be refused: a client has ended, or what it has
 * given back was said to be gone. So that needs no memory. A job that splits links, and can be
 * refused, is refused while the reserve is not full and cannot be filled; those that cannot be
 * refused need COPY_SPLITS links each at most beyond those that they give back, since what they
 * link anew is joined with what they have linked before (vm/copy_link.c).
 *
 * => COPIES held in every _locked function; no lock in the others
 */
#ifndef COPY_RESERVE_H
#define COPY_RESERVE_H

#include <stdbool.h>

struct copy_link;
struct daemon;

/* Links that a range parts: above and below, at both of its ends. */
#define COPY_SPLITS 4u

/* => 0 or -ENOMEM */
int copy_reserve_create(struct daemon *d);
void copy_reserve_destroy(struct daemon *d);
/* The reserve has COPY_RESERVE links afterwards, if memory allows. => whether it has; if not, who
 * would split links is to be refused. */
bool copy_reserve_settle(struct daemon *d);
/* Waits, with the lock dropped meanwhile, until there are COPY_SPLITS links. As long as no more
 * jobs leave at a time than the reserve was made for, there are. */
void copy_reserve_await_locked(struct daemon *d);
struct copy_link *copy_reserve_take_locked(struct daemon *d);
/* Afterwards, with no lock, copy_reserve_settle frees what is too much. */
void copy_reserve_put_locked(struct daemon *d, struct copy_link *l);

#endif
