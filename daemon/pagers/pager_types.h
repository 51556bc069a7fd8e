/* SPDX-License-Identifier: MIT
 *
 * Words that pagers and their callers share.
 */
#ifndef PAGER_TYPES_H
#define PAGER_TYPES_H

#include <stdint.h>

#include "compressor.h"

/* The copy of every page of an external object that the pager has: pager.h. */
#define CREF_PLACE ((struct cref){ 1 })
/* The copy of a page that is equal to what is below it (vm/copy_link.h): as the above, a clean page
 * with it leaves for nothing, and becomes ABSENT. The compressor has no such handle. */
#define CREF_BELOW ((struct cref){ UINT64_C(3) << 58 })

/* A pager's answers. */
enum pager_result {
	PAGER_OK,
	PAGER_AWAY,  /* the content is not in memory: read it (read_begin) */
	PAGER_AGAIN, /* not now (no room, the channel is full), or it is in memory again: look again
		      */
	PAGER_LOST,  /* the content cannot be had any more */
	PAGER_FAILED /* an I/O error, or no such page now, which may be over the next time */
};

/* For how many of the pages that were asked for a pager has room. LATER: it takes pages only from
 * the cleaner (pageout/cleaner.h), which is to be asked. */
enum pager_room { PAGER_ROOM_NONE, PAGER_ROOM_SOME, PAGER_ROOM_ALL, PAGER_ROOM_LATER };

/* Most pages of one read. */
#define PAGER_READ_MAX 64u

/* A read of neighbours under way: the part of the pager's place that is read, and where in the
 * place each page lies. The pages are pinned there from read_begin to read_end. */
struct pager_read {
	uint64_t place;
	uint32_t offset, length;              /* bytes of the place; whole blocks of the disk */
	unsigned count;                       /* pages */
	uint64_t transferred;                 /* bytes, set when the read has ended */
	uint32_t page_offset[PAGER_READ_MAX]; /* in the place */
	uint64_t copies[PAGER_READ_MAX];
};

#endif
