/* SPDX-License-Identifier: MIT
 *
 * The structures that the files of this folder share: the map of slots, the directory with its
 * files, and the interface between a channel and the two ways to do its I/O.
 *
 * A slot's life. The handle that callers hold carries the generation of one use, which ends at
 * swap_release even if I/O is still in flight.
 *
 *   FREE ------> RESERVED ------> VALID       FREE -> RESERVED       swap_reserve
 *    ^ ^            |  |          |  |        RESERVED -> VALID      swap_commit
 *    | +--no I/O----+--|----------+  |        either -> FREE         swap_release, no I/O in flight
 *    |                 v             v        either -> LEAVING      swap_release, I/O in flight
 *    +--last I/O---- LEAVING <-------+        LEAVING -> FREE        swapmap_io_end, the last one
 *
 *   FREE      bit clear; generation is that of the next use; no I/O
 *   RESERVED  bit set; may be written, not read
 *   VALID     bit set; may be read, not written
 *   LEAVING   bit set; no handle is valid for it; in_flight > 0
 *   SUSPECT   bit set; no handle, no I/O; a write here would probably fail
 *
 * Writes that fail. The slot becomes SUSPECT instead of FREE when its use ends. If the disk is full
 * and the slot had never been written, all slots of the file that are FREE and were never written
 * become SUSPECT too: there may be no blocks for them (a file system without fallocate(2) allocates
 * blocks at the first write). Any other error marks the file (`error`), and marks all files if this
 * is the second file that fails with no success in between. A marked file gets no reservations
 * until a write succeeds anywhere, or until SWAP_RETRY_NS have gone by, one file at a time. No file
 * is created for that time either if the disk was full, or if no write to the file that failed has
 * ever succeeded: another file would do no better. Suspects become FREE when slots are short and no
 * file can be created.
 *
 * A file's life (swapmap_file_switch). It has slots_per_file slots, or fewer if the disk or
 * max_bytes has no room for them.
 *
 *   NONE -> CREATING -> ACTIVE <-> DRAINING -> DELETING -> NONE
 *              +--creation failed--> NONE
 *
 *   ACTIVE    takes reservations, unless it is marked (`error`)
 *   DRAINING  takes no reservations; at most one file; ACTIVE again if slots get short
 *   CREATING, DELETING  has no used slot; the thread in swap_balance works on it without the lock
 *
 * free_slots == sum of (slots - used - suspects) over files that are ACTIVE without error
 */
#ifndef SWAP_PRIV_H
#define SWAP_PRIV_H

#include "swap.h"

#include <errno.h>
#include <linux/stat.h>

#include "base.h"
#include "lock.h"

#define SWAP_MAGIC         0x50415753u
#define SWAP_CHANNEL_MAGIC 0x48435753u
#define SWAP_SECTOR        512u  /* unit of offsets and lengths */
#define SWAP_ALIGN         4096u /* of slots and buffers */
#define SWAP_FILES_MAX     1024u
#define SWAP_SLOTS_MAX     (1u << 20) /* in a file */
#define SWAP_NO_FILE       UINT32_MAX
#define SWAP_FILE_SLOTS_MIN                                                                        \
	8u /* a smaller file is not worth it, unless files are configured so                       \
	    */
#define SWAP_RETRY_NS 5000000000u

/* A handle: generation (32 bits, never 0), file (12), slot in the file (20). */
#define SWAP_FILE_SHIFT       20
#define SWAP_GENERATION_SHIFT 32

enum swap_slot_state { SLOT_FREE, SLOT_RESERVED, SLOT_VALID, SLOT_LEAVING, SLOT_SUSPECT };

struct swap_entry {
	uint32_t generation;
	uint16_t in_flight;
	uint8_t state;   /* enum swap_slot_state */
	bool proven : 1; /* the last write here succeeded, so it has blocks */
	bool failed : 1; /* the write of this use failed: SUSPECT when the use ends */
};

enum swap_file_state { FILE_NONE, FILE_CREATING, FILE_ACTIVE, FILE_DRAINING, FILE_DELETING };

/* (M) SWAPMAP lock; (M,F) may also be read while I/O of one of the file's slots is in flight, which
 * keeps the file; (M,S) belongs to the thread in swap_balance while the file is neither ACTIVE nor
 * DRAINING. */
struct swap_file {
	enum swap_file_state state; /* (M) */
	int error;      /* (M) of a write that failed: the file is marked; 0 = it is not */
	unsigned slots; /* (M,S) */
	bool written;   /* (M) a write to it has succeeded */
	int fd;         /* (M,F) */
	bool direct;    /* (M) opened with O_DIRECT */
	uint32_t epoch; /* (M,F) changes with each file that is created in this place */
	uint32_t next_generation;   /* (M,S) with which a new file's slots start: above that of all
				       handles given before */
	unsigned used;              /* (M) slots that are neither FREE nor SUSPECT */
	unsigned suspects;          /* (M) */
	unsigned hint;              /* (M,S) there is no clear bit in the words below it */
	uint64_t *bits;             /* (M,S) set = not FREE; bits behind the last slot are set */
	struct swap_entry *entries; /* (M,S) */
};

