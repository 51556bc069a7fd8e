/* SPDX-License-Identifier: MIT
 *
 * For how long frames have been found pinned by the kernel (pmap/pins.h finds them). A page that is
 * pinned stays in memory, since what a device writes into it would be lost. Most pins are those of
 * a transfer and go soon. A page that is found pinned again and again for PIN_PASSING_NS is held:
 * of such there may be half of what may be wired, so that nobody takes memory from all others by
 * pins. A further one leaves, as it would if nobody knew of the pin.
 *
 * A frame is marked when it is first found pinned, and no more once it is found without a pin, or
 * is freed. All functions: PAGEQ held.
 */
#ifndef PIN_MARKS_H
#define PIN_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomics.h"

struct daemon;

/* Disks answer long before, and a client whose device never answers does not keep others waiting
 * for longer. */
#define PIN_PASSING_NS (10ull * 1000 * 1000 * 1000)

struct pin_marks {
	uint16_t *since;    /* (Q) a row for each frame; 0: not marked */
	atomic_uint marked; /* (Q) to write, (A) to look at: rows that are not 0 */
	uint32_t held;      /* (Q) of these, those of pages that are held */
};

enum pin_stay {
	PIN_LEAVES, /* it is not pinned, or too many are held already */
	PIN_PASSES, /* it stays, until a transfer is over */
	PIN_HELD,   /* it stays, for who knows how long */
};

/* => 0 or -ENOMEM */
int pin_marks_create(struct daemon *d);
void pin_marks_destroy(struct daemon *d);
/* What becomes of a victim that has been looked at. now_ns: since any moment, the same for all
 * calls. most_held: frames that may be held. */
enum pin_stay pin_mark_locked(
    struct daemon *d, uint32_t frame, bool is_pinned, uint64_t now_ns, uint64_t most_held);
/* The frame is freed. */
void pin_mark_forget_locked(struct daemon *d, uint32_t frame);
/* Whether some frame is marked. => a hint without PAGEQ */
static inline bool
pin_marks_any(const struct pin_marks *m)
{
	return load_relaxed(&m->marked) > 0;
}

#endif
