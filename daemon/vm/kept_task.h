/* SPDX-License-Identifier: MIT
 *
 * A client's record: what must be known of its session and its map by the worker that comes after
 * this one. It is an arena of its own, made when the client is attached, and only where there is a
 * keeper. The map is written as a whole into one of two halves at each change, and then that half
 * counts.
 */
#ifndef KEPT_TASK_H
#define KEPT_TASK_H

#include "vm/books.h"
#include "vm/task_record.h"

/* Adds what a record is to the list of arenas (arena_list). */
void task_record_list(const struct daemon *d);
/* The record of a client whose map is empty. => 0 and *ret_fd, which is the caller's; or -errno. No
 * lock held */
int task_record_create(struct task *task, bool is_control, int *ret_fd);
/* Maps one that was left. => NULL: it is none of this build. Takes over fd where it is one */
struct task_record *task_record_open(struct daemon *d, int fd);
void task_record_close(struct daemon *d, struct task_record *record);
/* The entries of a record's map. */
const struct kept_entry *task_record_entries(const struct task_record *record, uint32_t *ret_count);
/* The map has changed. => M held, and it has a record */
void task_record_map_locked(struct vm_map *m);

#endif
