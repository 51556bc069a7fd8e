/* SPDX-License-Identifier: MIT
 *
 * The arena: one sparse memfd, cut into chunks of a segment each. The bytes that are populated are
 * exactly those taken from the budget. Runs on: any thread; a chunk's range belongs to the caller.
 *
 * Holes are punched with fallocate, not with MADV_REMOVE, which refuses locked mappings: the daemon
 * locks its memory (with MCL_ONFAULT, or locking would populate the whole arena).
 */
#include "carena.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "cstat.h"
#include "failpt.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

int
carena_open(struct compressor *c, struct compressor_kept *kept)
{
	int error;

	c->fd = kept && kept->segments >= 0 ? kept->segments
					    : memfd_create("pagerd-compressor", MFD_CLOEXEC);
	if (c->fd < 0)
		return -errno;
	if (kept)
		kept->segments = c->fd;
	if (ftruncate(c->fd, (off_t)c->arena_bytes) != 0) {
		error = -errno;
		goto fail;
	}
	c->arena = mmap(NULL, c->arena_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);
	if (c->arena == MAP_FAILED) {
		error = -errno;
		goto fail;
	}
	/* A huge page would populate more than was taken from the budget. */
	(void)madvise(c->arena, c->arena_bytes, MADV_NOHUGEPAGE);
	return 0;
fail:
	close(c->fd);
	c->fd = -1;
	c->arena = NULL;
	return error;
}

void
carena_close(struct compressor *c)
{
	if (c->arena == NULL)
		return;
	munmap(c->arena, c->arena_bytes);
	close(c->fd);
	uint64_t bytes = cstat_sum(c, CSTAT_POPULATED);
	if (bytes > 0)
		c->ops.memory_give(c->ctx, bytes);
	c->arena = NULL;
}

void
carena_hole(struct compressor *c, uint64_t offset, uint32_t bytes)
{
	int n;

	do {
		n = fallocate(
		    c->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, bytes);
	} while (n != 0 && errno == EINTR);
	CHECKF(n == 0, "no hole can be punched into the arena: errno %d", errno);
}

/* Populates [from, to) of a chunk. => 0 or -ENOMEM. */
static int
carena_populate(struct compressor *c, uint32_t chunk, uint32_t from, uint32_t to)
{
	uint64_t offset = (uint64_t)chunk * c->segment_bytes + from;
	uint32_t bytes = to - from;
	int n;

	INVARIANT(from < to && (from | to) % c->hw_page_bytes == 0);
	if (c->ops.memory_take(c->ctx, bytes) != 0)
		return -ENOMEM;
	do {
		n = madvise(c->arena + offset, bytes, MADV_POPULATE_WRITE);
		if (n != 0 && errno == EINVAL) /* a kernel before 5.14 */
			n = fallocate(c->fd, 0, (off_t)offset, bytes);
	} while (n != 0 && (errno == EINTR || errno == EAGAIN));
	if (n != 0) {
		carena_hole(c, offset, bytes);
		c->ops.memory_give(c->ctx, bytes);
		return -ENOMEM;
	}
	cstat_add(c, CSTAT_POPULATED, bytes);
	return 0;
}

void
carena_punch(struct compressor *c, uint32_t chunk, uint32_t from, uint32_t to)
{
	uint32_t bytes = to - from;

	if (bytes == 0)
		return;
	carena_hole(c, (uint64_t)chunk * c->segment_bytes + from, bytes);
	cstat_add(c, CSTAT_POPULATED, -(uint64_t)bytes);
	c->ops.memory_give(c->ctx, bytes);
}

int
carena_grow(
    struct compressor *c, uint32_t chunk, uint32_t *populated, uint32_t bytes, uint32_t step)
{
	uint32_t to = (uint32_t)min_u64(round_up_u32(bytes, step), c->segment_bytes);

	if (bytes <= *populated)
		return 0;
	if (carena_populate(c, chunk, *populated, to) != 0)
		return -ENOMEM;
	*populated = to;
	return 0;
}

size_t
carena_trim(struct compressor *c, uint32_t segment)
{
	struct cseg *s = &c->rows[segment];
	uint32_t keep = round_up_u32(load_relaxed(&s->used), c->hw_page_bytes);
	uint32_t had = s->populated;

	if (had <= keep)
		return 0;
	carena_punch(c, s->chunk, keep, had);
	failpt_die(FAIL_DIE_SEGMENT_TRIM);
	s->populated = keep;
	return had - keep;
}
