/* SPDX-License-Identifier: MIT
 *
 * The machine's own memory, from numbers alone: how short it is, and how much the daemon should
 * hold then, so that it gives back before the kernel must take. All functions are pure.
 *
 * The daemon gives back what the machine lacks, at once, and takes it again in small steps when the
 * machine has had half as much again for a while. In between nothing changes, so that the one does
 * not follow from the other.
 */
#ifndef HOST_H
#define HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "memorystatus/pressure.h"

/* What the machine says: /proc/meminfo and /proc/pressure/memory. */
struct host_reading {
	uint64_t total, available; /* bytes; total 0: not known */
	unsigned some, full; /* hundredths of a percent of the last ten seconds in which some, or
				all, of its tasks waited for memory */
	bool stalled;        /* the kernel has just told of a stall (a trigger) */
};

/* Hundredths of a percent at which stalls are pressure. */
#define HOST_STALLS 1000u

/* The text of the files, ended by NUL. A line that is not there leaves its number 0. */
void host_parse_meminfo(const char *text, struct host_reading *ret);
void host_parse_pressure(const char *text, struct host_reading *ret);

/* The level after `now`. low: permille of the machine's memory below which it is short: warning;
 * below half of that urgent, below a quarter critical. A level is left when 15 % more is available,
 * and when stalls are half of what began it. */
enum pressure host_level(enum pressure now, const struct host_reading *r, unsigned low);

struct host_rules {
	unsigned low;     /* permille */
	uint64_t calm_ns; /* the size grows after this time of calm, and then once in a fifth of
			     it */
};
struct host_sizing {
	uint64_t calm_since_ns; /* the machine has had enough since then; 0: it has not */
	uint64_t grown_ns;      /* when the size last grew */
};
/* Bytes. size: what the daemon is to hold now; held: what it holds; within [least, most] it should
 * be. */
struct host_sizes {
	uint64_t size, held, least, most;
};
/* => bytes that the daemon should hold, within [least, most] */
uint64_t host_size(struct host_sizing *s, const struct host_sizes *sizes,
    const struct host_reading *r, enum pressure level, const struct host_rules *rules,
    uint64_t now_ns);

#endif
