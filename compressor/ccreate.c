/* SPDX-License-Identifier: MIT
 *
 * The compressor as a whole: creation, tables, figures. Runs on: any thread; creation and
 * destruction on one, while nobody else calls.
 */
#include "compressor_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "carena.h"
#include "cexpander.h"
#include "check.h"
#include "ckept.h"
#include "own.h"

size_t
compressor_segment_bytes(const struct compressor *c)
{
	return c->segment_bytes;
}

int
compressor_arena_fd(const struct compressor *c)
{
	return c->fd;
}

/* A page may take a vacancy that is larger by a page divided by this. If it may take less, more
 * pages find no vacancy, and segments must be slid for them; if more, the slack is wasted. */
#define SLACK_PART 32

static int
cpool_configure(struct compressor *c, const struct compressor_config *config)
{
	size_t page = config->page_bytes, hw = (size_t)sysconf(_SC_PAGESIZE);
	size_t segment = config->segment_bytes;

	if (segment == 0)
		segment = page == 65536 ? 1u << 20 : 256u << 10;
	if ((page != 4096 && page != 16384 && page != 65536) || page < hw)
		return -EINVAL;
	/* At least 16 pages, so that a segment closed for want of room is never sparse; at most 1M,
	 * which is as much as the state word can count.
	 */
	if ((segment & (segment - 1)) != 0 || segment < 16 * page || segment > 1u << 20)
		return -EINVAL;
	if (config->arena_bytes < segment || config->workers == 0 || config->ops == NULL ||
	    config->ops->memory_take == NULL || config->ops->memory_give == NULL)
		return -EINVAL;

	uint64_t chunks = config->arena_bytes / segment;
	uint64_t rows = config->max_segments != 0 ? config->max_segments : chunks * 16;
	if (chunks >= CHUNK_NONE || rows >= UINT32_MAX)
		return -EINVAL;
	c->ops = *config->ops;
	c->ctx = config->ctx;
	c->hash = chash_choose();
	c->page_bytes = page;
	c->segment_bytes = segment;
	c->segment_shift = (uint32_t)__builtin_ctzll(segment);
	c->arena_bytes = chunks * segment;
	c->hw_page_bytes = (uint32_t)hw;
	c->hw_page_shift = (uint32_t)__builtin_ctzll(hw);
	c->grow_bytes = (uint32_t)max_u64(hw, 65536);
	c->spares_max = (uint32_t)min_u64(config->spare_bytes / segment, SPARES_MAX);
	c->open_bytes_max = config->spare_bytes;
	/* At least a unit. A finer grain would save fewer bytes than the additional lists would
	 * take. */
	c->grain_bytes = (uint32_t)page / 512;
	c->slack_bytes = (uint32_t)page / SLACK_PART;
	c->raw_limit = (uint32_t)(page - page / 8);
	c->slots_max = (uint32_t)min_u64(CSEG_SLOTS_MAX, segment / 256);
	c->slots_shift = (uint32_t)__builtin_ctz(c->slots_max);
	c->chunks_max = (uint32_t)chunks;
	c->rows_max = (uint32_t)rows;
	c->keepers_first = config->workers;
	c->workers_count = config->workers + config->keeping_threads;
	/* Compaction is one more. A caller that does not say loads from its workers and a few other
	 * threads.
	 */
	c->expander_count =
	    config->workers + 1 + (config->expanding_threads ? config->expanding_threads : 16);
	return 0;
}

/* Memory that is populated when it is touched: tables are sized for the worst case and mostly
 * empty. */
static void *
sparse_get(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	own_area(OWN_COMPRESSOR, p, bytes);
	return p;
}

static void
sparse_put(void *p, size_t bytes)
{
	if (!p)
		return;
	own_area_forget(p);
	munmap(p, bytes);
}

static size_t
rows_bytes(const struct compressor *c)
{
	return ((size_t)c->rows_max + 1) * sizeof(struct cseg);
}

static size_t
directory_bytes(const struct compressor *c)
{
	return ((size_t)c->rows_max + 1) * c->slots_max * sizeof(uint64_t);
}

