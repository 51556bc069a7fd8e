/* SPDX-License-Identifier: MIT
 *
 * Complete miss-ratio curves in one pass, for policies with the stack property (Mattson et al.
 * 1970): LRU and MIN.
 */
#ifndef PAGERSIM_CURVE_H
#define PAGERSIM_CURVE_H

#include "sim.h"

enum curve_kind { CURVE_LRU, CURVE_MIN };

struct curve {
	uint32_t npages;
	uint64_t cold;
	uint64_t *misses;  /* [c], c = 0 .. npages: misses with c frames, including cold ones */
	uint64_t *written; /* [c]: dirty pages evicted with c frames */
	uint64_t ns;       /* processor time of the pass */
};

/* The trace must have no TRACE_FORGET; CURVE_MIN also needs trace_link(). max_frames: the greatest
 * c of interest, which bounds the depth of MIN's stack. => 0 or -ENOMEM. */
int curve_make(const struct trace *trace, enum curve_kind kind, uint32_t max_frames,
    atomic_ullong *progress, struct curve *ret);
void curve_fini(struct curve *c);
/* The result that sim_run would have in the textbook model, without bytes_per_page. */
void curve_result(const struct curve *c, uint32_t nframes, struct sim_result *ret);

#endif
