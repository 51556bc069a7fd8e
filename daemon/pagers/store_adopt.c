/* SPDX-License-Identifier: MIT
 *
 * Stored pages that a worker before this one has left, in the compressor and in swap. Runs on: the
 * main thread, before there are others; reads of swap are waited for.
 */
#include "pagers/store.h"

#include <errno.h>

#include "daemon.h"
#include "vm/vm_object.h"

int
store_adopt_begin(struct daemon *d)
{
	CHECK(d->compressor && d->keeper);
	return compressor_adopt_begin(d->compressor);
}

bool
store_adopt(struct vm_object *o, struct cref copy)
{
	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	if (!compressor_adopt(o->daemon->compressor, copy))
		return false;
	if (load_relaxed(&o->pager) == PAGER_NONE)
		store_relaxed(&o->pager, PAGER_STORE);
	return true;
}

/* Reads [offset, offset+length) of a place. => 0 or -errno */
static int
place_read(struct swap_channel *channel, const struct cread *page, void *buffer)
{
	uint64_t from = round_down_u64(page->offset, STORE_DISK_BLOCK);
	uint64_t to = round_up_u64(page->offset + page->length, STORE_DISK_BLOCK);
	struct swap_completion completion;
	int error = swap_channel_submit(
	    channel, SWAP_READ, (struct swap_slot){ page->place.v }, from, to - from, buffer, 0);

	if (error)
		return error;
	do
		error = swap_channel_wait(channel);
	while (!error && swap_channel_reap(channel, &completion, 1) == 0);
	return error ? error : completion.result;
}

static int
away_load(struct daemon *d, struct cref copy, void *page)
{
	size_t bytes = round_up_u64(compressor_segment_bytes(d->compressor), 4096);
	struct swap_channel *channel;
	struct cread where;
	char *buffer;
	int error = d->swap ? compressor_adopt_place(d->compressor, copy, &where) : -EIO;

	if (!error)
		error = swap_channel_create(d->swap, 1, bytes, &channel);
	if (error)
		return error;
	buffer = swap_channel_buffer_get(channel);
	CHECK(buffer != NULL);
	error = place_read(channel, &where, buffer);
	if (!error)
		error = compressor_adopt_decode(
		    d->compressor, copy, buffer + where.offset % STORE_DISK_BLOCK, page);
	swap_channel_buffer_put(channel, buffer);
	swap_channel_destroy(channel);
	return error;
}

int
store_adopt_load(struct vm_object *o, struct cref copy, void *page)
{
	struct daemon *d = o->daemon;
	int error;

	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	locks_assert_none();
	error = compressor_adopt_load(d->compressor, copy, page);
	return error == -EAGAIN ? away_load(d, copy, page) : error;
}

size_t
store_adopt_end(struct daemon *d)
{
	CHECK(d->compressor && d->keeper);
	return compressor_adopt_end(d->compressor);
}

int
store_adopt_places(struct daemon *d)
{
	uint32_t cursor = 0;
	struct caway away;

	locks_assert_none();
	while (compressor_away_next(d->compressor, &cursor, &away))
		if (!d->swap || !swap_adopt(d->swap, (struct swap_slot){ away.place.v })) {
			log_error_limited("a segment is at place %#llx of swap, where nothing is",
			    (unsigned long long)away.place.v);
			return -EPROTO;
		}
	if (d->swap)
		swap_adopt_end(d->swap);
	return 0;
}
