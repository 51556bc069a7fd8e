/* SPDX-License-Identifier: MIT
 *
 * Locks: none; QUEUE rows are read under the segment's sequence count. Opening checks the daemon's
 * descriptors once, so a damaged segment is refused.
 */
#include "statread.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATREAD_BYTES_MAX (64u << 20)
#define STATREAD_COUNT_MAX 4096
#define STATREAD_TRIES_MAX 200000

static bool
part_is_valid(uint64_t offset, uint64_t bytes, uint64_t segment_bytes)
{
	return offset >= sizeof(struct shmstat_header) && offset % 8 == 0 &&
	       offset <= segment_bytes && bytes <= segment_bytes - offset;
}

static bool
segment_is_valid(const struct shmstat_header *h, uint64_t bytes)
{
	const struct shmstat_descriptor *d;
	uint64_t count = h->stat_count, shards = h->shard_count, stride = h->shard_stride;

	if (h->magic != SHMSTAT_MAGIC || h->version != SHMSTAT_VERSION || h->segment_bytes > bytes)
		return false;
	if (count == 0 || count > STATREAD_COUNT_MAX || shards > 65536 || stride > 65536 ||
	    stride < count)
		return false;
	if (!part_is_valid(h->descriptors_offset, count * sizeof(*d), bytes) ||
	    !part_is_valid(h->levels_offset, count * 8, bytes) ||
	    !part_is_valid(h->counters_offset, shards * stride * 8, bytes))
		return false;
	d = (const struct shmstat_descriptor *)((const char *)h + h->descriptors_offset);
	for (uint64_t i = 0; i < count; i++, d++) {
		if (d->index >= count || d->name[sizeof(d->name) - 1] != '\0' ||
		    d->name[0] == '\0' || d->unit[sizeof(d->unit) - 1] != '\0' ||
		    d->text[sizeof(d->text) - 1] != '\0')
			return false;
	}
	return true;
}

static int
segment_map(int fd, struct statread *ret)
{
	const struct shmstat_header *h;
	struct stat st;
	size_t bytes;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < (off_t)sizeof(*h) || st.st_size > STATREAD_BYTES_MAX)
		return -EPROTO;
	bytes = (size_t)st.st_size;
	h = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (h == MAP_FAILED)
		return -errno;
	if (__atomic_load_n(&h->ready, __ATOMIC_ACQUIRE) == 0 || !segment_is_valid(h, bytes)) {
		munmap((void *)(uintptr_t)h, bytes);
		return -EPROTO;
	}
	*ret = (struct statread){
		.header = h,
		.descriptors =
		    (const struct shmstat_descriptor *)((const char *)h + h->descriptors_offset),
		.bytes = bytes,
		.count = h->stat_count,
	};
	return 0;
}

static int
segment_request(struct chan *c, int *ret_fd)
{
	struct pager_req_stat_segment request = { 0 };
	struct pager_rep_stat_segment reply;
	struct chan_call call = { CHAN_CALL(STAT_SEGMENT, &request, &reply), .ret_fd = ret_fd };

	return chan_exchange(c, &call);
}

int
statread_open(struct chan *c, struct statread *ret)
{
	int fd, r;

	r = segment_request(c, &fd);
	if (r < 0)
		return r;
	r = segment_map(fd, ret);
	close(fd);
	return r;
}

int
statread_refresh(struct chan *c)
{
	int fd, r;

	r = segment_request(c, &fd);
	if (r == 0)
		close(fd);
	return r;
}

void
statread_close(struct statread *s)
{
	munmap((void *)(uintptr_t)s->header, s->bytes);
	*s = (struct statread){ 0 };
}

/* => 0 or -EAGAIN. */
static int
read_levels(const struct statread *s, int64_t *values)
{
	const int64_t *levels =
	    (const int64_t *)((const char *)s->header + s->header->levels_offset);
	const uint64_t *sequence = &s->header->sequence;
	uint64_t before;

	for (unsigned tries = 0; tries < STATREAD_TRIES_MAX; tries++) {
		before = __atomic_load_n(sequence, __ATOMIC_ACQUIRE);
		if ((before & 1) == 0) {
			for (uint32_t i = 0; i < s->count; i++)
				values[i] = __atomic_load_n(&levels[i], __ATOMIC_ACQUIRE);
			if (__atomic_load_n(sequence, __ATOMIC_RELAXED) == before)
				return 0;
		}
		if (tries % 64 == 63)
			sched_yield();
	}
	return -EAGAIN;
}

int
statread_snapshot(const struct statread *s, int64_t *values)
{
	const struct shmstat_header *h = s->header;
	const uint64_t *counters = (const uint64_t *)((const char *)h + h->counters_offset);
	int64_t levels[STATREAD_COUNT_MAX];
	int r = read_levels(s, levels);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < s->count; i++) {
		const struct shmstat_descriptor *d = &s->descriptors[i];
		uint64_t sum = 0;

		if (d->kind != SHMSTAT_COUNTER) {
			values[i] = levels[d->index];
			continue;
		}
		for (uint32_t shard = 0; shard < h->shard_count; shard++)
			sum +=
			    __atomic_load_n(&counters[(size_t)shard * h->shard_stride + d->index],
				__ATOMIC_RELAXED);
		values[i] = (int64_t)sum;
	}
	return 0;
}

int
statread_find(const struct statread *s, const char *name)
{
	for (uint32_t i = 0; i < s->count; i++) {
		if (strcmp(s->descriptors[i].name, name) == 0)
			return (int)i;
	}
	return -1;
}
