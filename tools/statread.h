/* SPDX-License-Identifier: MIT
 *
 * Reads the statistics segment. It describes itself: nothing in here knows a statistic by name.
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

/* => 0; -errno of the request or of mmap; -EPROTO: not a segment that can be read. */
int statread_open(struct chan *c, struct statread *ret);
void statread_close(struct statread *s);
/* Asks for the segment again: the daemon brings its gauges up to date, or turns out to be gone. =>
 * 0 or -errno. */
int statread_refresh(struct chan *c);

/* One value a row. QUEUE rows agree with each other. => 0; -EAGAIN: the daemon stopped in the
 * middle of a change. */
int statread_snapshot(const struct statread *s, int64_t *values);
/* => the row's index, or -1: this daemon has none of that name. */
int statread_find(const struct statread *s, const char *name);

#endif
