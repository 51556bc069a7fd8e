/* SPDX-License-Identifier: MIT
 *
 * Names and views, for the requests that end with one.
 */
#ifndef HANDLE_ENTRY_H
#define HANDLE_ENTRY_H

#include "control/request.h"
#include "region/range.h"
#include "vm/named_entry.h"

/* Whether it is PROT_READ, or PROT_READ | PROT_WRITE. */
bool protection_is_valid(uint32_t protection);

/* The object's memfd, or a description of it that can only be read, which is to be closed
 * (*ret_given). => 0 or -errno. Runs on: jobs, control loop */
int view_descriptor(const struct vm_object *o, bool is_read_only, int *ret_fd, bool *ret_given);
/* The reply gets that. => 0 or -errno. Runs on: jobs, control loop */
int view_open(struct request *r, const struct vm_object *o, bool is_read_only);
/* What a client is told of what it maps. */
struct view {
	uint64_t object_id, object_offset;
	uint32_t flags, cache_mode;
};
/* Pages under a name come into the range, `offset` bytes behind its first page; the reply gets the
 * memfd, with no more rights than the protection. => 0 or -errno. Runs on: jobs */
int view_map(struct request *r, const struct named_range *name, struct range *range,
    uint64_t offset, uint32_t protection, struct view *ret);

#endif
