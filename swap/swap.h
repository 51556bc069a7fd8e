/* SPDX-License-Identifier: MIT
 *
 * Swap: stores runs of bytes in places. It has swap files, made of equal slots; a slot holds one
 * compressor segment, of which nothing is known here. Files lie on backends, of which there may be
 * several, the one with the highest priority used first. Files have a fixed size, or less if there
 * is no room for it. A file is created when the free slots fall below a low count, and one is
 * emptied and deleted when they exceed a high one (the dynamic pager's job; both counts are in
 * tbl/param.h). Each thread does its I/O through a channel of its own: io_uring with O_DIRECT,
 * registered buffers and files; if io_uring is refused, pread and pwrite on helper threads.
 * Channels are polled through a descriptor, so that no thread need wait in here.
 *
 * Threads: swap_* functions may be called from any thread; a channel belongs to one thread. Errors
 * of the disk are ordinary: ENOSPC, EIO, short transfers. Files are created with mode 0600, and
 * unlinked at a clean stop.
 */
#ifndef SWAP_H
#define SWAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base.h"

/* A slot in some swap file, with the generation of its use, so that a late completion cannot hit a
 * slot that is used again. 0 = none. */
struct swap_slot {
	uint64_t v;
};

#define SWAP_BACKENDS_MAX 8u

enum swap_kind { SWAP_DIRECTORY, SWAP_DEVICE, SWAP_NBD };

/* What files lie on. Of two with the same priority the first is used first. */
struct swap_backend_config {
	enum swap_kind kind;
	const char *where; /* path of a directory, which is made 0700 if it does not exist, or of a
			      block device, which is empty or has been swap's; an NBD URI */
	int priority;
	bool encrypt; /* what is written there is encrypted and authenticated */
};

/* Where swap outlives its process: descriptors of which somebody else holds copies, by kind and
 * number. Each is handed over before anything names it. */
enum swap_kept {
	SWAP_KEPT_TABLES, /* 0: which slot of which file is in use */
	SWAP_KEPT_KEY,    /* 0 */
	SWAP_KEPT_LINE,   /* a number for each process whose transfers may be under way */
	SWAP_KEPT_PLACE,  /* a backend's number: its directory or device */
	SWAP_KEPT_LOCK,   /* likewise: the directory's lock file */
	SWAP_KEPT_FILE,   /* a file's number, of a directory */
	SWAP_KEPT_COUNT
};
struct swap_keeper {
	/* => the descriptor that another process has left, the caller's from now on; -1: none */
	int (*take)(void *ctx, enum swap_kept kind, unsigned id);
	/* The descriptor stays the caller's. */
	void (*keep)(void *ctx, enum swap_kept kind, unsigned id, int fd);
	void (*drop)(void *ctx, enum swap_kept kind, unsigned id);
	void *ctx;
};

struct swap_config {
	struct swap_backend_config backends[SWAP_BACKENDS_MAX];
	unsigned backend_count;
	size_t slot_bytes;   /* multiple of 4096 */
	uint64_t file_bytes; /* size of a file if there is room for it (default in tbl/param.h) */
	uint64_t max_bytes;  /* of all files in directories together; 0 = no limit but the disk */
	unsigned low_free_slots;    /* if fewer are free, swap_balance creates another file */
	unsigned high_free_slots;   /* if more would be free without a file, swap_balance begins to
				       empty that file */
	uint64_t server_timeout_ns; /* what a server has not answered for so long has failed; 0 =
				       it is waited for */
	const char *key_file;       /* 32 bytes of which the key is made; NULL: one of its own is
				       drawn */
	bool force_sync;            /* use the pread/pwrite twin */
	const struct swap_keeper *keeper; /* NULL: swap ends with the process */
};

/* What cannot be done, and where. */
struct swap_fault {
	int error; /* -errno */
	enum swap_kind kind;
	const char *where; /* as configured; there as long as swap is */
	char why[160];     /* what a server or its library says; "" : the error says it all */
};
struct swap;

/* Removes files that a dead daemon has left in a directory (no process locks them). No file is
 * created yet. => 0 or -errno: -ENOENT, -EACCES or -ENOSPC for a directory; for a device also
 * -ENOTBLK (it is none), -EBUSY (others use it), -EEXIST (it holds something), -ENOSPC (too small);
 * -ERANGE: max_bytes is less than the smallest file; -EPROTO: what another process has left is of
 * other backends or sizes; -EINVAL for the other numbers. *ret_fault (may be NULL): which backend
 * cannot be had; its `where` is NULL if it is none of them. */
