/* SPDX-License-Identifier: MIT
 *
 * Dirty pages of files in a range are written, and a request waits for that: its handler is called
 * again when some have been.
 */
#ifndef FLUSH_H
#define FLUSH_H

#include "control/request.h"
#include "region/range.h"

/* The request begins to flush the range. => 0 or -ENOMEM */
int flush_begin(struct request *r, const struct range *range);
/* Goes on with it. flags: of MSYNC; 0: the content is in the files, and perhaps not on disk yet. =>
 * whether it is over; false: the request parks until it goes on */
bool flush_step(struct request *r, struct range *range, unsigned flags);
/* => 0, or the first -errno that was met */
int flush_error(const struct request *r);
/* Begins and goes on, if anything in the range may be dirty. Errors are kept for MSYNC. => as
 * flush_step */
bool flush_quietly(struct request *r, struct range *range);

#endif
