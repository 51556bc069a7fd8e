/* SPDX-License-Identifier: MIT */
#ifndef GAUGES_H
#define GAUGES_H

struct daemon;

/* Collects the GAUGE rows of the statistics from the parts that know them. Runs on: the control
 * loop's timer, and before a snapshot is handed out. */
void gauges_refresh(struct daemon *d);

#endif
