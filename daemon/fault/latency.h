/* SPDX-License-Identifier: MIT
 *
 * Processors do not sleep while pages are being read from disk. One that halts, above all a virtual
 * one, takes 5 to 20 us to come back, and a read of 50 us halts up to three: the one that takes the
 * interrupt, the server's, the client's. The kernel has a request for it, /dev/cpu_dma_latency
 * (Documentation/power/pm_qos_interface.rst), which holds while the file is open and ends with the
 * process. Held while `latency_reads` pages a second come from disk, and for a second after.
 */
#ifndef LATENCY_H
#define LATENCY_H

#include <stdbool.h>
#include <stdint.h>

struct daemon;

struct latency {          /* the control loop's */
	int fd;           /* -1: not held */
	bool refused;     /* it cannot be had: told once */
	uint64_t swapins; /* at the last tick */
	unsigned quiet_ticks;
};

void latency_init(struct daemon *d);
void latency_fini(struct daemon *d);
/* Runs on: the control loop's timer, every tick_ms. */
void latency_refresh(struct daemon *d, unsigned tick_ms);

#endif
