/* SPDX-License-Identifier: MIT
 *
 * Where a workload's memory comes from. The engine (workload.c) knows nothing else about it.
 * Functions return 0 or -errno; results through the last pointer.
 */
#ifndef BENCH_BACKEND_H
#define BENCH_BACKEND_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Counts since the beginning; the kernel's for any memory, then those that pagerd tells. */
struct fault_counts {
#define COUNT(name) uint64_t name;
#include "fault_counts.tbl"
};

enum backend_flags {
	BACKEND_SHARED = 1, /* plain memory: a memfd, whose pages survive being unmapped */
};

struct backend_ops {
	const char *name;
	int (*open)(const char *socket, void **ret_state);
	void (*close)(void *state);
	int (*allocate)(void *state, size_t bytes, unsigned flags, void **ret_addr);
	int (*deallocate)(void *state, void *addr, size_t bytes);
	/* Takes the mappings of the range away, keeps its content. */
	int (*cool)(void *state, void *addr, size_t bytes);
	/* The range leaves memory. => when it has, and what of it belongs on disk is there */
	int (*page_out)(void *state, void *addr, size_t bytes);
	/* The range will be touched at random: no clustering. */
	int (*expect_random)(void *state, void *addr, size_t bytes);
	/* 1 when the page is out on disk (plain memory: in any kind of swap), 0 when not, or
	 * -errno. */
	int (*is_stored)(void *state, void *addr);
	int (*counts)(void *state, struct fault_counts *ret);
	pid_t (*daemon_pid)(void *state); /* 0: none */
};

extern const struct backend_ops backend_plain;
extern const struct backend_ops backend_pagerd;

#endif
