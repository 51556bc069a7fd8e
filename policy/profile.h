/* SPDX-License-Identifier: MIT
 *
 * Profiles: the pages to which the programs of a run came back after they had left memory, in the
 * order in which they did, in words that the next run of the same program shares. Addresses differ
 * from run to run, and so do numbers of objects; what a program allocates does not: so a page is
 * named by its process in the run (the how manieth), the size of its region, the how manieth region
 * of that size it is there, and its place in the region. Pages of one process stand together.
 *
 *   file := header, the program's path, regions, pages
 *
 * All integers are little-endian. Whatever a file says is checked: what is read names regions that
 * are there and pages within them, and nothing else is taken from it.
 */
#ifndef PROFILE_H
#define PROFILE_H

#include <stddef.h>
#include <stdint.h>

#define PROFILE_MAGIC       "PGRPROFL" /* 8 bytes, no terminator */
#define PROFILE_VERSION     1u
#define PROFILE_REGIONS_MAX 4096u
#define PROFILE_PAGES_MAX   (512u << 10)
#define PROFILE_PROGRAM_MAX 1024u /* bytes of the path, its terminator included */

struct profile_region {
	uint32_t process; /* how manieth in the run, from 0 on; here and below */
	uint32_t nth;     /* of that size in the process */
	uint64_t pages;
};

struct profile_page {
	uint32_t region; /* index */
	uint32_t offset; /* pages */
};

struct profile_header {
	uint8_t magic[8];
	uint32_t version, header_bytes;
	uint64_t checksum; /* FNV-1a, 64 bits, of all that follows this member */
	uint32_t page_size;
	uint32_t uid;
	uint32_t program_bytes; /* with terminator, and zeroes up to a multiple of 8 */
	uint32_t region_count, page_count;
	uint32_t strikes; /* runs in succession in which it did not help */
	uint32_t rests;   /* runs in which nothing is tried nor gathered, from now on */
	uint32_t reserved;
};

/* Whose profile it is. */
struct profile_owner {
	const char *program; /* path */
	uint32_t uid, page_size;
};

struct profile {
	struct profile_region *regions;
	struct profile_page *pages;
	uint32_t region_count, page_count;
	uint32_t strikes, rests;
};

/* Bytes of the file, at most PROFILE_BYTES_MAX. */
size_t profile_bytes(const struct profile *p, const struct profile_owner *owner);
#define PROFILE_BYTES_MAX                                                                          \
	(sizeof(struct profile_header) + PROFILE_PROGRAM_MAX +                                     \
	    PROFILE_REGIONS_MAX * sizeof(struct profile_region) +                                  \
	    PROFILE_PAGES_MAX * sizeof(struct profile_page))
/* Writes the file into memory of that size, aligned to 8. Pages of one process come to stand
 * together; those of each keep their order. */
void profile_encode(const struct profile *p, const struct profile_owner *owner, void *file);
/* file: memory aligned to 8, of which *ret becomes a view. => 0; -EBADMSG: damaged, or no profile;
 * -EPROTO: of another version; -ESTALE: another program's, another user's or of another page size
 */
int profile_decode(
    void *file, size_t bytes, const struct profile_owner *owner, struct profile *ret);
/* A number for the program, for names of files. */
uint64_t profile_program_number(const char *program);

_Static_assert(sizeof(struct profile_header) == 56, "on disk");
_Static_assert(sizeof(struct profile_region) == 16, "on disk");
_Static_assert(sizeof(struct profile_page) == 8, "on disk");

#endif
