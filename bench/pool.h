/* SPDX-License-Identifier: MIT
 *
 * The data: content of this machine's own files. It is in a memfd, so that `pagerbench compare` can
 * gather it once and hand it to all runs: both sides use the same bytes, and the memory cgroup of a
 * run is not charged for them. Read-only after pool_create and pool_open.
 */
#ifndef BENCH_POOL_H
#define BENCH_POOL_H

#include <stddef.h>
#include <stdint.h>

#define POOL_PAGE_BYTES    4096u
#define POOL_BODY_BYTES    (POOL_PAGE_BYTES - 48u)
#define POOL_PAGES_DEFAULT 4096u

enum pool_data {
	POOL_HALF,   /* pieces of files, chosen so that LZ4 compresses them to half */
	POOL_REAL,   /* any pieces of files */
	POOL_RANDOM, /* random bytes, which do not compress */
};

extern const char *const pool_data_names[]; /* [enum pool_data], then NULL */

struct pool {
	int fd;
	uint32_t pages;
	const char *bytes; /* pages * POOL_PAGE_BYTES */
	uint64_t *check;   /* XXH3 of each body */
};

static inline const char *
pool_body(const struct pool *pool, uint32_t page)
{
	return pool->bytes + (size_t)page * POOL_PAGE_BYTES;
}

/* pages: a multiple of 16. => 0 or -errno. */
int pool_create(struct pool *pool, enum pool_data data, uint32_t pages, uint64_t seed);
/* Opens a pool that another process has made. pool_close closes the descriptor. */
int pool_open(struct pool *pool, int fd);
void pool_close(struct pool *pool);

#endif
