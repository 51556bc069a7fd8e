/* SPDX-License-Identifier: MIT
 *
 * The swap writer on a real compressor and real swap files, without the daemon's other threads. The
 * store's wishes (how much should leave, whether compaction is worth it) and the faults that wait
 * are made by the test (the linker's --wrap).
 */
#ifndef WRITER_FIXTURE_H
#define WRITER_FIXTURE_H

#include "c_unit.h"

#include "b_swap.h"
#include "memorystatus/frame_wait.h"
#include "pageout/writer.h"
#include "pagers/pager.h"

enum {
	PAGE = 4096,
	SEGMENT = 64 << 10,
	/* Pages of a full segment, and frames that it takes: no page of the test compresses. */
	SEGMENT_PAGES = 15,
	SEGMENT_FRAMES = SEGMENT / PAGE,
	FILE_SLOTS = 4,
	STORED_MAX = 24 * SEGMENT_PAGES,
	DEPTH = 4,
};

struct writer_world {
	struct unit unit;
	char base[64], path[80];
	struct writer writer;
	struct swap_channel *reader;
	struct cref copies[STORED_MAX]; /* 0: the page is gone */
	unsigned count;
	/* What the store wants. */
	uint64_t goal; /* frames that the compressor may keep */
	bool is_compaction_worth;
	/* The fault that has waited longest; rounds: 0: none waits. */
	struct moment waited;
	bool was_starved; /* as the store was told last */
	/* What other threads do when the writer next asks the store while a write is in flight;
	 * once. */
	void (*on_write)(void);
};
extern struct writer_world world;
extern uint64_t world_now_ns;

/* max_bytes: of all swap files; 0: as much as is wanted. */
void world_start(uint64_t max_bytes);
void world_stop(void);
/* Stores so many more pages. */
void pages_store(unsigned count);
void page_drop(unsigned index);
/* The place in swap of a page, or 0: it is in memory. */
uint64_t page_place(unsigned index);
unsigned pages_away(void);
/* Every page has its content, in memory or in swap. */
void assert_content(void);
/* No memory is lost or counted twice, and compressor and swap are valid. */
void assert_books(void);
uint64_t world_counter(enum stat_index index);
/* The writer's parts, by the test's thread, which may allocate afterwards. */
void world_swap_out(void);
void world_drain(void);
int world_balance(void);

#endif
