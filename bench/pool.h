/* SPDX-License-Identifier: MIT
 *
 * The data: content of this machine's own files, in a memfd, so that one process can gather it and
 * hand it to others (`pagerbench compare` does: both sides then use the same bytes, and the
 * kernel's memory cgroup is not charged for them). Read-only after pool_create / pool_open.
 */
#ifndef BENCH_POOL_H
#define BENCH_POOL_H

#include <stddef.h>
#include <stdint.h>

#define POOL_PAGE_BYTES    4096u
#define POOL_BODY_BYTES    (POOL_PAGE_BYTES - 48u)
#define POOL_PAGES_DEFAULT 4096u

enum pool_data {
	POOL_HALF, /* pieces of files chosen so that LZ4 makes two bytes one */
	POOL_REAL, /* pieces of files as they come */
};

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
/* A pool that another process made. The descriptor stays the caller's until pool_close. */
int pool_open(struct pool *pool, int fd);
void pool_close(struct pool *pool);

#endif
