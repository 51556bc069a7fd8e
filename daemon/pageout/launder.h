/* SPDX-License-Identifier: MIT
 *
 * Laundering: victims are write-protected, stored, punched out of the memfd and freed. Runs on: the
 * worker's own thread.
 */
#ifndef LAUNDER_H
#define LAUNDER_H

#include "pageout/worker.h"

/* Launders the victims of the batch that have not been begun (w->victims, sorted by page), one
 * object after the other: while one client holds a call up, no page of another one is busy. Victims
 * of other lanes' clients go to those lanes' workers. => frames freed; no lock held */
unsigned launder(struct pageout_worker *w);
/* Launders sorted victims of one object that the caller has made CLEANING. => frames freed; no lock
 * held */
unsigned launder_begun(struct pageout_worker *w, struct victim *victims, unsigned count);

#endif
