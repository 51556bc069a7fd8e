/* SPDX-License-Identifier: MIT
 *
 * Jetsam: which process is ended next, and why, from numbers alone. The rules are XNU's
 * (memorystatus):
 *
 *   soft       below the level of warning, processes over a soft limit go
 *   idle       below the level of urgent, idle ones
 *   long idle  above that but not far, those that have been idle for LONG_IDLE_NS
 *   sustained  below the level of warning for SUSTAINED_NS, idle ones
 *   critical   below the level of critical, or where nothing can leave: any that may be ended
 *
 * and each time the lowest band first. Within a band the process goes that has been in it longest;
 * in the band foreground the largest. One is ended at a time: as long as another is dying, and is
 * no longer at it than DYING_NS, nobody is chosen, because what it gives back may be enough. Nobody
 * is chosen while volatile memory is left, or a notice of the level has not been sent.
 */
#ifndef JETSAM_H
#define JETSAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memorystatus/pressure.h"

enum jetsam_cause {
	JETSAM_NONE = 0,
#define JETSAM_CAUSE(number, NAME, name, text) JETSAM_##NAME = number,
#include "tbl/jetsam_cause.h"
};
enum jetsam_band {
#define BAND(number, NAME, name, text) BAND_##NAME = number,
#include "tbl/band.h"
};

#define LONG_IDLE_NS (300u * 1000000000ull)
#define SUSTAINED_NS (600u * 1000000000ull)
#define DYING_NS     (5u * 1000000000ull)
/* After that long the sessions of a process that was killed and has not ended are ended. */
#define HELD_NS (DYING_NS / 5)

/* A process as the choice sees it. */
struct jetsam_process {
	int band;           /* in which it is now: jetsam_band_now */
	bool may_be_ended;  /* as the parameter jetsam says */
	bool is_dying;      /* it has been sent SIGKILL, or has ended */
	bool is_over_soft;  /* over a soft limit */
	uint64_t moved;     /* number of its move into its band: lower ones are older */
	uint64_t since_ns;  /* when that was */
	uint64_t dying_ns;  /* since when it is dying */
	uint64_t footprint; /* pages */
};
/* Whether what an ended process had is still on its way back. While it is being taken apart it is
 * dying, and nobody else is chosen for that. Then its pages are gone, but of those that were stored
 * compaction has yet to make frames, and the writer to find that there is room. */
struct jetsam_settle {
	bool was_dying;   /* somebody was, at the last look */
	bool is_settling; /* since pass number `since` of the writer */
	uint32_t since;
};
/* Passes of the writer for which that is waited for; the most, while more comes.
 */
#define SETTLE_PASSES      8u
#define SETTLE_PASSES_MOST 64u
/* measured: the writer's passes when what is to be judged was measured; pass: those so far;
 * more_comes: compaction is worth it, or so much is available that touches wait only because it has
 * not been gathered yet. => nobody is to be chosen */
bool jetsam_settles(
    struct jetsam_settle *s, bool somebody_dies, uint32_t measured, uint32_t pass, bool more_comes);

struct jetsam_input {
	uint64_t now_ns;
	uint32_t pass;      /* of the writer: what follows is no older */
	unsigned available; /* permille */
	uint64_t short_ns;  /* since when that was below the level of warning; 0: it is not */
	bool is_squeezed;
	bool notices_are_out;
	uint64_t volatile_pages; /* that can still be purged: purge first */
	struct pressure_limits limits;
};

/* A process that becomes idle is in the band aging1 for a while. */
int jetsam_band_now(int band, uint64_t since_ns, uint64_t now_ns, uint64_t aging_ns);
/* => the cause for which *ret is to be ended; JETSAM_NONE: nobody is, now */
enum jetsam_cause jetsam_choose(const struct jetsam_process *processes, size_t count,
    const struct jetsam_input *in, size_t *ret);
/* Whether somebody could be ended, or is being ended: touches need not be refused yet. */
bool jetsam_can_help(const struct jetsam_process *processes, size_t count, uint64_t now_ns);
/* For messages. */
const char *jetsam_cause_name(enum jetsam_cause cause);
/* => NULL: there is no such band */
const char *jetsam_band_name(int band);

#endif
