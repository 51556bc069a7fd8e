/* SPDX-License-Identifier: MIT
 *
 * The source of a workload's memory; the engine (workload.c) knows nothing else about it. Functions
 * return 0 or -errno, results through the last pointer.
 */
#ifndef BENCH_BACKEND_H
#define BENCH_BACKEND_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Counts since the start of the process: the kernel's, then those of pagerd. */
struct fault_counts {
#define COUNT(name) uint64_t name;
#include "fault_counts.tbl"
};

enum backend_flags {
	BACKEND_SHARED = 1, /* plain memory must be a memfd, whose pages stay when unmapped */
	BACKEND_WRITE = 2,  /* of a file: it will be written */
};

struct backend_ops {
	const char *name;
	int (*open)(const char *socket, void **ret_state);
	void (*close)(void *state);
	int (*allocate)(void *state, size_t bytes, unsigned flags, void **ret_addr);
	/* Maps a file from its beginning, shared. flags: BACKEND_WRITE. */
	int (*map_file)(void *state, int fd, size_t bytes, unsigned flags, void **ret_addr);
	/* Writes what has been changed in a mapped file to disk. */
	int (*sync)(void *state, void *addr, size_t bytes);
	/* Of memory that was allocated, or of a mapped file. */
	int (*deallocate)(void *state, void *addr, size_t bytes);
	/* Removes the mappings of the range; its content stays. */
	int (*cool)(void *state, void *addr, size_t bytes);
	/* Evicts the range. Returns when it has left, and its pages that belong on disk are there.
	 */
	int (*page_out)(void *state, void *addr, size_t bytes);
	/* Announces random touches: no clustering. */
	int (*expect_random)(void *state, void *addr, size_t bytes);
	/* => 1: the page is on disk (plain memory: in any swap); 0: it is not; or -errno. */
	int (*is_stored)(void *state, void *addr);
	int (*counts)(void *state, struct fault_counts *ret);
	pid_t (*daemon_pid)(void *state); /* => 0: there is no daemon */
};

extern const struct backend_ops backend_plain;
extern const struct backend_ops backend_pagerd;

#endif
