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
 * blocks at the first write). Any other error marks the file (`error`), and marks all files of its
 * backend if this is the second one that fails there with no success in between. A marked file gets
 * no reservations until a write to its backend succeeds, or until SWAP_RETRY_NS have gone by, one
 * file at a time. No file is created on that backend for that time either if it was full, or if no
 * write to the file that failed has ever succeeded: another file would do no better. Suspects
 * become FREE when slots are short and no file can be created.
 *
 * Writes that are lost. A connection to a server ended with the write under way: it is made again
 * on the next one, but the old one may still be on its way, and could hit another use. When this
 * use ends, the slot stays SUSPECT for good (`stray`). So it does when the process has died with
 * the write under way, and another one goes on.
 *
 * Writes of a process before this one (swapadopt.c). A slot that it may have been writing when it
 * died is SUSPECT, with the next generation, until none of its rings is left (`left`). A file that
 * has such a slot stays.
 *
 * A backend is what files lie on. It is stalled while it has transfers under way and none has ended
 * for SWAP_STALL_NS: then it gets no reservations and no files, until one ends. What other backends
 * hold is read and written meanwhile.
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
 * a backend's free_slots == sum of (slots - used - suspects) over its files that are ACTIVE without
 * error
 */
#ifndef SWAP_PRIV_H
#define SWAP_PRIV_H

#include "swap.h"

#include <errno.h>
#include <linux/stat.h>

#include "arena.h"
#include "atomics.h"
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
#define SWAP_STALL_NS 1000000000u

/* A handle: generation (32 bits, never 0), file (12), slot in the file (20). */
#define SWAP_FILE_SHIFT       20
#define SWAP_GENERATION_SHIFT 32

enum swap_slot_state { SLOT_FREE, SLOT_RESERVED, SLOT_VALID, SLOT_LEAVING, SLOT_SUSPECT };

struct swap_entry {
	uint32_t generation;
	uint16_t in_flight;
	uint8_t state;   /* enum swap_slot_state */
	bool proven : 1; /* the last write here succeeded, so it has blocks */
	bool sealed : 1; /* this use has been written, encrypted: not again with the same nonce */
	bool stray : 1;  /* a write to it may still be on its way to a server: not used again */
	bool failed : 1; /* the write of this use failed: SUSPECT when the use ends */
	bool left : 1;   /* a process before this one may still write here */
};
_Static_assert(sizeof(struct swap_entry) == 8, "layout of the tables that outlive the process");

enum swap_file_state { FILE_NONE, FILE_CREATING, FILE_ACTIVE, FILE_DRAINING, FILE_DELETING };

/* Where a file lies: the whole of a file in a directory, or a part of a device. */
struct swap_extent {
	int fd;
	bool direct;     /* opened with O_DIRECT */
	uint64_t offset; /* of the file's first byte behind `fd` */
};

/* (M) SWAPMAP lock; (M,F) may also be read while I/O of one of the file's slots is in flight, which
 * keeps the file; (M,S) belongs to the thread in swap_balance while the file is neither ACTIVE nor
 * DRAINING. */
struct swap_file {
	enum swap_file_state state; /* (M) */
	unsigned backend; /* (M,S) index in swap.backends; of a file that is NONE: the last one's */
	int error;        /* (M) of a write that failed: the file is marked; 0 = it is not */
	unsigned slots;   /* (M,S) */
	bool written;     /* (M) a write to it has succeeded */
	bool has_stray;   /* (M) it has such a slot, so the file stays */
	bool has_left;    /* (M) likewise */
	struct swap_extent extent;  /* (M,F) */
	uint32_t epoch;             /* (M,F) changes with each file that is created in this place */
	uint32_t next_generation;   /* (M,S) with which a new file's slots start: above that of all
				       handles given before */
	unsigned used;              /* (M) slots that are neither FREE nor SUSPECT */
	unsigned suspects;          /* (M) */
	unsigned hint;              /* (M,S) there is no clear bit in the words below it */
	uint64_t *bits;             /* (M,S) set = not FREE; bits behind the last slot are set */
	struct swap_entry *entries; /* (M,S) */
};

struct swap_backend;
struct swap_key;
struct swap_seal;

/* What the kinds of backends do in ways of their own; everything else, and the transfers
 * themselves, is the same for all. Called without locks by the thread that starts and stops swap,
 * and by the one in swap_balance; they may block, but never on a server. */
