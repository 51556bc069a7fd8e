/* SPDX-License-Identifier: MIT
 *
 * Three places in memory, two of one object and the third of another task's, of another user, with
 * a kernel and a compressor that are arrays: page tables, and stored pages.
 */
#ifndef COPY_WORLD_H
#define COPY_WORLD_H

#include "c_unit.h"

#include "fault/fault.h"
#include "vm/hole.h"

enum { PLACES = 3, STORED_MAX = 64 };

extern struct copy_world {
	struct unit unit;
	struct task *other; /* of another user */
	struct vm_object *objects[2];
	struct vm_mapping *mapping; /* of the second */
	struct fault_server *server;
	struct place {
		struct vm_object *object;
		struct task *task;
		uint64_t index, address;
		bool present, writable; /* in page tables */
		bool waits;             /* a thread is in a fault there */
		uint32_t value;         /* the model's */
	} places[PLACES];
	struct {
		bool used;
		uint32_t value;
		struct cowner owner; /* whom compaction would ask */
	} stored[STORED_MAX];
	uint32_t values;
	int busy;            /* the place that another thread has in transit, or -1 */
	struct vm_page *row; /* its page, or NULL: it is in a hole */
	struct hole hole;
	bool is_full; /* the compressor has no room for what is pushed */
	unsigned long long steps, blocked, refused, kept;
	char trail[256];
} world;
extern struct copy_world world;

int copy_world_start(void **state);
/* All places are as at the start. */
int copy_world_stop(void **state);
uint32_t memory_get(const struct place *p);
void memory_put(const struct place *p, const void *page);
/* A page of that value. */
void page_of(uint32_t value, uint32_t *page);
/* What is stored of it. */
struct cref store(uint32_t value, struct cowner owner);
/* Of zeroes nothing lies in a segment. */
#define OF_NOBODY ((struct cowner){ UINT64_MAX })
/* What the page tables say of a range. */
int protect(uint64_t address, size_t bytes, bool writable);

#endif
