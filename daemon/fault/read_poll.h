/* SPDX-License-Identifier: MIT
 *
 * Polling for reads. While a thread waits for a read that takes a fast disk some tens of
 * microseconds, its fault server looks for events instead of sleeping: the way through an
 * interrupt, a wake-up and a switch costs a tenth of such a read. It gives the CPU to anybody who
 * wants it, and where somebody does, or the disk is slow, it sleeps for the next reads.
 */
#ifndef READ_POLL_H
#define READ_POLL_H

#include "fault/seat.h"

struct epoll_event;

/* Polls, if a thread waits for a read of the seat's. *ret_count: as of epoll_wait, 0: no events.
 * => whether a read has ended, which may be told by no event. Runs on: the seat's server */
bool read_poll(struct fault_server *server, struct epoll_event *events, int most, int *ret_count);
/* Whether to poll for the next read. */
bool read_poll_may(struct read_poll *p);
/* What has come of it. */
void read_poll_note(struct read_poll *p, bool in_vain);

#endif
