/* SPDX-License-Identifier: MIT
 *
 * Processors kept awake (latency.h). Runs on: the control loop.
 */
#include "fault/latency.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "daemon.h"

#define DEVICE "/dev/cpu_dma_latency"
/* Milliseconds without many reads after which processors may sleep again. */
#define QUIET_MS 1000u

void
latency_init(struct daemon *d)
{
	d->latency = (struct latency){ .fd = -1 };
}

static void
let_go(struct daemon *d)
{
	CHECK(d->latency.fd >= 0);
	close(d->latency.fd);
	d->latency.fd = -1;
	stat_level(&d->stats, STAT_LATENCY_HELD, 0);
}

void
latency_fini(struct daemon *d)
{
	if (d->latency.fd >= 0)
		let_go(d);
}

static void
hold(struct daemon *d)
{
	struct latency *l = &d->latency;
	int32_t latency_us = 0;

	CHECK(l->fd < 0 && !l->refused);
	l->fd = open(DEVICE, O_WRONLY | O_CLOEXEC);
	if (l->fd >= 0 &&
	    write(l->fd, &latency_us, sizeof(latency_us)) == (ssize_t)sizeof(latency_us)) {
		stat_level(&d->stats, STAT_LATENCY_HELD, 1);
		stat_add(stats_shard(&d->stats, shard_index_extra(d, SHARD_CONTROL)),
		    STAT_LATENCY_REQUESTS, 1);
		return;
	}
	log_info("%s cannot be used (%s): processors sleep while pages are read from disk; root "
		 "can allow it with setfacl; param latency_reads=0 ends the attempts",
	    DEVICE, strerror(errno));
	l->refused = true;
	if (l->fd >= 0)
		let_go(d);
}

void
latency_refresh(struct daemon *d, unsigned tick_ms)
{
	struct latency *l = &d->latency;
	uint64_t swapins = stats_counter(&d->stats, STAT_SWAPINS), reads = swapins - l->swapins;
	uint64_t rate = param(d, latency_reads);
	bool many = rate > 0 && reads > 0 && reads * 1000 >= rate * tick_ms;

	CHECK(pthread_equal(pthread_self(), d->loop_thread));
	CHECK(tick_ms > 0);
	l->swapins = swapins;
	l->quiet_ticks = many ? 0 : l->quiet_ticks + 1;
	if (many && l->fd < 0 && !l->refused)
		hold(d);
	else if (l->fd >= 0 && (rate == 0 || l->quiet_ticks * tick_ms >= QUIET_MS))
		let_go(d);
}
