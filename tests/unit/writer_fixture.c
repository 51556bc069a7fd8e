/* SPDX-License-Identifier: MIT */
#include "writer_fixture.h"

#include "alloc.h"
#include "clock.h"
#include "failpt.h"
#include "memorystatus/squeeze.h"
#include "pageout/drain.h"
#include "pageout/swap_out.h"
#include "pageq/pageq.h"
#include "pagers/store.h"

struct writer_world world;
uint64_t world_now_ns;

uint64_t __wrap_store_frames_to_swap(struct daemon *d, bool started, bool starved);
bool __wrap_store_compaction_worth(struct daemon *d, bool started);
bool __wrap_frame_wait_longest(struct daemon *d, struct moment *ret_tried);

static struct compressor_stats
compressor_figures(void)
{
	struct compressor_stats stats;

	compressor_stats(world.unit.daemon->compressor, &stats);
	return stats;
}

uint64_t
__wrap_store_frames_to_swap(struct daemon *d, bool started, bool starved)
{
	void (*on_write)(void) = world.on_write;
	uint64_t held;

	(void)d, (void)started;
	if (on_write && world.writer.in_flight > 0) {
		world.on_write = NULL;
		on_write();
	}
	held = compressor_figures().bytes_populated / PAGE;
	world.was_starved = starved;
	return held > world.goal ? held - world.goal : 0;
}

bool
__wrap_store_compaction_worth(struct daemon *d, bool started)
{
	(void)d, (void)started;
	return world.is_compaction_worth;
}

bool
__wrap_frame_wait_longest(struct daemon *d, struct moment *ret_tried)
{
	(void)d;
	if (world.waited.rounds == 0)
		return false;
	*ret_tried = world.waited;
	return true;
}

static uint64_t
world_clock(void)
{
	return world_now_ns;
}

static void
credit_take(struct daemon *d)
{
	pageq_lock(d);
	assert_true(frames_credit_compressor_locked(d, 600 * PAGE));
	pageq_unlock(d);
}

void
world_start(uint64_t max_bytes)
{
	struct compressor_config config = { .page_bytes = PAGE,
		.segment_bytes = SEGMENT,
		.arena_bytes = 4 << 20,
		.max_segments = 256,
		.workers = 1,
		.ops = &store_compressor_ops };
	struct swap_config swap = { .backends[0].where = world.path,
		.backend_count = 1,
		.slot_bytes = SEGMENT,
		.file_bytes = (uint64_t)FILE_SLOTS * SEGMENT,
		.max_bytes = max_bytes,
		.low_free_slots = 1,
		.high_free_slots = FILE_SLOTS };
	struct writer *w = &world.writer;
	struct daemon *d;

	memset(&world, 0, sizeof(world));
	unit_start(&world.unit);
	d = world.unit.daemon;
	assert_int_equal(park_create(d), 0);
	config.ctx = d;
	assert_int_equal(compressor_create(&config, &d->compressor), 0);
	directory_init(SHM_DIRECTORY, world.base, world.path);
	world_now_ns = 1000;
	clock_inject(world_clock);
	assert_int_equal(swap_create(&swap, &d->swap, NULL), 0);
	assert_int_equal(swap_channel_create(d->swap, DEPTH, PAGE, &w->channel), 0);
	assert_int_equal(swap_channel_create(d->swap, 1, SEGMENT, &w->mover), 0);
	assert_int_equal(swap_channel_create(d->swap, 1, SEGMENT, &world.reader), 0);
	w->daemon = d;
	w->stats = stats_shard(&d->stats, shard_index_extra(d, SHARD_WRITEBACK));
	w->depth = w->depth_each = DEPTH;
	credit_take(d);
}

void
world_stop(void)
{
	struct daemon *d = world.unit.daemon;

	failpt_disarm_all();
	for (unsigned i = 0; i < world.count; i++)
		if (world.copies[i].v)
			page_drop(i);
	writer_release_places(d);
	assert_books();
	assert_int_equal(stats_of(d->swap).slots_used, 0);
	swap_channel_destroy(world.reader);
	swap_channel_destroy(world.writer.channel);
	swap_channel_destroy(world.writer.mover);
	swap_destroy(d->swap);
	compressor_destroy(d->compressor);
	clock_inject(NULL);
	directory_fini(world.base, world.path);
	park_destroy(d);
	unit_stop(&world.unit);
}