/* The directory of the files. The lock file `<owner>.lock` is held with flock for as long as the
 * daemon lives. It is not one of the data files, because io_uring keeps registered files open for a
 * while after a process has died. */
struct swap_dir {
	int fd, lock_fd;
	char owner[48];
};

/* (M) SWAPMAP lock, (C) set once, (B) only the thread that calls swap_balance. */
struct swap {
	unsigned magic;
	struct lock lock;
	size_t slot_bytes;                        /* (C) */
	uint64_t max_bytes;                       /* (C) */
	unsigned slots_per_file;                  /* (C) at most */
	unsigned low_free_slots, high_free_slots; /* (C) */
	unsigned files_max;                       /* (C) */
	bool force_sync;                          /* (C) */
	char *directory;         /* (C) its path, to make it again if it vanishes */
	struct swap_dir dir;     /* (B), and (M) to replace it: other threads read it with M held */
	struct swap_file *files; /* (C), [files_max] */
	unsigned file_limit;     /* (M) files at this index and above are NONE */
	unsigned free_slots;     /* (M) that can be reserved */
	uint32_t draining;       /* (M) the index of a file, or SWAP_NO_FILE */
	unsigned channels;       /* (M) that are open */
	uint64_t create_at_ns;   /* (M) no file is created before */
	uint64_t probe_at_ns;    /* (M) no mark is removed before; 0: a write has succeeded, and all
				    marks are removed */
	unsigned probe_hand;     /* (M) index of the file at which the search for a mark begins */
	uint64_t drain_at_ns;    /* (M) no file is drained before */
	struct swap_stats stats; /* (M) the counters; swap_stats fills in the levels */
};

static inline bool
swapmap_file_is_reservable(const struct swap_file *f)
{
	return f->state == FILE_ACTIVE && f->error == 0;
}

static inline bool
swapmap_file_has_failed(const struct swap_file *f)
{
	return f->error != 0 || f->suspects > 0;
}

/* Whether the disk has no blocks, as opposed to being broken. */
static inline bool
swap_is_full_error(int error)
{
	return error == -ENOSPC || error == -EDQUOT || error == -EFBIG;
}

/* What only other files are asked: their size. Beside SWAP_READ and SWAP_WRITE. */
enum { SWAP_SIZE = 2 };

/* Where a transfer goes: a file, and the offset in it. file SWAP_NO_FILE: it is not swap's. */
struct swap_place {
	int fd;
	unsigned file;
	uint32_t epoch;
	uint64_t offset;
};

/* --- channels ---------------------------------------------------------------------------- */

/* A transfer under way. It is done in pieces: the next piece asks for the bytes that the last one
 * did not transfer. It belongs to the channel's thread, and between its flush and its completion to
 * the helper (swapio_sync.c). */
struct swap_request {
	uint64_t cookie;
	struct swap_slot slot;
	struct swap_place place;
	int direction;
	size_t length, done;
	size_t piece;    /* bytes that the piece under way asks for, from `done` on */
	size_t tail;     /* of another file: bytes read behind `done` that did not fill a block */
	size_t cap;      /* at most this many bytes of the piece count (a fail point) */
	char *buffer;    /* of byte 0 */
	bool is_foreign; /* the buffer is not the channel's */
	bool may_wait;   /* whoever hands it to the kernel must not be the one that waits */
	unsigned retries;
	int result; /* 0 or -errno; valid when settled */
	bool settled;
	struct statx size; /* the answer to SWAP_SIZE */
};

static inline bool
swap_request_is_swap(const struct swap_request *r)
{
	return r->place.file != SWAP_NO_FILE;
}

/* One way to do I/O. `queue` takes a piece of a request, `flush` starts the queued pieces, `peek`
 * shows the oldest completion (bytes or -errno) until `advance` drops it. `wait` flushes too, and
 * returns when peek has a completion. Only `open` allocates. */
struct swapio_ops {
	int (*open)(struct swap_channel *ch);
	void (*close)(struct swap_channel *ch);
	int (*fd)(struct swap_channel *ch);
	void (*queue)(struct swap_channel *ch, struct swap_request *r);
	int (*flush)(struct swap_channel *ch);
	bool (*peek)(struct swap_channel *ch, struct swap_request **ret_request, int *ret_result);
	void (*advance)(struct swap_channel *ch);
	int (*wait)(struct swap_channel *ch);
};
extern const struct swapio_ops swapio_uring_ops, swapio_sync_ops;

/* All fields belong to the channel's thread.
 * in_flight + free_request_count == depth; a request is in flight until it was reaped. */
struct swap_channel {
	unsigned magic;
	struct swap *swap; /* NULL: for other files alone */
	const struct swapio_ops *ops;
	void *io; /* state of the ops */
	unsigned depth, in_flight;
	size_t buffer_bytes, stride; /* stride: buffer_bytes rounded up to SWAP_ALIGN */
	char *buffers;               /* depth x stride */
	struct swap_request *requests;
	struct swap_request **free_requests; /* stack */
	unsigned free_request_count;
	unsigned *free_buffers; /* stack */
	unsigned free_buffer_count;
	int *buffer_uses; /* -1: free; else requests in flight on it */
};

#endif