static int
cworker_packers_create(struct compressor *c, struct cworker *w)
{
	bool is_keeper = w >= &c->workers[c->keepers_first] && w < &c->workers[c->workers_count];

	for (unsigned id = 0; id < CODEC_COUNT; id++) {
		const struct codec *codec = codec_find(id);

		if (!codec->packer_create || (is_keeper && id == CODEC_ZSTD))
			continue;
		w->packer[id] = codec->packer_create(c->page_bytes);
		if (!w->packer[id])
			return -1;
	}
	return 0;
}

static int
cpool_allocate(struct compressor *c, struct compressor_kept *kept)
{
	size_t workers = (c->workers_count + 1) * sizeof(struct cworker);
	int error = kept ? ckept_open(c, kept) : 0;

	if (error)
		return error;
	if (!kept) {
		c->rows = sparse_get(rows_bytes(c));
		c->directory = sparse_get(directory_bytes(c));
	}
	c->chunk_next = sparse_get(c->chunks_max * sizeof(uint32_t));
	c->workers = aligned_alloc(CACHE_LINE, workers);
	c->vacant_sizes = cpage_padded(c, c->page_bytes) / c->grain_bytes + 1;
	CHECK(c->vacant_sizes <= VACANT_SIZES);
	c->vacant = sparse_get(c->vacant_sizes * sizeof(struct cvacant));
	if (!c->rows || !c->directory || !c->chunk_next || !c->workers || !c->vacant)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->vacant_sizes; i++)
		lock_init(&c->vacant[i].lock, RANK_CVACANT);
	memset(c->workers, 0, workers);
	for (unsigned i = 0; i <= c->workers_count; i++) {
		c->workers[i].bounce = aligned_alloc(CACHE_LINE, c->page_bytes);
		if (!c->workers[i].bounce || cworker_packers_create(c, &c->workers[i]) != 0)
			return -ENOMEM;
		/* Touched now, so that reclaim does not have to populate it. */
		memset(c->workers[i].bounce, 0, c->page_bytes);
	}
	if (cexpanders_create(c) != 0)
		return -ENOMEM;
	return carena_open(c, kept);
}

int
compressor_create(const struct compressor_config *config, struct compressor **ret)
{
	struct compressor *c = aligned_alloc(CACHE_LINE, sizeof(*c));
	int error;

	if (c == NULL)
		return -ENOMEM;
	memset(c, 0, sizeof(*c));
	c->magic = COMPRESSOR_MAGIC;
	c->fd = -1;
	c->chunk_free = CHUNK_NONE;
	lock_init(&c->lock, RANK_CPOOL);
	for (unsigned i = 0; i < SLIDE_LOCKS; i++)
		lock_init(&c->slide[i], RANK_CSEG);
	store_relaxed(&c->rows_fresh, 1);
	error = cpool_configure(c, config);
	if (error == 0)
		error = cpool_allocate(c, config->kept);
	if (error) {
		compressor_destroy(c);
		return error;
	}
	*ret = c;
	return 0;
}

void
compressor_destroy(struct compressor *c)
{
	if (c == NULL)
		return;
	CHECK_OBJ(c, COMPRESSOR_MAGIC);
	carena_close(c);
	for (unsigned i = 0; c->workers != NULL && i <= c->workers_count; i++) {
		for (unsigned id = 0; id < CODEC_COUNT; id++)
			if (c->workers[i].packer[id])
				codec_find(id)->packer_destroy(c->workers[i].packer[id]);
		free(c->workers[i].bounce);
	}
	free(c->workers);
	cexpanders_destroy(c);
	for (uint32_t i = 0; c->vacant != NULL && i < c->vacant_sizes; i++)
		lock_fini(&c->vacant[i].lock);
	sparse_put(c->vacant, c->vacant_sizes * sizeof(struct cvacant));
	sparse_put(c->chunk_next, c->chunks_max * sizeof(uint32_t));
	if (c->kept)
		ckept_close(c);
	sparse_put(c->directory, directory_bytes(c));
	sparse_put(c->rows, rows_bytes(c));
	for (unsigned i = 0; i < SLIDE_LOCKS; i++)
		lock_fini(&c->slide[i]);
	lock_fini(&c->lock);
	c->magic = 0;
	free(c);
}