int swap_create(const struct swap_config *config, struct swap **ret, struct swap_fault *ret_fault);
/* With config.keeper, what another process has left is taken over: after swap_create nothing but
 * reads and these may be called until swap_adopt_end has returned. What nobody has named then is
 * free, but for slots that the other may have been writing: they stay out of use until its last
 * transfer has ended, which is looked for in swap_balance. */
/* The slot holds something. => false: it was never committed, or its use is over */
bool swap_adopt(struct swap *s, struct swap_slot slot) MUST_USE;
void swap_adopt_end(struct swap *s);
/* Another number with each change of what is left for another process. */
uint64_t swap_kept_version(void);
/* The size of the smallest file that would be made. */
uint64_t swap_file_bytes_min(const struct swap_config *config);
/* Closes and unlinks all files, whatever is stored in them. => all channels are destroyed; NULL is
 * accepted. */
void swap_destroy(struct swap *s);

/* Called when the process ends at once, whatever its threads are doing: unlinks the files, whose
 * blocks are given back when the process is gone. Any thread. */
void swap_abandon(struct swap *s);

/* => 0 and *ret, or -ENOSPC when no file has a free slot (swap_balance may help). Never blocks. */
int swap_reserve(struct swap *s, struct swap_slot *ret);
/* The same on the backend of `other`, which is in use. */
int swap_reserve_beside(struct swap *s, struct swap_slot other, struct swap_slot *ret);
/* Whether swap_reserve would find a slot now, or as soon as a backend answers again. */
bool swap_has_free(struct swap *s);
/* The slot was written completely and may be read from now on, but not written again. => no write
 * is in flight. */
void swap_commit(struct swap *s, struct swap_slot slot);
/* Ends this use of the slot. I/O may be in flight: the slot is used again only when that has ended.
 */
void swap_release(struct swap *s, struct swap_slot slot);
/* A write or read failed. Called before the slot is released; if the slot is not committed, it was
 * a write. Then this slot and others like it (swap_priv.h) are not reserved again for some seconds,
 * in which swap may have no free slot at all. A file in which writes failed is deleted once it is
 * empty. */
void swap_mark_error(struct swap *s, struct swap_slot slot, int error);

/* What has failed with the slot, whose use may be over already. */
struct swap_fault swap_fault_of(struct swap *s, struct swap_slot slot, int error);

/* One step of creating, draining or deleting a file. Called now and then by ONE thread, which may
 * block in file system calls. => what was done, or what the caller is to do. */
enum swap_balance {
	SWAP_BALANCE_IDLE,
	SWAP_BALANCE_CREATED,
	SWAP_BALANCE_DELETED,
	SWAP_BALANCE_DRAIN,  /* the caller should move the slots of file *ret_draining elsewhere */
	SWAP_BALANCE_FAILED, /* a file could not be created: *ret_fault (-EDQUOT: max_bytes;
				-ENOENT: the directory is gone and cannot be made again). No other
				try on that backend for 5 s */
};
enum swap_balance swap_balance(
    struct swap *s, unsigned *ret_draining, struct swap_fault *ret_fault);
/* Whether the slot's backend has not answered for a second. */
bool swap_slot_is_stalled(struct swap *s, struct swap_slot slot);
/* => the slot's backend, as an index of swap_backend_stats, and its kind. The slot is in use, or
 * was a moment ago. */
unsigned swap_slot_backend(struct swap *s, struct swap_slot slot, enum swap_kind *ret_kind);
/* Whether the slot's file is being drained, so that its live slots should move. */
bool swap_slot_is_draining(struct swap *s, struct swap_slot slot);
/* Not all slots could be moved: no file is drained for 5 s. => called by the thread of
 * swap_balance. */
void swap_drain_defer(struct swap *s);

/* --- I/O channels ------------------------------------------------------------------------- */

struct swap_channel;

enum { SWAP_READ, SWAP_WRITE, SWAP_MAY_WAIT = 16 };

struct swap_completion {
	uint64_t cookie;
	int result;     /* 0, or -errno; a short transfer that could not be completed is -EIO */
	uint64_t bytes; /* transferred; of a size request: the file's size */
};

/* depth: the largest number of requests in flight, and the number of aligned buffers of
 * buffer_bytes that the channel owns (registered if the kernel allows it). s NULL: the channel is
 * for other files alone (swap_channel_submit_file). => 0 or -errno. */
int swap_channel_create(
    struct swap *s, unsigned depth, size_t buffer_bytes, struct swap_channel **ret);
/* The same with fewer buffers, each of which several requests may have a part of. questions: those
 * of `depth` that are for swap_channel_submit_sync, which hold up no others. */
int swap_channel_create_for(struct swap *s, unsigned depth, unsigned questions, unsigned buffers,
    size_t buffer_bytes, struct swap_channel **ret);