struct swap_backend_ops {
	enum swap_kind kind;
	/* => 0 or -errno, and fault->why if that does not say it all */
	int (*open)(struct swap_backend *b, struct swap_fault *fault);
	void (*close)(struct swap_backend *b);
	/* The process ends at once. NULL: nothing is left behind. => called with M held, this
	 * once */
	void (*abandon)(struct swap_backend *b);
	/* Makes file `number` (index in swap.files). => 0 or -errno; -EDQUOT: the backend has no
	 * place for another file, whatever its size; as swap_is_full_error: none of that size */
	int (*file_create)(
	    struct swap_backend *b, unsigned number, uint64_t bytes, struct swap_extent *ret);
	/* Gives the blocks back. No I/O is in flight. */
	void (*file_delete)(
	    struct swap_backend *b, unsigned number, uint64_t bytes, struct swap_extent extent);
	/* Where swap outlives the process. A file that another process has left; extent.fd: as it
	 * was kept, or -1. => 0 or -errno, with the whole extent */
	int (*file_adopt)(struct swap_backend *b, unsigned number, struct swap_extent *extent);
	/* What is left of one that was being made, or deleted. fd: likewise. NULL: nothing is */
	void (*file_clear)(struct swap_backend *b, unsigned number, int fd);
};
extern const struct swap_backend_ops swapfile_ops, swapdevice_ops, swapnbd_ops;

/* The directory of the files. The lock file `<owner>.lock` is held with flock for as long as the
 * daemon lives. It is not one of the data files, because io_uring keeps registered files open for a
 * while after a process has died. */
struct swap_dir {
	int fd, lock_fd;
	char owner[48];
};

/* (M) SWAPMAP lock, (C) set once, (B) only the thread that calls swap_balance. */
struct swap_backend {
	const struct swap_backend_ops *ops; /* (C) */
	struct swap *swap;                  /* (C) */
	char *where;                        /* (C) path of the directory or device, or URI */
	int priority;                       /* (C) */
	bool is_sealed;                     /* (C) its slots are encrypted (swapseal.h) */
	size_t stride_bytes;                /* (C) from slot to slot */
	unsigned slots_per_file;            /* (C) at most */
	void *own;                          /* (C) of a kind that keeps something */
	struct swap_dir
	    dir; /* (B), and (M) to replace it: others read it with M held. Of a directory */
	unsigned free_slots;   /* (M) that can be reserved, unless it is stalled */
	unsigned in_flight;    /* (M) transfers */
	uint64_t progress_ns;  /* (M) when the last one ended, or the only one began */
	uint64_t create_at_ns; /* (M) no file is created before */
	uint64_t probe_at_ns;  /* (M) no mark is removed before; 0: a write has succeeded, and all
				  marks are removed */
	unsigned probe_hand;   /* (M) index of the file at which the search for a mark begins */
	struct swap_traffic traffic; /* (M) */
};

/* --- tables that outlive the process (swaptables.h) -------------------------------------- */

/* Processes before this one whose transfers may be under way. */
#define SWAP_LINES_MAX 64u

/* A file. What stands below `state` is written before it. */
struct swap_row {
	atomic_uint state; /* enum swap_file_state */
	uint32_t backend, slots;
	uint32_t next_generation; /* above that of all handles of files that were here before */
	uint64_t offset;
};

/* (C) set once, (B) only the thread that starts and stops swap and the one in swap_balance. */
struct swap_kept_tables {
	struct swap_keeper keeper; /* (C) */
	struct arena_shape shape;  /* (C) */
	char *memory;              /* (C) */
	int fd;                    /* (C) */
	bool was_there;            /* (C) another process has left it */
	unsigned slots_most;       /* (C) of a file */
	int line;                  /* (C) this process's: the end that rings have */
	int lines[SWAP_LINES_MAX]; /* (B) of processes before, by number; -1: none */
	unsigned line_count;       /* (B) of these */
};

