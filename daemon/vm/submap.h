/* SPDX-License-Identifier: MIT
 *
 * Submaps: shareable objects with a map of their own, which says what each page may be used for.
 * A client maps all or a part of a submap once, as any object under a name, and its mappings never
 * change afterwards. A fault asks the submap's regions; so a change of them is in force for all
 * clients as soon as it is in the books and the pages that it concerns have left the page tables.
 * No client takes part, and one that is stopped delays nothing.
 *
 * A page that no region covers is a hole: nothing is filled there. A region that is removed is a
 * hole at once, and stays in the list as `leaving` until its pages have been discarded, so that
 * nobody allocates there meanwhile. The idea is the submap of Mach's VM.
 */
#ifndef SUBMAP_H
#define SUBMAP_H

#include "vm/books.h"

/* Where a new region is to lie. */
struct submap_place {
	bool is_fixed;  /* at `first`; else the lowest hole in which there is room */
	uint64_t first; /* page */
	uint64_t count; /* pages, above 0 */
	uint64_t align; /* pages, a power of 2; where it is not fixed */
};

/* Makes the object, which is shareable and which nobody sees yet, a submap without regions. => 0 or
 * -ENOMEM. No lock held, here and below */
int submap_create(struct vm_object *o);
/* To be called as the object ends. */
void submap_destroy(struct vm_object *o);
/* A region of fresh pages, its maximum PROT_READ | PROT_WRITE, is joined with neighbours that are
 * alike. *ret_first: where it lies. => 0; -EINVAL: it would lie beyond the object's end; -EEXIST:
 * the place is taken, or its pages are still being discarded; -ENOMEM: no hole is as large, or
 * there are as many regions as there may be, or the owner has its share of table memory */
int submap_add(struct vm_object *o, const struct submap_place *place, uint32_t protection,
    uint32_t tag, uint64_t *ret_first);
/* Pages [first, end), which regions must cover, become a hole that is leaving. The caller has their
 * pages discarded from `first` on and says so by submap_left. => 0, -EINVAL (not all is covered) or
 * -ENOMEM: nothing has changed */
int submap_remove(struct vm_object *o, uint64_t first, uint64_t end);
/* The pages of [first, to), which is the front of what the caller has removed and not yet said to
 * have left, are gone: regions may be added there. */
void submap_left(struct vm_object *o, uint64_t first, uint64_t to);
/* Sets the protection of pages [first, end), which regions must cover; is_maximum: their maximum,
 * and the protection loses what that lacks. => 0, -EINVAL (not all is covered), -EACCES (a maximum
 * lacks a right) or -ENOMEM: nothing has changed. The caller has page tables follow, and says so by
 * submap_protected */
int submap_protect(
    struct vm_object *o, uint64_t first, uint64_t end, uint32_t protection, bool is_maximum);
/* To be called once after each submap_protect that has returned 0, when page tables have it. */
void submap_protected(struct vm_object *o);
/* What page tables may allow of the page, PROT_*: everything while changes are under way. */
uint32_t submap_rights(struct vm_object *o, uint64_t page);
/* The region that holds the page. => false: it is a hole. S held */
bool submap_find_locked(struct submap *s, uint64_t page, struct submap_region *ret);
/* The region that holds the page, or the next one above it; leaving ones are passed over. => false:
 * there is none */
bool submap_region_at(struct vm_object *o, uint64_t page, struct submap_region *ret);
/* Whether all of pages [first, end) may be used so, `protection` being PROT_*. => 0; -EFAULT: there
 * is a hole; -EACCES: a region lacks a right. A map lock may be held */
int submap_allows(struct vm_object *o, uint64_t first, uint64_t end, uint32_t protection);

#endif