/* Waits for the requests in flight, then frees the channel. */
void swap_channel_destroy(struct swap_channel *ch);
/* A descriptor that is readable when there are completions; sometimes when there are none, because
 * a short transfer was continued. For poll and epoll, which may return EINTR without a signal,
 * because io_uring's completions run in the waiting thread. */
int swap_channel_fd(struct swap_channel *ch);
/* A free buffer of the channel, or NULL when all are in flight. */
void *swap_channel_buffer_get(struct swap_channel *ch);
void swap_channel_buffer_put(struct swap_channel *ch, void *buffer);
/* Starts a transfer between `buffer` and [offset, offset+length) of the slot; offset and length are
 * multiples of 512. `buffer` is from _buffer_get, or lies within such a buffer at a multiple of
 * 512. It belongs to the request until the completion has been taken; then the caller puts it back.
 * => 0, -EAGAIN (depth reached), -ESTALE (the slot's use is over), -EINVAL (also for a read of a
 * slot that is not committed, and a write to one that is). */
int swap_channel_submit(struct swap_channel *ch, int direction, struct swap_slot slot,
    size_t offset, size_t length, void *buffer, uint64_t cookie);
/* Writes page-aligned memory that is not the channel's to the beginning of the slot; the memory
 * must not change until the completion has been taken. Saves a copy, but the kernel has to look the
 * pages up each time. => as _submit */
int swap_channel_submit_from(struct swap_channel *ch, struct swap_slot slot, size_t length,
    const void *bytes, uint64_t cookie);
/* Starts a transfer between `buffer`, which is as for _submit, and any file, which is not swap's: a
 * read that ends where the file ends has transferred less. The descriptor stays open until the
 * completion has been taken. If it is O_DIRECT, offset and length are what the file system asks
 * for. direction: with SWAP_MAY_WAIT if the file system may wait even when it is asked not to, as
 * those in user space do. => 0, -EAGAIN or -EINVAL */
int swap_channel_submit_file(struct swap_channel *ch, int direction, int fd, uint64_t offset,
    size_t length, void *buffer, uint64_t cookie);
/* Asks for the size of such a file, which may take as long as a transfer. => 0 or -EAGAIN */
int swap_channel_submit_size(struct swap_channel *ch, int fd, uint64_t cookie);
/* Asks that what was written to such a file be on the disk, which may take as long as its file
 * system likes. => 0 or -EAGAIN */
int swap_channel_submit_sync(struct swap_channel *ch, int fd, uint64_t cookie);
/* Whether a completion can be seen without a wait. swap_channel_reap may find that its request goes
 * on all the same. */
bool swap_channel_is_ready(struct swap_channel *ch);
/* Hands the submitted requests to the kernel, in one system call. => 0, or -errno: the rest stays
 * queued for the next flush or wait. */
int swap_channel_flush(struct swap_channel *ch);
/* Takes up to max completions without waiting. => their number. */
unsigned swap_channel_reap(struct swap_channel *ch, struct swap_completion *ret, unsigned max);
/* Flushes, and waits until at least one completion can be taken. For the thread that writes to
 * swap. => 0, -ENODATA if nothing is in flight, or -errno. */
int swap_channel_wait(struct swap_channel *ch);
/* The same for at most so long. => also -ETIME */
int swap_channel_wait_for(struct swap_channel *ch, uint64_t timeout_ns);

/* Transfers that have ended. */
struct swap_traffic {
	uint64_t reads, read_bytes, writes, write_bytes, read_errors, write_errors;
	uint64_t damaged; /* encrypted blocks that are not what was written: they read as zeroes */
};

struct swap_stats {
	uint64_t files, slots_total, slots_used, bytes_allocated;
	uint64_t slots_free;     /* that can be reserved now: not those of files that are drained or
				    marked, of backends that do not answer, and not suspects */
	uint64_t slots_suspect;  /* in which a write has failed, or would probably fail */
	uint64_t files_buffered; /* without O_DIRECT, because the file system refuses it */
	uint64_t files_failed;   /* in which a write has failed lately */
	struct swap_traffic traffic;
	uint64_t files_created, files_deleted;
	bool uses_io_uring; /* every channel got it */
};
void swap_stats(struct swap *s, struct swap_stats *ret);
/* The same about one backend, in the order of priorities; the last three are of all. => false:
 * there is none with that index */
struct swap_backend_stats {
	struct swap_stats of;
	struct swap_backend_config config;
	bool is_stalled; /* it has not answered for a second */
};
bool swap_backend_stats(struct swap *s, unsigned index, struct swap_backend_stats *ret);
bool swap_is_valid(struct swap *s, char *msg, size_t msg_size);

#endif
