/* SPDX-License-Identifier: MIT
 *
 * A client's map: entries sorted by address, each a range of one mapping with its attributes.
 * Adjacent entries of the same mapping with equal attributes and contiguous offsets are one entry.
 * Ranged operations clip first.
 */
#ifndef VM_MAP_H
#define VM_MAP_H

#include <stdint.h>

#include "vm/books.h"

/* Memory of programs lies below. */
#define VM_ADDRESS_MAX (1ull << 47)
void vm_map_init(struct vm_map *m);
void vm_map_fini(struct vm_map *m);
/* The entry that holds the address, or NULL. => called with M held; valid until M is dropped. */
struct vm_entry *vm_map_lookup(struct vm_map *m, uint64_t address);
/* The entry that holds the address or the first above it, or NULL. => M held */
struct vm_entry *vm_map_lookup_from(struct vm_map *m, uint64_t address);
/* Makes room so that the next insert and two clips cannot fail. => 0, -ENOMEM, or what share_take
 * says; M held */
int vm_map_reserve(struct vm_map *m);
/* Puts an entry in (its range must be free; takes over the mapping's reference) and merges it with
 * its neighbours.
 * => M held */
void vm_map_insert(struct vm_map *m, const struct vm_entry *entry);
/* The same of one that a worker before this one has left, which may be wired. => M held, and the
 * map has no record yet */
void vm_map_restore(struct vm_map *m, const struct vm_entry *entry);
/* Whether [start, end) is covered without holes. => M held */
bool vm_map_is_covered(struct vm_map *m, uint64_t start, uint64_t end);
/* How many entries vm_map_clip would add: 0 to 2. => M held */
unsigned vm_map_clips(struct vm_map *m, uint64_t start, uint64_t end);
/* Splits entries at both ends of the range. => M held, vm_map_reserve called */
void vm_map_clip(struct vm_map *m, uint64_t start, uint64_t end);
/* Takes the i-th entry out; its mapping's reference is the caller's. => M held */
struct vm_entry vm_map_remove_at(struct vm_map *m, uint32_t i);
/* The same of the part of it that lies below `until`; it needs no room. */
struct vm_entry vm_map_remove_front(struct vm_map *m, uint32_t i, uint64_t until);
/* The same of the part of it that lies at `from` and above. */
struct vm_entry vm_map_remove_back(struct vm_map *m, uint32_t i, uint64_t from);
/* Entries of [start, end), clipped there, that are of one mapping become another's, which sees the
 * same pages, and has its wired_bytes already. `from` keeps a reference elsewhere. => M held */
void vm_map_remap(
    struct vm_map *m, uint64_t start, uint64_t end, struct vm_mapping *from, struct vm_mapping *to);
/* The wired bytes of the mapping's entries at `start` and above. => M held */
uint64_t vm_map_wired_above(struct vm_map *m, uint64_t start, const struct vm_mapping *mapping);
/* Merges equal neighbours around [start, end). => M held */
void vm_map_simplify(struct vm_map *m, uint64_t start, uint64_t end);
/* Wires (by 1) or unwires (by -1) an entry for its client, whose first wire is one of the entry's,
 * and whose last unwire takes that back. => M held */
void vm_map_wire_user(struct vm_map *m, struct vm_entry *e, int by);
/* Pins (by 1) or unpins (by -1) an entry, which is wired for that. => M held */
void vm_map_pin(struct vm_map *m, struct vm_entry *e, int by);
uint32_t vm_map_index(struct vm_map *m, uint64_t address);

#endif
