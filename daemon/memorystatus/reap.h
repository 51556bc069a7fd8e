/* SPDX-License-Identifier: MIT
 *
 * Carrying jetsam's choice out: the process is sent SIGKILL by its pidfd, and what led to it is
 * kept (events.h). Its sessions end with it, and jobs take its memory apart. Runs on: the
 * memorystatus thread.
 */
#ifndef REAP_H
#define REAP_H

#include "memorystatus/jetsam.h"

struct daemon;
struct process;

/* Ends a process if one is to be ended. space: as measured, for the snapshot */
void reap(struct daemon *d, struct jetsam_input *in, const struct space *space);
/* The band in which the process is now; BAND_IMPORTANT if it was given none. Any thread. */
int reap_band(const struct daemon *d, const struct process *process, uint64_t now_ns);

#endif
