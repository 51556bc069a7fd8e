/* SPDX-License-Identifier: MIT
 *
 * What follows when nothing can leave, from numbers alone.
 */
#ifndef SQUEEZE_H
#define SQUEEZE_H

#include <stdbool.h>
#include <stdint.h>

#include "vm/frame_use.h"

/* When, as told by what has been tried since: rounds of pageout, and passes of the writer. */
struct moment {
	uint32_t rounds, passes;
};

/* What has been tried in between. */
struct moment moment_tried(struct moment since, struct moment now);
bool squeeze_begins(struct moment tried);
/* Whether a fault that has waited through this in the squeeze gets SIGBUS. */
bool squeeze_refuses(enum frame_use use, struct moment tried, bool swap_has_room);
/* Whether a fault that has waited through this is reason to write more to swap than the
 * compressor's share asks for. */
bool squeeze_starves(struct moment tried);
/* With `held` frames of its `share` the compressor has clearly not filled it: what leaves makes
 * room, whoever gets it. */
bool squeeze_is_far(uint64_t held, uint64_t share);

#endif
