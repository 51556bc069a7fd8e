/* SPDX-License-Identifier: MIT
 *
 * Bodies of the messages about copies: COPY, COPYIN, COPYOUT, COPY_DISCARD, SHARE_READS,
 * WINDOW_OPEN, WINDOW_DONE. A part of pager/proto.h.
 */
#ifndef PAGER_PROTO_COPY_H
#define PAGER_PROTO_COPY_H

#include <stdint.h>

/* Ranges are whole pages. Errors: -EINVAL: not all is allocated; -EACCES: a protection; -EBUSY: a
 * page list covers some; -EOPNOTSUPP: the client must copy by content; -ENOBUFS: likewise, now.
 * Where a request has failed the destination may have changed in part. */
struct pager_req_copy {
	uint64_t source, size, destination;
};
struct pager_rep_copy {
	uint64_t reserved;
};
struct pager_req_copyin {
	uint64_t source, size;
};
struct pager_rep_copyin {
	uint64_t copy; /* its number in this session */
};
struct pager_req_copyout {
	uint64_t copy, destination, size; /* size: the copy's */
};
struct pager_rep_copyout {
	uint64_t reserved;
};
struct pager_req_copy_discard {
	uint64_t copy;
};
struct pager_rep_copy_discard {
	uint64_t reserved;
};
/* Pages [address, +size) are to be seen where they were copied from. The answer is about the first
 * `size` bytes of them, which the client maps privately from the descriptor, at the offset. No
 * thread touches the range meanwhile. Errors: -EOPNOTSUPP: there is nothing that could be shown;
 * -EINVAL: it is not allocated; -ENOMEM. */
struct pager_req_share_reads {
	uint64_t address, size;
};
struct pager_rep_share_reads {
	uint64_t size, offset;
};
/* The pages around the address that come together. The answer, unless its size is 0, is followed by
 * WINDOW_DONE with its range. */
struct pager_req_window_open {
	uint64_t address;
};
struct pager_rep_window_open {
	uint64_t address, size;
	uint32_t protection, reserved;
};
struct pager_req_window_done {
	uint64_t address, size;
	uint32_t is_mapped; /* 1: the range is the copy's own memory; 0: it is as before */
	uint32_t reserved;
};
struct pager_rep_window_done {
	uint64_t reserved;
};

_Static_assert(sizeof(struct pager_req_share_reads) == 16, "wire layout");
_Static_assert(sizeof(struct pager_rep_share_reads) == 16, "wire layout");
_Static_assert(sizeof(struct pager_req_window_open) == 8, "wire layout");
_Static_assert(sizeof(struct pager_rep_window_open) == 24, "wire layout");
_Static_assert(sizeof(struct pager_req_window_done) == 24, "wire layout");
_Static_assert(sizeof(struct pager_req_copy) == 24, "wire layout");
_Static_assert(sizeof(struct pager_req_copyin) == 16, "wire layout");
_Static_assert(sizeof(struct pager_req_copyout) == 24, "wire layout");
_Static_assert(sizeof(struct pager_req_copy_discard) == 8, "wire layout");

#endif
