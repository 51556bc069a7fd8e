/* SPDX-License-Identifier: MIT
 *
 * A file system with one file, /mnt/file, that answers when the test lets it: its server (FUSE, by
 * the kernel's protocol) is a process that can be stopped. Mounted in a namespace of the test.
 */
#ifndef LIVE_SLOW_FILE_H
#define LIVE_SLOW_FILE_H

#include "file.h"
#include "harness.h"

#define SLOW_FILE_PATH "/mnt/file"

/* The test's mounts are its own from here on, and those of the processes that it starts. Ends the
 * test as skipped where that is not possible. */
void namespace_begin(void);

struct slow_file {
	unsigned char *bytes; /* its content, shared with the server */
	_Atomic uint64_t size;
	_Atomic uint64_t reads, writes; /* that the server has answered */
	uint64_t size_max;
	pid_t server;
	/* Requests of a kind are not answered while its flag is set; all else is. */
	atomic_bool holds_writes, holds_reads, holds_syncs;
	atomic_uint held; /* requests that are not answered because of that */
};

/* Mounts it and starts the server. Ends the test as skipped where there is no FUSE. */
struct slow_file *slow_file_start(uint64_t size_max);
void slow_file_stop_answering(struct slow_file *f);
void slow_file_go_on(struct slow_file *f);
/* Ends the server: all requests fail from now on. */
void slow_file_end(struct slow_file *f);
/* Each word is the last generation, in the file's own memory. */
void slow_file_is_current(struct slow_file *f, struct file_scene *s);

#endif
