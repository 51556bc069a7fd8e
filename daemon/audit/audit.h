/* SPDX-License-Identifier: MIT
 *
 * The audit: every invariant of the daemon's tables, walked while the daemon works.
 */
#ifndef AUDIT_H
#define AUDIT_H

#include "audit/report.h"

/* report: begun by report_begin. No lock held. Runs on: jobs */
void check_all(struct daemon *d, struct report *report);
/* The same without clients' address spaces and page tables. Runs on: any thread */
void check_books(struct daemon *d, struct report *report);

#endif
