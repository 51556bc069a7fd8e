/* SPDX-License-Identifier: MIT
 *
 * Shared regions: files lie at the same addresses in all processes that load them. A part of
 * pager/pager.h, which includes it; what is said there of all functions holds here. The idea is
 * Mach's shared memory server, and what XNU has made of it.
 */
#ifndef PAGER_SHARED_H
#define PAGER_SHARED_H

#include <stdint.h>

#include "pager/pager.h"

#ifdef __cplusplus
extern "C" {
#endif

struct pager;

#define PAGER_SHARED_BASE      0x580000000000ull /* where the regions begin */
#define PAGER_SHARED_BYTES     (1ull << 40)      /* and how large they are */
#define PAGER_SHARED_PARTS_MAX 8u
enum pager_shared_part_flags {
	PAGER_SHARED_COW = 1, /* data: the process's own once it is written, as PAGER_MAP_PRIVATE */
	PAGER_SHARED_ZERO = 2, /* zeroes, the process's own; file_offset is not used */
};
/* A part of a file. flags 0: text, which is only read, from frames that all
 * processes share; protection is PROT_READ then, else PROT_READ or PROT_READ | PROT_WRITE. Offsets
 * are multiples of the page size; size is in bytes, and counts in whole pages. */
struct pager_shared_part {
	uint64_t file_offset, size;
	uint64_t address_offset; /* from the file's address on */
	uint32_t protection;     /* PROT_* */
	uint32_t flags;          /* enum pager_shared_part_flags */
};
enum pager_shared_flags {
	PAGER_SHARED_AT = 1,        /* of load: at *address, which lies within the regions */
	PAGER_SHARED_ALTERNATE = 2, /* of load: or elsewhere, if that is not possible */
	PAGER_SHARED_FOR_ALL = 4,   /* of pager_shared_regions_new */
};
enum pager_shared_status {
	PAGER_SHARED_WAS_LOADED = 1, /* another process has loaded it */
};
/* Loads the file that fd names, which must be open for reading, and may be closed afterwards.
 * `count` parts, 1 to PAGER_SHARED_PARTS_MAX, which do not overlap. *address: where it lies, which
 * is the same in all processes that have loaded the file in these parts, of any user, and stays as
 * long as one of them has. *ret_status: enum pager_shared_status; may be NULL. A forked child has
 * what its parent has loaded; the parts may be given back with pager_deallocate. Errors: -EALREADY
 * (this process has loaded it), -EEXIST (PAGER_SHARED_AT: another file is there, or this one is
 * elsewhere; or the addresses are in use in this process), -ENOSPC (no place, or the user has a
 * quarter of the files or addresses), -EINVAL, or as pager_map_file. Nothing is loaded then. Safe
 * in several threads. */
PAGER_API int pager_shared_file_load(struct pager *p, int fd, const struct pager_shared_part *parts,
    unsigned count, unsigned flags, void **address, unsigned *ret_status);
/* The parts of an ELF file, at most `room`: of each segment that is to be loaded, text where it is
 * not to be written, else data, and zeroes behind it. What lies in data's last page behind the
 * segment is the file's: whoever relies on zeroes there clears it, also after a reset. The file
 * must be position independent. Errors: -ENOEXEC (it is no such file, or its segments share pages
 * of the daemon's size), -E2BIG (there are more parts), -EBADF, -EINVAL, -ENOTCONN; others are the
 * file system's. Safe in several threads. */
PAGER_API int pager_shared_elf_parts(
    struct pager *p, int fd, struct pager_shared_part *parts, unsigned room, unsigned *ret_count);
/* The COW parts of a file that this process, or the one that has forked it, has loaded at the
 * address are as the file is now, and its ZERO parts are zeroes; other processes' are left alone.
 * Errors: -ENOENT (no file is loaded there), -EINVAL (a part has been given back), -EACCES (a part
 * cannot be written), -EOPNOTSUPP (a part is wired), -EBUSY (pinned), -ENOMEM, -ENOTCONN; some of
 * it may have been reset then. */
PAGER_API int pager_shared_file_reset(struct pager *p, void *address);
/* What this process loads from now on, and its children, is found by no other process, and does not
 * lie where others have it; what it has loaded stays. flags: 0, or PAGER_SHARED_FOR_ALL (for root
 * and the daemon's own user): other processes that have loaded nothing yet use the new regions,
 * too, for instance because libraries have been replaced. Errors: -EPERM, -EINVAL, -ENOMEM,
 * -ENOTCONN. */
PAGER_API int pager_shared_regions_new(struct pager *p, unsigned flags);

#ifdef __cplusplus
}
#endif

#endif
