/* SPDX-License-Identifier: MIT
 *
 * Processors do not sleep while pages are being read from disk. A processor that halts, above all a
 * virtual one, takes 5 to 20 us to come back, and a read of 50 us halts up to three: the one that
 * takes the interrupt, the server's and the client's. The kernel keeps them awake while a process
 * has /dev/cpu_dma_latency open (Documentation/power/pm_qos_interface.rst). pagerd has it open
 * while at least `latency_reads` pages a second come from disk, and for a second after.
 */
#ifndef LATENCY_H
#define LATENCY_H

#include <stdbool.h>
#include <stdint.h>

struct daemon;

struct latency {              /* the control loop's */
	int fd;               /* the device, -1: not open */
	bool refused;         /* it cannot be opened, and the log says so */
	uint64_t swapins;     /* STAT_SWAPINS at the last tick */
	unsigned quiet_ticks; /* since pages last came from disk as fast as that */
};

void latency_init(struct daemon *d);
void latency_fini(struct daemon *d);
/* Opens or closes the device, by what came from disk in the last tick_ms. Runs on: the control
 * loop's timer, every tick_ms. */
void latency_refresh(struct daemon *d, unsigned tick_ms);

#endif
