/* SPDX-License-Identifier: MIT
 *
 * When nothing can leave: what is tried next, and when to give up. All functions are pure: numbers
 * in, a decision out. The writer acts on them (frame_wait_judge).
 *
 *   normal    faults wait; pageout, writeback and compaction make room. A fault that has waited
 *             through STARVES_AFTER although there is a place in swap is reason for the writer to
 *             write out more than the compressor's share asks for.
 *   squeezed  some fault has waited through SQUEEZE_AFTER. Compaction works for every hardware
 *             page; the compressor may grow beyond its share, down to a small floor of frames, but
 *             only for pages that exist; stored pages get frames from deeper in the reserve
 *             (frames_floor). Ends when free_min frames are free.
 *   refusing  in the squeeze a fault has waited through its row of `patience`, and none of its use
 *             was served meanwhile: SIGBUS. Not a state: each fault is judged by itself. It waits
 *             longer while swap has room (PATIENCE_WITH_SWAP).
 *
 * Progress (frame_wait_progress) begins every wait anew: a segment went to swap, or pages left
 * while the compressor was clearly below its share. Then memory is not full, and a fault that waits
 * is only not first. Frames that change hands otherwise prove nothing: clean pages come and go on a
 * full machine too.
 *
 * Why a squeezed machine turns over. Below the floor of FRAME_WRITE frames go to reads of stored
 * pages alone, whose copies stay: such a page leaves again for nothing, so there is always a frame
 * for the next read. A write gives its copy up, which compaction at its finest turns into a frame,
 * but for what is left over at the end of each segment: that is what the compressor may grow for.
 */
#include "memorystatus/squeeze.h"

#include "check.h"

/* What is tried in vain before more goes to swap than the compressor's share asks for. */
#define STARVES_AFTER ((struct moment){ .rounds = 8, .passes = 4 })
/* What is tried in vain before the squeeze begins. */
#define SQUEEZE_AFTER ((struct moment){ .rounds = 16, .passes = 8 })
/* What is tried in vain, in the squeeze, before a fault of that use is refused. */
static const struct moment patience[FRAME_USE_COUNT] = {
	[FRAME_FIRST] = { .rounds = 100, .passes = 24 },
	[FRAME_WRITE] = { .rounds = 400, .passes = 100 },
	[FRAME_READ] = { .rounds = 400, .passes = 100 },
};

/* Factor of patience while swap has room. Memory is not full then: a fault that waits is only
 * unlucky (all segments are being filled, or others are always first). It is refused in the end all
 * the same, because a fault must end. */
#define PATIENCE_WITH_SWAP 64u

struct moment
moment_tried(struct moment since, struct moment now)
{
	return (struct moment){ now.rounds - since.rounds, now.passes - since.passes };
}

static bool
is_enough(struct moment tried, struct moment least)
{
	CHECK(least.rounds > 0 && least.passes > 0);
	return tried.rounds >= least.rounds && tried.passes >= least.passes;
}

bool
squeeze_starves(struct moment tried)
{
	return is_enough(tried, STARVES_AFTER);
}

bool
squeeze_begins(struct moment tried)
{
	return is_enough(tried, SQUEEZE_AFTER);
}

bool
squeeze_refuses(enum frame_use use, struct moment tried, bool swap_has_room)
{
	struct moment least;

	CHECK(use < ARRAY_LEN(patience) && use != FRAME_STORE);
	least = patience[use];
	if (swap_has_room) {
		least.rounds *= PATIENCE_WITH_SWAP;
		least.passes *= PATIENCE_WITH_SWAP;
	}
	return is_enough(tried, least);
}

bool
squeeze_is_far(uint64_t held, uint64_t share)
{
	return held < share - share / 16;
}
