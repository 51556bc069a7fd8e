/* SPDX-License-Identifier: MIT
 *
 * A client's record: what must be known of its session and its map by the worker that comes after
 * this one. It is an arena of its own, made when the client is attached, and only where there is a
 * keeper. The map is written as a whole into one of two halves at each change, and then that half
 * counts.
 */
#ifndef KEPT_TASK_H
#define KEPT_TASK_H

#include "core/ledger_limit.h"
#include "vm/books.h"
#include "vm/task_record.h"

/* Adds what a record is to the list of arenas (arena_list). */
void task_record_list(const struct daemon *d);
/* The record of a client. => 0 and *ret_fd, which is the caller's; or -errno. No
 * lock held */
int task_record_create(struct task *task, bool is_control, int *ret_fd);
/* Maps one that was left. => NULL: it is none of this build. Takes over fd where it is one */
struct task_record *task_record_open(struct daemon *d, int fd);
/* Whether one that was left can be whole; task_record_entries is only for such a one. */
bool task_record_is_possible(const struct daemon *d, const struct task_record *record);
/* The client's memory cannot be known, or not be right: its process is killed, with a line that
 * says why, and its record does not count any more. What there is of the task cannot be used. Runs
 * on: the main thread of a worker that takes over */
void task_record_forsake(struct task *task, const char *why);
void task_record_close(struct daemon *d, struct task_record *record);
/* The entries of a record's map. */
const struct kept_entry *task_record_entries(const struct task_record *record, uint32_t *ret_count);
/* The map has changed. => M held, and it has a record */
void task_record_map_locked(struct vm_map *m);
/* Entries are being wired once more, or once less, for the request under way: with the next change
 * of the map the record says that it has been counted. => M held */
void task_record_count_locked(struct vm_map *m);
/* The number of the request that was counted last, as of the record's map; and whether that is the
 * one under way, which a worker before this one has begun then. */
uint64_t task_record_counted(const struct task_record *record);
bool task_record_is_counted(const struct task_record *record);
/* The request under way is about to change the state of purgeable memory; it was this before.
 * is_lost: the content has gone, which the client has not been told. => what it was when a worker
 * first was about to, unless content was lost since. NULL: as given. Any lock may be held */
uint32_t task_record_purgeable(struct task_record *record, uint32_t before, bool is_lost);

/* The task is in its group now. Any lock may be held */
void task_record_group(const struct task *task);
/* The limit on an entry of the client's ledger; NULL: of a record that there is not. Runs on: the
 * control loop */
void task_record_limit(
    struct task_record *record, unsigned entry, const struct ledger_limit_wish *wish);
/* Sets the limits of a task as its record has them. */
void task_record_limits_apply(struct task *task, struct task_record *record);

#endif
