/* SPDX-License-Identifier: MIT
 *
 * The speculative list: pages that were brought in ahead of use, the oldest first. It runs through
 * the frames. No policy knows these pages; they leave before any other, but for
 * the youngest of those that are foreseen (vm/frame.h).
 */
#ifndef SPECULATIVE_H
#define SPECULATIVE_H

#include <stdint.h>

struct daemon;

/* Letters on fields: daemon.h. */
struct speculative {
	uint32_t head, tail; /* (Q) frames, the oldest and the youngest; FRAME_NONE: no page */
	uint32_t count;      /* (Q) */
};

void speculative_init(struct speculative *s);
/* The page in the frame becomes the youngest. => PAGEQ held, state SPECULATIVE */
void speculative_add_locked(struct daemon *d, uint32_t frame);
/* => PAGEQ held, state SPECULATIVE */
void speculative_remove_locked(struct daemon *d, uint32_t frame);

#endif
