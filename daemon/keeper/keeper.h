/* SPDX-License-Identifier: MIT
 *
 * The keeper: the process from which workers come. A worker is the daemon as it serves; the keeper
 * knows no page. It holds descriptors that the worker has sent it, and when a worker dies by a
 * signal it makes another one, which finds them all. It has one thread, so that a worker can be a
 * fork without exec(2), and inherits the descriptors with the keeper's table of them.
 *
 * A worker can ask to be followed by another program (an upgrade): that is a fork with exec(2), and
 * the table goes along in a memfd. Until that worker serves, the program of before is kept; it
 * goes on if the new one does not serve in time. The keeper itself stays what it is.
 */
#ifndef KEEPER_H
#define KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "keeper/kept.h"

struct keeper_config {
	int (*work)(struct keeper_link *link, void *context);
	void *context;
	/* Of this program, for the ones that follow it, as main got them. NULL: there is no
	 * upgrade. */
	char *const *arguments;
};

/* Runs workers until one exits, or is ended by a signal that the keeper was sent before. Runs on:
 * the only thread of a process. => the exit status; in a worker it returns never: what `work`
 * returns is its status */
int keeper_run(const struct keeper_config *config);

/* --- called by workers, on any thread ------------------------------------------------------- */

/* The keeper holds a copy of the descriptor from now on, whatever happens to this process. Without
 * a keeper, which link NULL says, nothing happens, here and below. */
void keeper_keep(struct keeper_link *link, enum kept_kind kind, uint64_t id, int fd);
void keeper_drop(struct keeper_link *link, enum kept_kind kind, uint64_t id);
/* Whether so many more can be kept. */
bool keeper_has_room(const struct keeper_link *link, unsigned count);
/* The worker is about to end, and the program in `binary` is to follow it, with the same arguments.
 * If it does not serve within that time this worker's program goes on. */
void keeper_upgrade(struct keeper_link *link, int binary, uint32_t deadline_ms);
/* The worker serves: clients have waited so long for it. */
void keeper_ready(struct keeper_link *link, uint64_t waited_ns);
/* Takes what was found by that name. => the descriptor, the caller's from now on; -1: none */
int keeper_take(struct keeper_link *link, enum kept_kind kind, uint64_t id);
/* What nobody has taken goes, here and with the keeper. */
void keeper_forget_rest(struct keeper_link *link);

#endif
