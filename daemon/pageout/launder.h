/* SPDX-License-Identifier: MIT
 *
 * Laundering: victims are write-protected, stored, punched out and freed. Runs on: the worker's own
 * thread.
 */
#ifndef LAUNDER_H
#define LAUNDER_H

#include "pageout/worker.h"

/* The first w->chosen of w->victims, sorted, an object after the other: while
 * one client holds a call up no page of another is busy. What is another lane's goes to that lane's
 * worker. => frames freed */
unsigned launder(struct pageout_worker *w);
/* Victims of one object that are CLEANING and ours already, sorted. => frames freed */
unsigned launder_begun(struct pageout_worker *w, struct victim *victims, unsigned count);

#endif
