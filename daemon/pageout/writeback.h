/* SPDX-License-Identifier: MIT
 *
 * The writer: cold segments go to swap, and what stays in memory is compacted.
 */
#ifndef WRITEBACK_H
#define WRITEBACK_H

#include <pthread.h>
#include <stdbool.h>

#include "atomics.h"
#include "lock.h"

struct daemon;
struct writer;

/* The writer as other threads see it. Letters on fields: daemon.h. */
struct writeback {
	pthread_t thread;
	struct writer *writer; /* (C) the thread's own */
	atomic_bool wanted, stopping;
	struct lock lock;     /* covers cond; nothing is taken inside */
	struct cond cond;     /* waited for by the thread, signalled by writeback_want */
	atomic_uint passes;   /* (A) of the writer so far */
	atomic_bool evicting; /* (Q) to write, (A) to look at: a range is leaving, or has left
				 lately; cleared by the writer */
};

/* => 0 or -errno; writeback_fini also after a failure */
int writeback_start(struct daemon *d);
void writeback_stop(struct daemon *d);
void writeback_fini(struct daemon *d);
/* Asks for a pass: the compressor is large or wasteful. Any thread; takes a lock of the rank JOBS.
 */
void writeback_want(struct daemon *d);

#endif
