/* SPDX-License-Identifier: MIT
 *
 * Stages that a test and its client go through together. Lies in memory that both share
 * (shared_alloc).
 */
#ifndef LIVE_STAGE_H
#define LIVE_STAGE_H

#include <stdatomic.h>

#include "harness.h"

struct stage {
	atomic_uint reached; /* the client's last stage */
	atomic_uint allowed; /* the client may go on from stages up to this one */
};

/* The client is at a stage, and waits until it may go on from there. */
static inline void
stage_meet(struct live *d, struct stage *s, unsigned at)
{
	live_stage_note(at);
	atomic_store(&s->reached, at);
	WAIT_UNTIL(d, atomic_load(&s->allowed) >= at);
}

/* The test waits until the client is at a stage. */
static inline void
stage_wait(struct live *d, struct stage *s, unsigned at)
{
	live_stage_note(at);
	WAIT_UNTIL(d, atomic_load(&s->reached) >= at);
}

static inline void
stage_allow(struct stage *s, unsigned at)
{
	atomic_store(&s->allowed, at);
}

/* Before the first stage again. */
static inline void
stage_reset(struct stage *s)
{
	atomic_store(&s->allowed, 0);
	atomic_store(&s->reached, 0);
}

#endif