/* --- pages --- */

static void
page_make(uint64_t *words, unsigned index)
{
	uint64_t seed = index + 1;

	for (unsigned i = 0; i < PAGE / sizeof(*words); i++)
		words[i] = test_random(&seed);
}

void
pages_store(unsigned count)
{
	uint64_t words[PAGE / sizeof(uint64_t)];

	for (; count > 0; count--, world.count++) {
		assert_true(world.count < STORED_MAX);
		page_make(words, world.count);
		assert_int_equal(pager_data_return(world.unit.object, world.count, 0, words, 1,
				     &world.copies[world.count]),
		    PAGER_OK);
	}
}

void
page_drop(unsigned index)
{
	assert_true(world.copies[index].v != 0);
	pager_drop(world.unit.object, world.copies[index]);
	world.copies[index] = CREF_NONE;
}

uint64_t
page_place(unsigned index)
{
	struct compressor *c = world.unit.daemon->compressor;
	struct cread read;

	if (compressor_read_begin(c, world.copies[index], &read) != 0)
		return 0;
	compressor_read_end(c, world.copies[index]);
	return read.place.v;
}

unsigned
pages_away(void)
{
	return (unsigned)compressor_figures().pages_away;
}

static void
page_read(unsigned index, void *page)
{
	struct vm_object *o = world.unit.object;
	struct swap_completion completion;
	struct pager_read read;
	void *buffer;

	assert_int_equal(
	    pager_read_begin(o, index, &world.copies[index], 1, SEGMENT, &read), PAGER_OK);
	buffer = swap_channel_buffer_get(world.reader);
	assert_non_null(buffer);
	assert_int_equal(pager_read_submit(o, &read, world.reader, buffer, 7), PAGER_OK);
	while (swap_channel_reap(world.reader, &completion, 1) == 0)
		swap_channel_wait(world.reader);
	assert_int_equal(completion.result, 0);
	assert_int_equal(pager_read_decode(o, &read, 0, buffer, page), PAGER_OK);
	pager_read_end(o, &read, 0);
	swap_channel_buffer_put(world.reader, buffer);
}

void
assert_content(void)
{
	uint64_t want[PAGE / sizeof(uint64_t)], page[PAGE / sizeof(uint64_t)];

	failpt_disarm_all();
	for (unsigned i = 0; i < world.count; i++) {
		if (!world.copies[i].v)
			continue;
		page_make(want, i);
		memset(page, 0xa5, sizeof(page));
		if (page_place(i))
			page_read(i, page);
		else
			assert_int_equal(
			    pager_data_request(world.unit.object, world.copies[i], page), PAGER_OK);
		assert_memory_equal(page, want, PAGE);
	}
}

void
assert_books(void)
{
	struct daemon *d = world.unit.daemon;
	long long frames = unit_level(&world.unit, STAT_FRAMES_COMPRESSOR);
	char text[200] = "";

	assert_int_equal(frames + unit_level(&world.unit, STAT_FRAMES_FREE), UNIT_FRAMES);
	assert_true(load_relaxed(&d->frames.compressor_credit) +
			(long long)compressor_figures().bytes_populated ==
		    frames * PAGE);
	if (!compressor_is_valid(d->compressor, text, sizeof(text)))
		fail_msg("compressor is not valid: %s", text);
	assert_swap_valid(d->swap);
	assert_int_equal(world.writer.in_flight, 0);
}

uint64_t
world_counter(enum stat_index index)
{
	return stats_counter(&world.unit.daemon->stats, index);
}

/* --- the writer's parts --- */

void
world_swap_out(void)
{
	world.writer.written = 0;
	world.writer.failed = false;
	swap_out(&world.writer);
	alloc_allow();
}

void
world_drain(void)
{
	drain(&world.writer);
	alloc_allow();
}

int
world_balance(void)
{
	int file = writer_balance(&world.writer);

	alloc_allow();
	return file;
}
