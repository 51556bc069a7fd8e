/* SPDX-License-Identifier: MIT
 *
 * Looking again: some of what the audit compares is written in steps that no lock covers. A
 * difference is an error if every look finds it.
 */
#ifndef AUDIT_LOOK_H
#define AUDIT_LOOK_H

#include <stdbool.h>

/* Looks and the pauses between them, in nanoseconds; each pause is twice as long as the one before.
 * No thread could wake the one that looks, because none knows that all others are at rest. */
#define LOOKS             40u
#define LOOK_PAUSE_NS     2000000
#define LOOK_PAUSE_MAX_NS 64000000

struct look {
	unsigned count; /* looks that have ended */
	long pause_ns;  /* the next pause; 0: before the first one */
};

/* The pause after a look that found a difference. => false: that was the last look; no lock held */
bool look_again(struct look *look);

/* Bytes of memory that a file in memory has by the kernel's count (st_blocks). That runs ahead
 * while another thread adds or removes a page, or only asks for the count: the kernel corrects it
 * in steps, and a thread may lose its processor between two of them. */
long long held_bytes(int fd);

#endif
