/* SPDX-License-Identifier: MIT
 *
 * Bodies of the messages about files: MAP_FILE, COPY_FILE, MSYNC, SHARED_LOAD, SHARED_CHANGE. A
 * part of pager/proto.h.
 */
#ifndef PAGER_PROTO_FILE_H
#define PAGER_PROTO_FILE_H

#include <stdint.h>

#include "pager/shared.h"

/* Carries the file's descriptor. offset: in the file, a multiple of the page size. The client maps
 * the memfd it gets, as for MAP_ENTRY, over the first `size` bytes of the range, and asks again for
 * the rest: a part of a file that spans several objects needs several. flags: 0. */
struct pager_req_map_file {
	uint64_t address, size, offset;
	uint32_t protection;
	uint32_t flags;
};
struct pager_rep_map_file { /* carries the memfd */
	uint64_t object_id, object_offset, size;
};
struct pager_req_msync {
	uint64_t address, size;
	uint32_t flags; /* PAGER_MSYNC_* */
	uint32_t reserved;
};
struct pager_rep_msync {
	uint64_t reserved;
};
/* The range, which is the client's anonymous memory, has what the file has from `offset` on. All
 * are multiples of the page size. What was there is discarded. Errors: -EINVAL: not all of it is
 * allocated; -EACCES: its protection, or the descriptor; -EOPNOTSUPP: it is wired, of a file or of
 * a device, or the file system is not for strict files; -EBUSY: a page list covers some; -ENODEV:
 * no regular file; -ENOMEM: too many private mappings, or limits. Where a request has failed a part
 * of the range may have changed. */
struct pager_req_copy_file {
	uint64_t address, size, offset;
};
struct pager_rep_copy_file {
	uint64_t reserved;
};
/* Carries the file's descriptor, open for reading. flags: PAGER_SHARED_AT, and then address, and
 * PAGER_SHARED_ALTERNATE. The first `count` parts are valid, whose sizes are whole pages. The
 * client maps them at the answer's address, or tells UNLOAD. Errors: -EALREADY: it has the file;
 * -EEXIST; -ENOSPC; -EINVAL; or as MAP_FILE. */
struct pager_req_shared_load {
	uint64_t address;
	uint32_t flags;
	uint32_t count;
	struct pager_shared_part parts[PAGER_SHARED_PARTS_MAX];
};
struct pager_rep_shared_load {
	uint64_t address;
	uint32_t status; /* PAGER_SHARED_WAS_LOADED or 0 */
	uint32_t reserved;
};
enum pager_shared_what {
	PAGER_SHARED_UNLOAD = 1,
	PAGER_SHARED_RESET = 2,       /* its own parts are as the file is, or zeroes */
	PAGER_SHARED_NEW = 3,         /* address: 0; here and below */
	PAGER_SHARED_NEW_FOR_ALL = 4, /* CONTROL */
};
/* Errors: -ENOENT: the client has loaded nothing at the address; of RESET also those of COPY_FILE;
 * -EPERM; -EINVAL. */
struct pager_req_shared_change {
	uint32_t what; /* enum pager_shared_what */
	uint32_t reserved;
	uint64_t address; /* of a loaded file */
};
struct pager_rep_shared_change {
	uint64_t reserved;
};

_Static_assert(sizeof(struct pager_req_copy_file) == 24, "wire layout");
_Static_assert(sizeof(struct pager_shared_part) == 32, "wire layout");
_Static_assert(
    sizeof(struct pager_req_shared_load) == 16 + 32 * PAGER_SHARED_PARTS_MAX, "wire layout");
_Static_assert(sizeof(struct pager_req_shared_change) == 16, "wire layout");

#endif