/* (M) SWAPMAP lock, (C) set once. */
struct swap {
	unsigned magic;
	struct lock lock;
	size_t slot_bytes;                               /* (C) */
	uint64_t max_bytes;                              /* (C) of the files in directories */
	unsigned low_free_slots, high_free_slots;        /* (C) */
	unsigned files_max;                              /* (C) */
	bool force_sync;                                 /* (C) */
	uint64_t server_timeout_ns;                      /* (C) */
	struct swap_backend backends[SWAP_BACKENDS_MAX]; /* the highest priority first */
	unsigned backend_count;                          /* (C) */
	struct swap_key *key;                            /* (C) NULL: no backend is encrypted */
	struct swap_kept_tables *kept; /* (C) swapadopt.h; NULL: swap ends with the process */
	struct swap_file *files;       /* (C), [files_max] */
	unsigned file_limit;           /* (M) files at this index and above are NONE */
	uint32_t draining;             /* (M) the index of a file, or SWAP_NO_FILE */
	unsigned channels;             /* (M) that are open */
	uint64_t drain_at_ns;          /* (M) no file is drained before */
	struct swap_stats stats;       /* (M) the counters; swap_stats fills in the levels */
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

/* Whether it does not answer now. => called with M held. */
static inline bool
swap_backend_is_stalled(const struct swap_backend *b, uint64_t now_ns)
{
	lock_assert_held(&b->swap->lock);
	return b->in_flight > 0 && now_ns > b->progress_ns + SWAP_STALL_NS;
}

/* Whether the disk has no blocks, as opposed to being broken. */
static inline bool
swap_is_full_error(int error)
{
	return error == -ENOSPC || error == -EDQUOT || error == -EFBIG;
}

/* What only other files are asked: their size, and that what was written is on the disk. Beside
 * SWAP_READ and SWAP_WRITE. */
enum { SWAP_SIZE = 2, SWAP_SYNC };

/* Whether bytes go to or from a buffer. */
static inline bool
swap_direction_moves(int direction)
{
	return direction == SWAP_READ || direction == SWAP_WRITE;
}

/* Where a transfer goes: a file, and the offset in it. file SWAP_NO_FILE: it is not swap's. */
struct swap_place {
	struct swap_backend *server; /* NULL: it is behind the descriptor */
	bool is_sealed;              /* then `offset` is that of the slot's first block */
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
	size_t piece; /* bytes that the piece under way asks for, from `done` on */
	size_t tail;  /* of another file: bytes read behind `done` that did not fill a block */
	size_t cap;   /* at most this many bytes of the piece count (a fail point) */
	char *buffer; /* of byte 0 */
	/* Of a sealed place, whose blocks are `buffer` and `length`: what the caller asked for. */
	char *plain;
	size_t plain_offset, plain_length;
	bool is_foreign; /* the buffer is not the channel's */
	bool may_wait;   /* whoever hands it to the kernel must not be the one that waits */
	unsigned retries;
	int result; /* 0 or -errno; valid when settled */
	bool settled;
	/* Of a request to a server (swapserver.c). */
	void *box;                 /* where it goes when it is done (swapbox.h) */
	struct swap_request *next; /* on a list of the server's */
	int64_t number;            /* libnbd's */
	uint64_t deadline_ns;      /* it has failed then; UINT64_MAX: never */
	struct statx size;         /* the answer to SWAP_SIZE */
	struct swap_request *held; /* the next one that a fail point holds back */
};

static inline bool
swap_request_is_swap(const struct swap_request *r)
{
	return r->place.file != SWAP_NO_FILE;
}

struct swap_lane;

/* One way to do I/O. `queue` takes a piece of a request, `flush` starts the queued pieces, `peek`
 * shows the oldest completion (bytes or -errno) until `advance` drops it. `wait` flushes too, and
 * returns when peek has a completion. Only `open` allocates. */
struct swapio_ops {
	int (*open)(struct swap_lane *lane);
	void (*close)(struct swap_lane *lane);
	int (*fd)(struct swap_lane *lane);
	void (*queue)(struct swap_lane *lane, struct swap_request *r);
	int (*flush)(struct swap_lane *lane);
	bool (*peek)(struct swap_lane *lane, struct swap_request **ret_request, int *ret_result);
	void (*advance)(struct swap_lane *lane);
	int (*wait)(struct swap_lane *lane);
};
extern const struct swapio_ops swapio_uring_ops, swapio_sync_ops, swapio_nbd_ops;

/* Requests for what is behind a descriptor take one lane, those for servers another, if there is a
 * server. */
enum swap_lane_number { LANE_KERNEL, LANE_SERVER, LANES };

struct swap_lane {
	const struct swapio_ops *ops; /* NULL: the channel does not have it */
	void *io;                     /* state of the ops */
	struct swap_channel *channel;
	unsigned in_flight; /* requests */
};

/* All fields belong to the channel's thread.
 * in_flight + free_request_count == depth; a request is in flight until it was reaped. */
struct swap_channel {
	unsigned magic;
	struct swap *swap; /* NULL: for other files alone */
	struct swap_lane lanes[LANES];
	int epoll; /* of both lanes; -1: there is one */
	unsigned depth, in_flight;
	struct swap_request *held;   /* by a fail point: in flight, and not begun */
	unsigned buffer_count;       /* at most `depth` */
	unsigned questions;          /* requests without a buffer, beside those that have one */
	size_t buffer_bytes, stride; /* stride: buffer_bytes rounded up to SWAP_ALIGN */
	char *buffers;               /* buffer_count x stride */
	struct swap_seal *seal;      /* NULL: no backend is encrypted */
	char *sealed;                /* depth x sealed_stride, for the blocks of each request */
	size_t sealed_stride;
	struct swap_request *requests;
	struct swap_request **free_requests; /* stack */
	unsigned free_request_count;
	unsigned *free_buffers; /* stack */
	unsigned free_buffer_count;
	int *buffer_uses; /* -1: free; else requests in flight on it */
};

/* => nothing is in flight */
void swap_channel_free(struct swap_channel *ch);
/* The buffer that [start, start+length) lies in. => false when in none. */
bool swap_channel_buffer_index(
    const struct swap_channel *ch, const void *start, size_t length, unsigned *ret);

#endif
