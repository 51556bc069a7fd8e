/* SPDX-License-Identifier: MIT
 *
 * Objects that several tasks see, without a daemon's threads: three tasks, each of a user of its
 * own, that map, wire and name pages. Page numbers are the object's; at UNIT_BASE + number * page a
 * task sees them, where nothing else is said.
 */
#ifndef SHARE_FIXTURE_H
#define SHARE_FIXTURE_H

#include "c_unit.h"

#include "region/range.h"
#include "vm/vm_share.h"

#define PAGE 4096ull

extern struct share_world {
	struct unit unit;
	struct task *tasks[3]; /* NULL: it has ended */
} share;

int share_start(void **state);
/* Ends all tasks; nothing of them may be left. */
int share_stop(void **state);
/* Pages of all ledgers are the pages of the gauges, whoever pays. */
void share_books_agree(void);
/* Takes a task's memory apart, as at the end of its session, and drops it. */
void share_task_end(unsigned n);
struct range share_pages_of(unsigned n, uint64_t first, uint64_t last);
/* Task 0 gets an object of that many pages, at the unit's base. */
struct vm_object *share_make(uint64_t pages);
/* The task maps pages [first, last), where task 0 has them or from page `at` on. => 0 or -errno */
int share_map(unsigned n, struct vm_object *o, uint64_t first, uint64_t last);
int share_map_at(unsigned n, struct vm_object *o, uint64_t first, uint64_t last, uint64_t at);
void share_unmap(unsigned n, uint64_t first, uint64_t last);
void share_wire(unsigned n, uint64_t first, uint64_t last);
void share_unwire(unsigned n, uint64_t first, uint64_t last);
/* Pages come in, dirty. */
void share_fill(struct vm_object *o, uint64_t first, uint64_t last);
struct named_entry *share_name_make(
    struct vm_object *o, uint64_t first, uint64_t last, uint64_t inode);
/* => pages that nobody else keeps */
uint64_t share_name_end(struct named_entry *n);

#endif
