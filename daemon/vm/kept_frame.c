/* SPDX-License-Identifier: MIT */
#include "vm/kept_frame.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon.h"

static bool
is_named(const struct frame_table *t, uint32_t frame)
{
	return t->named[frame / 8] >> frame % 8 & 1;
}

bool
kept_frame_is_of(const struct daemon *d, uint32_t frame, uint32_t object, uint64_t index)
{
	const struct frame_table *t = &d->frames;

	CHECK(t->named);
	return frame < load_relaxed(&d->frames.count) && !is_named(t, frame) &&
	       t->pages[frame].object == object && t->pages[frame].index == index;
}

void
kept_frame_take_locked(struct daemon *d, uint32_t frame, uint32_t flags)
{
	struct frame_table *t = &d->frames;

	pageq_assert_held(d);
	CHECK(t->named && !is_named(t, frame));
	t->named[frame / 8] |= (uint8_t)(1u << frame % 8);
	t->pages[frame].next = t->pages[frame].prev = 0;
	store_relaxed(&t->pages[frame].seen_by, SEEN_BY_ANY);
	store_release(&t->pages[frame].word, FRAME_TAKEN | PAGE_BUSY | flags);
	store_relaxed(&t->free_count, load_relaxed(&t->free_count) - 1);
}

int
kept_frames_end_locked(struct daemon *d, size_t compressor_bytes)
{
	struct frame_table *t = &d->frames;
	uint64_t frames = (compressor_bytes + d->page_bytes - 1) >> d->page_shift, taken = 0;

	pageq_assert_held(d);
	CHECK(t->named);
	for (uint32_t i = load_relaxed(&t->count); i-- > 0;) {
		uint32_t *head = taken < frames ? &t->compressor_head : &t->free_head;

		if (is_named(t, i))
			continue;
		store_release(&t->pages[i].word, taken < frames ? FRAME_COMPRESSOR : FRAME_FREE);
		t->pages[i].cref = 0;
		t->pages[i].next = *head;
		*head = i;
		if (taken < frames)
			taken++;
	}
	free(t->named);
	t->named = NULL;
	if (taken < frames)
		return -ENOMEM;
	store_relaxed(&t->free_count, load_relaxed(&t->free_count) - (uint32_t)taken);
	stats_queues_begin(&d->stats);
	fetch_sub_relaxed(&d->stats.levels[STAT_FRAMES_FREE], (long long)taken);
	fetch_add_relaxed(&d->stats.levels[STAT_FRAMES_COMPRESSOR], (long long)taken);
	stats_queues_end(&d->stats);
	store_relaxed(&t->compressor_credit,
	    (long long)(taken << d->page_shift) - (long long)compressor_bytes);
	return 0;
}
