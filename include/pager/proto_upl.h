/* SPDX-License-Identifier: MIT
 *
 * Bodies of the messages about page lists: UPL_CREATE, UPL_FINISH. A part of pager/proto.h.
 */
#ifndef PAGER_PROTO_UPL_H
#define PAGER_PROTO_UPL_H

#include <stdint.h>

#include "pager/pager.h"

/* A page list: a range whose pages are taken from all threads of the client until they are handed
 * back. flags: enum pager_upl_flags. The content of the pages that the list holds lies in the
 * memfd, at object_offset for the first page of the range. Errors: -ENOTSUP: others may see the
 * memory; -EACCES: the range's protection does not allow it; -EBUSY: another list of the client's
 * covers some of it; -EAGAIN: the limit on wired memory is reached, or that on lists; -ENOBUFS:
 * there is no frame for the first page now: the client waits for one by touching memory, and asks
 * again. */
struct pager_req_upl_create {
	uint64_t address, size;
	uint32_t flags;
	uint32_t reserved;
};
/* What a page was when the list was made. With PAGER_WIRE_UPL_HELD: the list has it. */
enum pager_wire_upl_page {
	PAGER_WIRE_UPL_ABSENT,
	PAGER_WIRE_UPL_STORED,
	PAGER_WIRE_UPL_CLEAN,
	PAGER_WIRE_UPL_DIRTY,
	PAGER_WIRE_UPL_SPECULATIVE,
	PAGER_WIRE_UPL_WIRED,
	PAGER_WIRE_UPL_BUSY,
	PAGER_WIRE_UPL_LOST,
};
#define PAGER_WIRE_UPL_HELD  8u
#define PAGER_WIRE_UPL_FLAGS ((uint32_t)(PAGER_UPL_QUERY_OBJECT_TYPE * 2 - 1))
#define PAGER_UPL_BYTES_MAX  (64ull << 20)
#define PAGER_UPL_PAGES_MAX  16384u
struct pager_rep_upl_create { /* carries the memfd, unless only the type was asked for */
	uint64_t id;
	uint64_t size; /* of the range that it covers, which may be less than was asked for */
	uint64_t object_offset;
	uint32_t held;        /* pages */
	uint32_t object_type; /* enum pager_upl_object_type, if that was asked for */
	/* With PAGER_UPL_SET_INTERNAL: two pages a byte, the first one in the low bits; only as
	 * many bytes as there are pages for are sent. */
	uint8_t pages[PAGER_UPL_PAGES_MAX / 2];
};

enum pager_wire_upl_what {
	PAGER_WIRE_UPL_COMMIT = 1,
	PAGER_WIRE_UPL_ABORT = 2,
	PAGER_WIRE_UPL_DESTROY = 3, /* aborts all; offset, size and flags are 0 */
};
/* offset and size are multiples of the page size; a range that goes beyond the list is -EINVAL, and
 * nothing has changed. -ENOENT: there is no such list. */
struct pager_req_upl_finish {
	uint64_t id, offset, size;
	uint32_t what;  /* enum pager_wire_upl_what */
	uint32_t flags; /* enum pager_upl_commit_flags or pager_upl_abort_flags */
};
struct pager_rep_upl_finish {
	uint32_t held;  /* pages that the list still has */
	uint32_t ended; /* the list is gone */
};

_Static_assert(sizeof(struct pager_req_upl_create) == 24, "wire layout");
_Static_assert(sizeof(struct pager_req_upl_finish) == 32, "wire layout");

#endif
