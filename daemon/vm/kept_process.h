/* SPDX-License-Identifier: MIT
 *
 * Limits and bands of processes, for the worker that comes after this one: rows by a number, by
 * which the keeper has the process's descriptor. vm/process.c knows what is in them. Only where
 * there is a keeper.
 */
#ifndef KEPT_PROCESS_H
#define KEPT_PROCESS_H

#include <stdint.h>

#include "atomics.h"

struct daemon;

enum kept_process_state { KEPT_PROCESS_FREE, KEPT_PROCESS_TAKEN, KEPT_PROCESS_VALID };

struct kept_process {
	atomic_uint state; /* enum kept_process_state; others count where it is VALID */
	atomic_uint pid;
	atomic_ullong hard;      /* pages, 0: none */
	atomic_ullong limits[4]; /* on the footprint while active and inactive, on resident memory
				    likewise: pages 63 | whether it is fatal 1 */
	atomic_ullong band_since_ns, band_moved;
	atomic_int band;
	uint32_t reserved;
};
_Static_assert(sizeof(struct kept_process) == 72, "layout of the arena");

#define KEPT_PROCESSES_MAX 65536u

struct kept_processes {
	struct kept_process *rows; /* NULL: there is no keeper */
	int fd;
};

/* => 0, -EPROTO: what was left is of another build, or -errno */
int kept_processes_create(struct daemon *d);
void kept_processes_destroy(struct daemon *d);
/* A free row becomes TAKEN, with the process's descriptor at the keeper. => its number, or -ENFILE.
 * Runs on: the control loop */
int kept_process_take(struct daemon *d, int pidfd);
/* Rows below may be in use. Runs on: the main thread, before there are others */
unsigned kept_processes_count(const struct daemon *d);
/* The row is free. No lock held; any thread */
void kept_process_drop(struct daemon *d, unsigned row);

#endif
