/* SPDX-License-Identifier: MIT
 *
 * What a worker that died has left, and cannot be. A record that is damaged does not say what its
 * client's memory is, and a row that is damaged not where an object's pages are. A client that
 * depends on that is ended rather than served wrong bytes, and nobody else is: its record does not
 * count from then on, and the worker that has found it ends itself, because what it has made of it
 * so far cannot be taken apart. The next one finds a client less, so this ends.
 * Runs on: the main thread, before there are others.
 */
#ifndef TAKEOVER_WRONG_H
#define TAKEOVER_WRONG_H

#include "daemon.h"
#include "vm/kept_object.h"
#include "vm/kept_task.h"

/* What of an object's row cannot be. => NULL: nothing */
const char *row_wrong(const struct daemon *d, const struct kept_object *row);
/* Looks at the records of all clients, before anything is made of them. Does not come back if one
 * of them cannot be. */
void records_look(struct daemon *d);
/* This worker ends: clients were forsaken (task_record_forsake). */
void takeover_again(void) NORETURN;

#endif
