/* SPDX-License-Identifier: MIT
 *
 * The audit: every invariant of the daemon's tables, walked while the daemon works.
 */
#ifndef AUDIT_H
#define AUDIT_H

#include <stddef.h>

struct daemon;

/* => how many checks failed; the text gets a line for each. No lock held. Runs on: jobs */
unsigned check_all(struct daemon *d, char *text, size_t text_size, unsigned *ret_checks);

#endif
