/* SPDX-License-Identifier: MIT
 *
 * For the tables of `pagerbench ool`: what a region is at each end, and how many frames hold
 * clients' pages.
 */
#ifndef BENCH_OOL_SIDE_H
#define BENCH_OOL_SIDE_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "chan.h"
#include "pager/pager.h"
#include "statread.h"

/* One end's region; size 0: it has none. */
struct side {
	uint64_t object, start, size, pages_resident;
	uint32_t ref_count, share_mode, shadow_depth;
};

struct ool {
	struct pager *pager;
	struct pager_port *port;
	uint64_t page_bytes;
	int socket; /* to the receiver */
	pid_t receiver;
	struct chan chan;
	struct statread stats;
	int64_t *values;
	int internal; /* the statistic's index */
};

/* => whether the region at `at` could be looked at */
bool side_look(struct pager *p, void *at, struct side *ret);
void side_print(const char *name, const struct side *side, uint64_t page_bytes);
/* => NULL: there is no region */
struct json_object *side_json(const struct side *side);
bool frames_look(struct ool *t, int64_t *ret);
/* Word number `index` of memory that is sent or inherited. */
uint64_t word_of(uint64_t index);

#endif
