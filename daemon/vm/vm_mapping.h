/* SPDX-License-Identifier: MIT
 *
 * Mappings: who sees an object, and where. Each task that maps an object has one for each place in
 * its address space at which pages of the object lie; the object's list of them is the reverse map,
 * through which pmap/pmap.h reaches page tables. The idea is the pv list of Mach's pmap, with a
 * range where that has a page.
 *
 * A task that may only read has a description of the memfd that cannot be written through. It maps
 * it privately: the kernel registers a shared mapping with userfaultfd only where the description
 * is writable. Pages of the memfd show in a private mapping as long as they are mapped there with
 * UFFDIO_CONTINUE and write-protected; UFFDIO_COPY and UFFDIO_ZEROPAGE would give it pages of its
 * own.
 *
 * References: one for each map entry, one for an operation on a copy of an entry. The mapping stays
 * on the list until the last one goes, so pages that an entry has mapped are discarded or taken
 * away before its reference is dropped.
 */
#ifndef VM_MAPPING_H
#define VM_MAPPING_H

#include "vm/books.h"
#include "vm/vm_object.h"

/* Mappings and named entries that one object may have that several may see: each is looked at when
 * pages move. */
#define COVERS_MAX 1024u

/* Pages [first, end) of the object are seen by the task at base + index * page size. Takes
 * references of its own on both. => 0 with one reference for the caller, -ENOMEM, or -EMFILE: the
 * object has COVERS_MAX. No lock held */
int vm_mapping_create(struct vm_object *o, struct task *task, uint64_t base, uint64_t first,
    uint64_t end, struct vm_mapping **ret);
/* One that is not a mapping yet and has no reference. => NULL: no memory */
struct vm_mapping *vm_mapping_blank(void);
/* One that has not become a mapping; accepts NULL. */
void vm_mapping_blank_free(struct vm_mapping *m);
/* Makes it one, at the end of the object's list, without a reference of its own yet. Takes
 * references on both. => false: the object has COVERS_MAX, and nothing has changed; O held */
bool vm_mapping_place_locked(struct vm_mapping *m, struct vm_object *o, struct task *task,
    uint64_t base, uint64_t first, uint64_t end);
/* Drops a reference; the last one ends the mapping. No lock held */
void vm_mapping_put(struct vm_mapping *m);
/* vm_mapping_get and vm_mapping_put_not_last: vm/books.h. */
static inline uint64_t
vm_mapping_address(const struct vm_mapping *m, uint64_t index)
{
	INVARIANT(index >= m->first && index <= m->end);
	return m->base + (index << m->object->daemon->page_shift);
}

/* A task that sees some of the pages that a walk is about, and which of them. */
struct mapper {
	struct task *task;
	bool is_read_only;
	uint64_t base;
	uint64_t low, high; /* pages */
};

#define MAPPER_STEP 8u
/* Mappings that a walk goes to alone. */
#define MAPPER_SEEN 4u

/* Goes through an object's mappings. O is taken for some of them at a time and not held in between,
 * so the caller may wait for each mapper. A mapping made meanwhile may be passed over: it has no
 * page-table entries yet, and its faults meet what the caller has made busy. */
struct mapper_walk {
	struct vm_object *object;
	uint64_t low, high; /* pages */
	uint64_t next_id;   /* mappings below have been taken */
	bool more;          /* the list may have some above */
	unsigned count, at; /* of taken[] */
	bool seen_by_any;   /* no mapping is passed over, else all but those of these numbers */
	unsigned seen_count;
	uint32_t seen_by[MAPPER_SEEN];
	struct mapper taken[MAPPER_STEP];
};

/* The caller keeps a reference on the object, and ends the walk. No lock held, here and below */
void mapper_walk_begin(struct mapper_walk *w, struct vm_object *o, uint64_t low, uint64_t high);
/* The same, for what is in page tables: mappings through which no page of the range has come there
 * are passed over, so that a page that one task uses costs the same however many could. The caller
 * has the resident pages busy, or takes the walk for a guess. */
void mapper_walk_begin_seen(
    struct mapper_walk *w, struct vm_object *o, uint64_t low, uint64_t high);
/* => the next mapper, valid until the walk goes on or ends; NULL: there is none */
const struct mapper *mapper_walk_next(struct mapper_walk *w);
void mapper_walk_end(struct mapper_walk *w);
#endif
