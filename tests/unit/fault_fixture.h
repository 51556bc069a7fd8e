/* SPDX-License-Identifier: MIT
 *
 * Faults, one at a time, on tables without threads: userfaultfd and the store are made of functions
 * (the linker's --wrap), so that they can do what another thread might do at the worst moment.
 */
#ifndef FAULT_FIXTURE_H
#define FAULT_FIXTURE_H

#include "c_unit.h"

#include "fault/fault.h"

/* What the calls are to do, and how often they were made. */
struct fault_world {
	struct unit *unit;
	void (*on_poison)(struct unit *u, uint64_t index);
	unsigned poisons, wakes, zeropages, continues;
	uint64_t woken;     /* the last address */
	int zeropage_error; /* 0, or -errno: then nothing is put in place */
	int continue_error;
};
extern struct fault_world world;

struct fault_server *faults_start(struct unit *u);
void faults_stop(struct unit *u);
struct fault fault_at(struct unit *u, uint64_t index, uint32_t flags);
enum slot_kind kind_at(struct unit *u, uint64_t index);
enum page_state state_at(struct unit *u, uint64_t index);

#endif
