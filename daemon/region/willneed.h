/* SPDX-License-Identifier: MIT
 *
 * WILLNEED of files: pages are read before they are touched, by a thread of its own, and the
 * request does not wait. It is a hint: what does not fit into memory that is free, or into the
 * list of requests, is not read.
 */
#ifndef WILLNEED_H
#define WILLNEED_H

#include "region/range.h"

/* => 0 or -errno; willneed_fini also after a failure */
int willneed_start(struct daemon *d);
/* Waits for the reads under way. => there is no session any more */
void willneed_stop(struct daemon *d);
void willneed_fini(struct daemon *d);
/* Pages of files in the range are to be read, but for wired entries, all of whose pages are there.
 * Runs on: jobs, no lock held */
void willneed_ask(const struct range *range);

#endif
