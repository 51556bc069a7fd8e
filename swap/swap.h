/* SPDX-License-Identifier: MIT
 *
 * Swap: byte runs to places. Swap files, made of equal slots (one slot holds one compressor
 * segment; nobody here knows what is in it). They have a fixed size, or less where there is no room
 * for it. Files are created when free slots fall below a low count and emptied and deleted when
 * they exceed a high one (the dynamic pager's job, both counts in tbl/param.h). I/O goes through an
 * I/O channel per thread: io_uring with O_DIRECT, registered buffers and files; where io_uring is
 * refused, a twin with pread/pwrite on a helper thread. Channels are polled through a descriptor,
 * nobody waits in here.
 *
 * Threads: swap_* functions are callable from any thread; a channel belongs to one thread. Errors
 * are ordinary: ENOSPC, EIO, short transfers. Files are created mode 0600, unlinked at a clean
 * stop.
 */
#ifndef SWAP_H
#define SWAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A slot in some swap file, with the generation of its use (a late completion cannot hit a reused
 * slot). 0 = none. */
struct swap_slot {
	uint64_t v;
};

struct swap_config {
	const char *directory; /* made 0700 if it does not exist */
	size_t slot_bytes;     /* multiple of 4096 */
	uint64_t
	    file_bytes;     /* size of a file where there is room for it (default in tbl/param.h) */
	uint64_t max_bytes; /* of all files together; 0 = no limit but the disk */
	unsigned low_free_slots;  /* fewer free: another file is created by swap_balance */
	unsigned high_free_slots; /* more would be free without a file: swap_balance begins to empty
				     it */
	bool force_sync;          /* use the pread/pwrite twin */
};

struct swap;

/* => 0 or -errno: -ENOENT/-EACCES/-ENOSPC for the directory; -ERANGE: max_bytes is less than the
 * smallest file; -EINVAL for the other numbers. Leftover files of a dead daemon in the directory
 * (locked by nobody) are removed. No file is created yet. */
int swap_create(const struct swap_config *config, struct swap **ret);
/* The size of the smallest file that would be made. */
uint64_t swap_file_bytes_min(const struct swap_config *config);
/* Closes and unlinks, whatever is stored. All channels are gone. NULL is accepted. */
void swap_destroy(struct swap *s);

/* The process ends now, whoever is at work: the files' names go, and the files with the process.
 * Any thread. */
void swap_abandon(struct swap *s);

/* => 0 and *ret, or -ENOSPC when no file has a free slot (swap_balance may help). Never blocks. */
int swap_reserve(struct swap *s, struct swap_slot *ret);
/* Whether swap_reserve would find a slot now. */
bool swap_has_free(struct swap *s);
/* The slot was written completely (no write is in flight) and may be read; it may not be written
 * any more. */
void swap_commit(struct swap *s, struct swap_slot slot);
/* Ends this use, also with I/O in flight: the slot is used again when that has ended. */
void swap_release(struct swap *s, struct swap_slot slot);
/* A write or read failed. Called before the slot is released: one that is not committed failed to
 * be written. Then it, and what is like it, is not reserved again for some seconds, in which swap
 * may well have no free slot at all (swap_priv.h). A file in which writes failed is deleted once
 * empty. */
void swap_mark_error(struct swap *s, struct swap_slot slot, int error);

/* One step of creating, draining or deleting a file, to be called now and then by ONE thread that
 * may block on file system calls. => what it did or wants. */
enum swap_balance {
	SWAP_BALANCE_IDLE,
	SWAP_BALANCE_CREATED,
	SWAP_BALANCE_DELETED,
	SWAP_BALANCE_DRAIN,  /* the caller should move the slots of file *ret_draining elsewhere */
	SWAP_BALANCE_FAILED, /* a file could not be created: *ret_error (-EDQUOT: max_bytes;
				-ENOENT: the directory is gone and cannot be made again); IDLE for 5
				s then */
};
enum swap_balance swap_balance(struct swap *s, unsigned *ret_draining, int *ret_error);
/* Whether the slot's file is being drained (its live slots should move). */
bool swap_slot_is_draining(struct swap *s, struct swap_slot slot);
/* Not all of it could be moved: no file is drained for 5 s. The thread of swap_balance. */
void swap_drain_defer(struct swap *s);

/* --- I/O channels
 * ---------------------------------------------------------------------------------- */

struct swap_channel;

enum { SWAP_READ, SWAP_WRITE };

struct swap_completion {
	uint64_t cookie;
	int result; /* 0, or -errno; a short transfer that could not be completed is -EIO */
};

/* depth: requests in flight at most. buffer_bytes x depth registered, aligned buffers are owned by
 * the channel. => 0 or -errno. */
int swap_channel_create(
    struct swap *s, unsigned depth, size_t buffer_bytes, struct swap_channel **ret);
/* Waits for what is in flight, then frees. */
void swap_channel_destroy(struct swap_channel *ch);
/* Readable when completions wait (now and then with none: a short transfer went on). For poll and
 * epoll, which may return EINTR without a signal (io_uring's completions run in the waiting
 * thread). */
int swap_channel_fd(struct swap_channel *ch);
/* A free buffer of the channel, or NULL when all are in flight. */
void *swap_channel_buffer_get(struct swap_channel *ch);
void swap_channel_buffer_put(struct swap_channel *ch, void *buffer);
/* Starts a transfer between `buffer` (from _buffer_get, or a place within one at a multiple of 512;
 * stays with the request until its completion was taken and the caller puts it back) and [offset,
 * offset+length) of the slot; offset and length are multiples of 512. => 0, -EAGAIN (depth
 * reached), -ESTALE (slot generation is over), -EINVAL (also: a read of what is not committed, a
 * write to what is). */
int swap_channel_submit(struct swap_channel *ch, int direction, struct swap_slot slot,
    size_t offset, size_t length, void *buffer, uint64_t cookie);
/* A write from the slot's begin of memory that is not the channel's, page-aligned: it stays as it
 * is until the completion was taken. Saves a copy; the kernel looks the pages up each time. => as
 * _submit */
int swap_channel_submit_from(struct swap_channel *ch, struct swap_slot slot, size_t length,
    const void *bytes, uint64_t cookie);
/* Flushes what was submitted to the kernel (one system call for many). => 0, or -errno: the rest
 * stays queued for the next flush or wait. */
int swap_channel_flush(struct swap_channel *ch);
/* Takes up to max completions, never waits. => their number. */
unsigned swap_channel_reap(struct swap_channel *ch, struct swap_completion *ret, unsigned max);
/* Waits until at least one completion can be taken (for the swap writer's thread); flushes. => 0,
 * -ENODATA when nothing is in flight, -errno. */
int swap_channel_wait(struct swap_channel *ch);

struct swap_stats {
	uint64_t files, slots_total, slots_used, bytes_allocated;
	uint64_t slots_free; /* that can be reserved now: none of files that are drained or marked,
				no suspects */
	uint64_t slots_suspect;  /* in which a write failed or would fail */
	uint64_t files_buffered; /* without O_DIRECT, because the file system refuses it */
	uint64_t files_failed;   /* in which a write failed lately */
	uint64_t reads, read_bytes, writes, write_bytes, read_errors, write_errors;
	uint64_t files_created, files_deleted;
	bool uses_io_uring; /* no channel had to do without */
};
void swap_stats(struct swap *s, struct swap_stats *ret);
bool swap_is_valid(struct swap *s, char *msg, size_t msg_size);

#endif
