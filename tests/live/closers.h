/* SPDX-License-Identifier: MIT
 *
 * Processes that close all their descriptors, and touch memory when the daemon has died: what they
 * and the test say to each other (e_fork_dead.c, run_closers.c).
 */
#ifndef CLOSERS_H
#define CLOSERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#define CLOSERS_MAX 40

struct closers {
	atomic_uint ready;    /* processes that have closed all they have */
	_Atomic int ended;    /* those that have read everything */
	atomic_bool is_wrong; /* one has read what was never written */
	atomic_bool go;       /* the daemon is dead */
	_Atomic int pid[CLOSERS_MAX];
};

static inline void
closers_write(unsigned char *memory, size_t bytes, size_t page)
{
	for (size_t i = 0; i < bytes; i += page)
		*(uint64_t *)(void *)(memory + i) = i + 1;
}

/* Closes all and reads the memory when it is to. */
static inline void
closers_read(struct closers *s, const unsigned char *memory, size_t bytes, size_t page)
{
	closefrom(0);
	atomic_store(&s->pid[atomic_fetch_add(&s->ready, 1)], (int)getpid());
	while (!atomic_load(&s->go))
		usleep(1000);
	for (size_t i = 0; i < bytes; i += page)
		if (*(const volatile uint64_t *)(const volatile void *)(memory + i) != i + 1)
			atomic_store(&s->is_wrong, true);
	atomic_fetch_add(&s->ended, 1);
}

#endif
