/* SPDX-License-Identifier: MIT
 *
 * The recorder as its own files see it.
 */
#ifndef RECORDER_PRIV_H
#define RECORDER_PRIV_H

#include <pthread.h>

#include "daemon.h"
#include "pol_window.h"
#include "trace_codec.h"
#include "vm/task.h"

#define RECORDER_BLOCKS 16u

struct recorder {
	struct lock lock; /* LOG; covers everything below but what is marked */
	struct cond full; /* waited by the writer; signalled when a block is full, and to stop */
	pthread_t thread; /* of whoever changes the recording */
	int fd;           /* -1: there is no recording */
	struct task_name name; /* of the clients that are recorded; of nobody: all */
	int error;             /* the first that writing met */
	bool stopping;
	bool is_changing; /* a thread starts or stops the recording: no other does so meanwhile */
	uint64_t events;  /* seen so far, recorded or dropped */
	uint64_t records;
	uint64_t dropped;
	uint64_t dropped_since; /* of those: since the last block was ended */
	uint64_t bytes;         /* of the file */
	/* Ring of blocks: [written, current) are full and wait for the writer, current is being
	 * filled. */
	unsigned char *memory; /* NULL: there is no recording */
	struct trace_block block;
	size_t lengths[RECORDER_BLOCKS];
	unsigned current, written;
	struct pol_window *window; /* mapped pages of the recorded clients; NULL: the policy decides
				      what stays mapped */
	size_t window_bytes;       /* of its memory */
};

/* Whether the touches of the task are recorded, once a recording runs. => the recorder's lock
 * held */
static inline bool
recorder_names_locked(const struct recorder *r, const struct task *task)
{
	lock_assert_held(&r->lock);
	return task_names_all(r->name) || (task && task_is_named(task, r->name));
}

/* => 0 or -errno */
int recorder_write(int fd, const void *bytes, size_t length);
/* Takes the memory of the ring. => 0 or -ENOMEM; recorder_begin or recorder_drop follows */
int recorder_take(struct recorder *r);
void recorder_drop(struct recorder *r);
/* Starts the writer. => 0, and recorder_end follows, or -errno and recorder_drop follows */
int recorder_begin(struct recorder *r, int fd, struct task_name name);
/* Writes what there is, ends the writer and drops the memory. Nobody appends any more. *ret_fd: the
 * file, which is the caller's to close. => the first error that writing met */
int recorder_end(struct recorder *r, int *ret_fd);

#endif
