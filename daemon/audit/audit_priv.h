/* SPDX-License-Identifier: MIT
 *
 * The parts of the audit, each under the locks that make what it looks at agree.
 */
#ifndef AUDIT_PRIV_H
#define AUDIT_PRIV_H

#include "audit/report.h"

/* => No lock held. Run on: as check_books */
void check_frames(struct daemon *d, struct report *r);
void check_ledgers(struct daemon *d, struct report *r);
void check_copies(struct daemon *d, struct report *r);
void check_objects(struct daemon *d, struct report *r);
/* An object's slots, blocks, page lists and mappings. */
void check_object_books(struct daemon *d, struct report *r, struct vm_object *o);
void check_tables(struct daemon *d, struct report *r);
/* The daemon's own memory. */
void check_own(struct daemon *d, struct report *r);
void check_clients(struct daemon *d, struct report *r);
void check_storage(struct daemon *d, struct report *r);

#endif
