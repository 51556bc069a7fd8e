/* SPDX-License-Identifier: MIT
 *
 * Shared regions, after Mach's shared memory server: a range of
 * addresses that is the same in every process, in which files are loaded. The daemon says where a
 * file lies, the same for all who load it; a client maps its parts there by itself, as any file
 * (MAP_FILE for text, COPY_FILE for data), with a descriptor of its own. So text is one set of
 * frames, data is shared until it is written, and nobody gets at a file that could not be opened.
 *
 * A set of regions says which file lies where. There is one for all processes, and a process may
 * begin another one for itself and its children, in which what it has loaded stays. A file has its
 * place as long as a task has it loaded. Runs on: jobs, no lock held.
 */
#ifndef SHARED_H
#define SHARED_H

#include "pager/proto.h"
#include "region/range.h"

/* Files in one set of regions; one user's are a quarter, and take a quarter of the addresses. */
#define SHARED_FILES_MAX 4096u
/* Addresses are multiples of it. */
#define SHARED_ALIGN (2ull << 20)

/* => 0 or -ENOMEM */
int shared_table_create(struct daemon *d);
void shared_table_destroy(struct daemon *d);
/* What is wrong with the parts of a file. => 0 and *ret_size, of all of them and what is in
 * between; or -EINVAL */
int shared_parts_check(const struct daemon *d, const struct pager_shared_part *parts,
    uint32_t count, uint64_t *ret_size);
/* The task has the file loaded from now on. in: of which parts and flags are valid, `size` as
 * shared_parts_check says. => 0, *ret_address and whether another task has it; -EALREADY: the task
 * has; -EEXIST: another file is there, or this one is elsewhere; -ENOSPC: no room; -ENOMEM; or as
 * vnode_get */
int shared_file_load(struct task *task, int fd, const struct pager_req_shared_load *in,
    uint64_t size, uint64_t *ret_address, bool *ret_is_loaded);
/* It has not, whatever it has mapped. => 0; -ENOENT: it has no file there. Here and below */
int shared_file_unload(struct task *task, uint64_t address);
/* The next piece of the parts that are the task's own is as the file is, or zeroes. *progress: 0 at
 * first. => 0 and whether there is *more; or as region_copy_check_destination and region_copy_file
 */
int shared_file_reset(
    const struct range *job, uint64_t address, uint64_t *progress, bool *ret_more);
/* What the task loads from now on comes into other regions: `for_all`: so does what those load that
 * have loaded nothing yet. => 0 or -ENOMEM */
int shared_regions_new(struct task *task, bool for_all);
/* A child has loaded what its parent has. => 0 or -ENOMEM */
int shared_inherit(struct task *parent, struct task *child);
/* The task has ended. */
void shared_drop(struct task *task);

#endif
