/* SPDX-License-Identifier: MIT
 *
 * What windows (vm/window.h) show.
 */
#ifndef WINDOW_SOURCE_H
#define WINDOW_SOURCE_H

#include "vm/vm_object.h"

/* Whether a page of `source` is what page `index` of the copy has. Takes COPIES */
bool window_shows(const struct vm_object *copy, uint64_t index, const struct vm_object *source,
    uint64_t source_index);

/* Shows pages [source_first, +count) of the source at the places of [first, +count) of the mapping,
 * which has no windows there, and whose task has asked for it. => 0, -ENOMEM, or -EEXIST: there is
 * one; jobs, no lock held */
int window_make(struct vm_mapping *m, uint64_t first, uint64_t count, struct vm_object *source,
    uint64_t source_first);

#endif
