/* SPDX-License-Identifier: MIT
 *
 * What workers say to the keeper: one packet each, with a descriptor where it is kept.
 */
#ifndef KEEPER_PRIV_H
#define KEEPER_PRIV_H

#include <stdint.h>

/* UPGRADE comes with the program's descriptor. */
enum keeper_verb { KEEPER_KEEP, KEEPER_DROP, KEEPER_READY, KEEPER_UPGRADE };

struct keeper_message {
	uint32_t verb; /* enum keeper_verb */
	uint32_t kind; /* enum kept_kind */
	uint64_t id;   /* READY: nanoseconds; UPGRADE: the deadline in milliseconds */
};

#endif
