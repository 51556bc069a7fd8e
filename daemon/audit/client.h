/* SPDX-License-Identifier: MIT
 *
 * A client as the audit looks at it: the entries of its map and the mappings of its process, both
 * copied. They belong together only if the map is still the same afterwards (client_is_still).
 */
#ifndef AUDIT_CLIENT_H
#define AUDIT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pmap/places.h"
#include "vm/books.h"

/* A map entry, and where its mapping puts the object's first page. */
struct client_entry {
	uint64_t start, end, base;
	struct vm_mapping *mapping; /* with a reference */
	uint64_t inode;             /* of the object's memfd */
	bool is_device;             /* it is mapped without userfaultfd */
	bool is_foreign;            /* what is mapped is the client's: it is not looked at */
};

struct client {
	struct task *task;
	dev_t device; /* of all memfds */
	uint64_t version;
	struct client_entry *entries; /* in the order of addresses */
	struct place *places;         /* in the order of addresses; shared memory only */
	uint64_t *inodes;             /* of its objects' memfds, sorted, each once */
	size_t entry_count, place_count, place_room, inode_count;
	unsigned
	    misplaced; /* entries that do not lie in a mapping of this task on its object's list */
};

/* Copies the map; the caller keeps the task, and ends the copy in any case. => 0 or -ENOMEM; no
 * lock held, here and below */
int client_begin(struct client *c, struct task *task);
void client_end(struct client *c);
/* Reads the process's mappings (anew). => 0 or -errno, as places_read */
int client_places_read(struct client *c);
/* Whether the map has the same addresses as when it was copied. */
bool client_is_still(struct client *c);
/* Whether the place shows the entry's object at [start, end) as the entry says; both cover that
 * range. */
bool client_place_fits(const struct client *c, const struct client_entry *e, const struct place *p);
/* Whether the place shows one of the client's objects. */
bool client_place_is_own(const struct client *c, const struct place *p);
/* The first place that ends above the address; places + place_count: there is none. */
const struct place *client_place_from(const struct client *c, uint64_t address);
/* The first entry that ends above the address; entries + entry_count: there is none. */
const struct client_entry *client_entry_from(const struct client *c, uint64_t address);

#endif
