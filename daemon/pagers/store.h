/* SPDX-License-Identifier: MIT
 *
 * The store: the compressor, and swap behind it, as the place of anonymous pages that have left
 * memory. How much memory it may hold, and when that should become less. The writer
 * (pageout/writeback.c) does it.
 */
#ifndef STORE_H
#define STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compressor.h"
#include "pagers/pager_types.h"

struct daemon;
struct swap_channel;
struct vm_object;

/* As a pager: the contracts are those of pager.h. A copy is the compressor's handle. */
bool store_is_away(struct daemon *d, struct cref copy);
void store_prefetch(struct daemon *d, struct cref copy);
enum pager_result store_data_request(struct daemon *d, struct cref copy, void *page);
enum pager_result store_data_return(struct vm_object *o, uint64_t index, unsigned worker,
    const void *page, int press, struct cref *ret_copy);
void store_drop(struct daemon *d, struct cref copy);
/* Keeps the content of page `index`, which is nobody's victim, for its owner. is_any: whoever asks
 * gives memory back in a moment; otherwise what is left for the reserve of a write stays free.
 * *ret_copy is the caller's. => OK, or AGAIN: there is no room. Any thread, no lock held */
enum pager_result store_keep(const struct vm_object *o, uint64_t index, const void *page,
    bool is_any, struct cref *ret_copy);
/* Gives up what was kept and has not become a page's. */
void store_keep_undo(struct daemon *d, struct cref copy);
enum pager_room store_room_take(struct daemon *d, size_t pages);
bool store_copies_fit(const struct daemon *d);
enum pager_result store_read_begin(const struct vm_object *o, uint64_t index,
    const struct cref *copies, unsigned count, size_t most_bytes, struct pager_read *ret);
enum pager_result store_read_submit(const struct vm_object *o, const struct pager_read *read,
    struct swap_channel *channel, void *buffer, uint64_t cookie);
/* Of a read that was begun: whether it is of a device or a server, and not of a directory. */
bool store_read_is_apart(const struct daemon *d, const struct pager_read *read);
enum pager_result store_read_decode(const struct vm_object *o, const struct pager_read *read,
    unsigned i, const void *buffer, void *page);
void store_read_end(const struct vm_object *o, const struct pager_read *read, int error);

/* What a worker before this one has stored (compressor.h). The object has that copy. */
int store_adopt_begin(struct daemon *d);
bool store_adopt(struct vm_object *o, struct cref copy);
/* => 0, and the content, or -errno, as of compressor_adopt_load */
int store_adopt_load(struct vm_object *o, struct cref copy, void *page);
size_t store_adopt_end(struct daemon *d);
/* Behind that: places in swap that segments have are theirs, the rest is free. => 0; -EPROTO: a
 * segment has a place where nothing is, which was told */
int store_adopt_places(struct daemon *d);

/* Reads from disk begin and end at multiples of this many bytes. */
#define STORE_DISK_BLOCK 512u

/* The calls that the compressor makes to frames and objects; its ctx is the daemon. */
extern const struct compressor_ops store_compressor_ops;
/* The size of the compressor's segments: 256 KiB (1 MiB for 64K pages), and less where a few open
 * segments would be a large part of the memory. */
size_t store_segment_bytes(const struct daemon *d);
/* Segments can still leave: there is swap, and a place in it. */
bool swap_has_room(const struct daemon *d);
/* The compressor's share of the frames that are not wired. Without swap there is nowhere else to
 * go: more than with it. */
uint64_t store_share(const struct daemon *d);
/* That share of `movable` frames. beside: free frames that pageout keeps. Pure. */
uint64_t store_share_of(
    uint64_t movable, uint64_t percent, uint64_t least, uint64_t beside, bool swap_has_room);
/* Frames of segments that are being filled: with less the compressor cannot work. */
uint64_t store_share_least(const struct daemon *d);
/* Frames that it may hold now: its share, or more in the squeeze. */
uint64_t store_frames_limit(const struct daemon *d);
/* Frames that it may hold in the squeeze, of `movable` that are not wired. Pure. */
uint64_t store_squeezed_limit(uint64_t share, uint32_t movable, uint32_t last);
/* Whether `pages` pages could be stored now. A hint; the worker's thread, no lock held. */
bool store_has_room(struct daemon *d, unsigned worker, unsigned pages);
/* Whether enough of the compressor's memory is waste to begin compaction, or (started) to go on.
 * Cheap. Any thread. */
bool store_compaction_worth(struct daemon *d, bool started);
/* How many frames the compressor should give up: what it holds beyond its share, and what the
 * reserve lacks (pages that do not compress take more than they free). started: some are on their
 * way, go on to the lower mark. starved: what faults need is lacking too. */
uint64_t store_frames_to_swap(struct daemon *d, bool started, bool starved);
/* Whether segments should leave for swap by now. Cheap. Any thread. */
bool store_swap_worth(struct daemon *d);
/* Frames of the segments that are filled and written meanwhile when a range is evicted; never so
 * many that they would be most of the compressor's share. */
uint64_t store_group_frames(const struct daemon *d);

#endif
