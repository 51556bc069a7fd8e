/* SPDX-License-Identifier: MIT
 *
 * Marks of wired pages of files. What a device or the program itself writes to a wired page cannot
 * be seen, so such a page counts as dirty for as long as it is wired. Whether anybody has stored to
 * it is found by comparing its content with what its place has: a mark is a hash of that, and of
 * how often others were seen to change the file. Without a mark a page is written.
 *
 * Marks are hints of 64 bits: content that differs has the same mark once in 2^64 times.
 */
#ifndef MARKS_H
#define MARKS_H

#include <stdbool.h>
#include <stdint.h>

struct vm_object;

/* Before pages of the object are wired. Where there is no memory they have no marks. Runs on: jobs,
 * no lock held */
void marks_make(struct vm_object *o);
/* The page's place has this content: one page, which the caller has busy, or on its way there. Any
 * thread; does nothing where the object has no marks. */
void marks_set(struct vm_object *o, uint64_t index, const void *content);
/* A page that is not wired has none: its place may change unseen. Likewise */
void marks_clear(struct vm_object *o, uint64_t index);
/* => whether the page's place has this content already */
bool marks_match(const struct vm_object *o, uint64_t index, const void *content);

#endif
