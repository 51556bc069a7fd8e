/* SPDX-License-Identifier: MIT
 *
 * Reads the statistics segment. It describes itself: nothing here knows a statistic by name.
 */
#ifndef STATREAD_H
#define STATREAD_H

#include <stddef.h>
#include <stdint.h>

#include "chan.h"
#include "pager/shmstat.h"

struct statread {
	const struct shmstat_header *header;
	const struct shmstat_descriptor *descriptors;
	size_t bytes;
	uint32_t count;
};

/* => 0; -errno of the request or of mmap; -EPROTO: the segment cannot be read. */
int statread_open(struct chan *c, struct statread *ret);
void statread_close(struct statread *s);
/* Asks for the segment again, so that the daemon brings its gauges up to date.
 * => 0 or -errno: the daemon may have ended. */
int statread_refresh(struct chan *c);

/* Stores one value for each row. QUEUE rows are consistent with each other. => 0; -EAGAIN: the
 * daemon stopped in the middle of a change. */
int statread_snapshot(const struct statread *s, int64_t *values);
/* => the row's index; -1: this daemon has no statistic of that name. */
int statread_find(const struct statread *s, const char *name);

#endif
