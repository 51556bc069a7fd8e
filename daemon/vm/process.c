/* SPDX-License-Identifier: MIT
 *
 * Processes and their list. Runs on: the control loop (tasks begin), the thread that drops a task's
 * last reference.
 */
#include "vm/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "clock.h"
#include "daemon.h"
#include "own.h"

#ifndef PIDFS_MAGIC
#define PIDFS_MAGIC 0x50494446
#endif

void
processes_create(struct daemon *d)
{
	lock_init(&d->processes.lock, RANK_JOBS);
}

static void
process_free(struct daemon *d, struct process *process)
{
	CHECK(load_relaxed(&process->limit_parked) == 0);
	CHECK(load_relaxed(&process->footprint) == 0);
	CHECK(load_relaxed(&process->resident) == 0 && load_relaxed(&process->wired) == 0 &&
	      load_relaxed(&process->wired_promised) == 0);
	if (process->kept)
		kept_process_drop(d, process->kept - 1);
	if (process_pidfd(process) >= 0)
		close(process_pidfd(process));
	own_free(OWN_PROCESS, process);
}

void
processes_destroy(struct daemon *d)
{
	struct process *process;

	while ((process = d->processes.list) != NULL) {
		CHECK(load_relaxed(&process->references) == 0);
		d->processes.list = process->next;
		process_free(d, process);
	}
	lock_fini(&d->processes.lock);
}

bool
pidfd_has_ended(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

bool
process_has_ended(const struct process *process)
{
	int pidfd = process_pidfd(process);

	return pidfd < 0 || pidfd_has_ended(pidfd);
}

/* Whether it has something that is to hold for later tasks. */
static bool
is_remembered(struct process *process)
{
	return load_relaxed(&process->limit_pages) != 0 ||
	       load_relaxed(&process->footprint_limits[PROCESS_ACTIVE].pages) != 0 ||
	       load_relaxed(&process->footprint_limits[PROCESS_INACTIVE].pages) != 0 ||
	       load_relaxed(&process->resident_limits[PROCESS_ACTIVE].pages) != 0 ||
	       load_relaxed(&process->resident_limits[PROCESS_INACTIVE].pages) != 0 ||
	       load_relaxed(&process->band) != PROCESS_BAND_NONE;
}

static uint64_t
identity_of(int pidfd)
{
	struct statfs fs;
	struct stat st;

	return pidfd >= 0 && fstatfs(pidfd, &fs) == 0 && fs.f_type == PIDFS_MAGIC &&
		       fstat(pidfd, &st) == 0
		   ? st.st_ino
		   : 0;
}

/* A pid is not used again while its process lives. */
static bool
is_same(const struct process *process, pid_t pid, uint64_t identity)
{
	if (identity && process->identity)
		return identity == process->identity;
	return pid > 0 && pid == process_pid(process) && !process_has_ended(process);
}

struct process *
process_get(struct daemon *d, pid_t pid, int pidfd)
{
	struct process *made = own_alloc(OWN_PROCESS, sizeof(*made)), *process = NULL;
	uint64_t identity = identity_of(pidfd);

	CHECK(pid >= 0);
	if (!made)
		return NULL;
	*made = (struct process){ .pid = pid,
		.band = PROCESS_BAND_NONE,
		.pidfd = pidfd >= 0 ? fcntl(pidfd, F_DUPFD_CLOEXEC, 3) : -1,
		.identity = identity };
	lock_acquire(&d->processes.lock);
	for (process = pidfd >= 0 ? d->processes.list : NULL;
	     process && !is_same(process, pid, identity);)
		process = process->next;
	if (!process) {
		process = made;
		made = NULL;
		process->next = d->processes.list;
		d->processes.list = process;
	}
	fetch_add_relaxed(&process->references, 1);
	lock_release(&d->processes.lock);
	if (made)
		process_free(d, made);
	return process;
}

void
process_born(struct daemon *d, struct process *process, pid_t pid, int pidfd)
{
	int own = fcntl(pidfd, F_DUPFD_CLOEXEC, 3);
	uint64_t identity = identity_of(pidfd);

	CHECK(process_pidfd(process) < 0 && load_relaxed(&process->references) > 0);
	lock_acquire(&d->processes.lock);
	store_relaxed(&process->pid, pid);
	process->identity = identity;
	store_release(&process->pidfd, own);
	lock_release(&d->processes.lock);
}

/* Takes it out of the list. => lock held */
static void
unlink_locked(struct daemon *d, struct process *process)
{
	struct process **at = &d->processes.list;

	lock_assert_held(&d->processes.lock);
	while (*at != process) {
		CHECK(*at != NULL);
		at = &(*at)->next;
	}
	*at = process->next;
}

void
process_put(struct daemon *d, struct process *process)
{
	bool is_last, ends;

	CHECK(load_relaxed(&process->references) > 0);
	lock_acquire(&d->processes.lock);
	is_last = fetch_sub_relaxed(&process->references, 1) == 1;
	ends = is_last && (!is_remembered(process) || process_has_ended(process));
	if (ends) {
		unlink_locked(d, process);
	} else if (is_last) {
		/* One that could not be killed and has lost its sessions may come again. */
		store_relaxed(&process->dying_ns, 0);
		process->is_held = false;
		store_relaxed(&process->is_over_fatal, false);
	}
	lock_release(&d->processes.lock);
	if (ends)
		process_free(d, process);
}

/* A task's end, or somebody who looks at processes, may still have references. */
struct process *
process_idle_get(struct daemon *d, pid_t pid)
{
	struct process *process;

	lock_acquire(&d->processes.lock);
	process = d->processes.list;
	while (process && !(is_remembered(process) && is_same(process, pid, 0)))
		process = process->next;
	if (process)
		fetch_add_relaxed(&process->references, 1);
	lock_release(&d->processes.lock);
	return process;
}

int
process_band_set(struct daemon *d, struct process *process, int band)
{
	int previous;

	lock_acquire(&d->processes.lock);
	store_relaxed(&process->band_since_ns, clock_now_ns());
	store_relaxed(&process->band_moved, ++d->processes.moves);
	previous = exchange_acq_rel(&process->band, band);
	lock_release(&d->processes.lock);
	return previous;
}

/* --- for the worker that comes after this one ---------------------------------------------- */

int
process_keep(struct daemon *d, struct process *process)
{
	int row;

	locks_assert_none();
	if (likely(!d->keeper) || process->kept || process_pidfd(process) < 0)
		return 0;
	row = kept_process_take(d, process_pidfd(process));
	if (row < 0)
		return row;
	process->kept = (unsigned)row + 1;
	return 0;
}

void
process_keep_inherited(struct daemon *d, struct process *process)
{
	if (unlikely(d->keeper != NULL) && is_remembered(process) && process_keep(d, process) == 0)
		process_kept(d, process);
}

/* The limit of a row. */
static struct process_limit *
limit_at(struct process *process, unsigned i)
{
	CHECK(i < 4);
	return i < 2 ? &process->footprint_limits[i] : &process->resident_limits[i - 2];
}

void
process_kept(struct daemon *d, struct process *process)
{
	struct kept_process *row;

	if (likely(!process->kept))
		return;
	row = &d->kept_processes.rows[process->kept - 1];
	store_relaxed(&row->pid, (unsigned)process_pid(process));
	store_relaxed(&row->hard, load_relaxed(&process->limit_pages));
	for (unsigned i = 0; i < ARRAY_LEN(row->limits); i++) {
		struct process_limit *limit = limit_at(process, i);

		store_relaxed(&row->limits[i],
		    load_relaxed(&limit->pages) << 1 | load_relaxed(&limit->is_fatal));
	}
	store_relaxed(&row->band_since_ns, load_relaxed(&process->band_since_ns));
	store_relaxed(&row->band_moved, load_relaxed(&process->band_moved));
	store_relaxed(&row->band, load_relaxed(&process->band));
	store_release(&row->state, KEPT_PROCESS_VALID);
}

static void
row_take_over(struct daemon *d, struct process *process, struct kept_process *row)
{
	store_relaxed(&process->limit_pages, load_relaxed(&row->hard));
	for (unsigned i = 0; i < ARRAY_LEN(row->limits); i++) {
		uint64_t limit = load_relaxed(&row->limits[i]);

		store_relaxed(&limit_at(process, i)->is_fatal, limit & 1);
		store_relaxed(&limit_at(process, i)->pages, limit >> 1);
		/* They hold before the memorystatus thread has looked. */
		if (i % 2 == PROCESS_ACTIVE && limit & 1)
			store_relaxed(
			    i < 2 ? &process->footprint_most : &process->resident_most, limit >> 1);
	}
	store_relaxed(&process->band, load_relaxed(&row->band));
	store_relaxed(&process->band_since_ns, load_relaxed(&row->band_since_ns));
	store_relaxed(&process->band_moved, load_relaxed(&row->band_moved));
	d->processes.moves = max_u64(d->processes.moves, load_relaxed(&row->band_moved));
}

/* => 0 or -ENOMEM */
static int
kept_take_over(struct daemon *d, unsigned i)
{
	struct kept_process *row = &d->kept_processes.rows[i];
	int pidfd = keeper_take(d->keeper, KEPT_LIMITED, i);
	struct process *process;

	if (pidfd < 0 || load_acquire(&row->state) != KEPT_PROCESS_VALID) {
		if (pidfd >= 0)
			close(pidfd);
		kept_process_drop(d, i);
		return 0;
	}
	process = process_get(d, (pid_t)load_relaxed(&row->pid), pidfd);
	close(pidfd);
	if (!process)
		return -ENOMEM;
	process->kept = i + 1;
	row_take_over(d, process, row);
	process_put(d, process);
	return 0;
}

int
processes_take_over(struct daemon *d)
{
	unsigned count = kept_processes_count(d);
	int error = 0;

	for (unsigned i = 0; i < count && !error; i++)
		if (load_acquire(&d->kept_processes.rows[i].state) != KEPT_PROCESS_FREE)
			error = kept_take_over(d, i);
	return error;
}

static void
limits_inherit(struct process_limit child[2], struct process_limit parent[2])
{
	for (unsigned i = 0; i < 2; i++) {
		store_relaxed(&child[i].is_fatal, load_relaxed(&parent[i].is_fatal));
		store_relaxed(&child[i].pages, load_relaxed(&parent[i].pages));
	}
}

void
process_inherit(struct daemon *d, struct process *child, struct process *parent)
{
	int band = load_relaxed(&parent->band);

	store_relaxed(&child->limit_pages, load_relaxed(&parent->limit_pages));
	limits_inherit(child->footprint_limits, parent->footprint_limits);
	limits_inherit(child->resident_limits, parent->resident_limits);
	/* They hold before the memorystatus thread has looked. */
	store_relaxed(&child->footprint_most, load_relaxed(&parent->footprint_most));
	store_relaxed(&child->resident_most, load_relaxed(&parent->resident_most));
	if (band != PROCESS_BAND_NONE)
		(void)process_band_set(d, child, band);
}

uint32_t
processes_take(struct daemon *d, struct process **ret, uint32_t room)
{
	uint32_t count = 0;

	lock_acquire(&d->processes.lock);
	for (struct process *process = d->processes.list; process && count < room;
	     process = process->next) {
		if (load_relaxed(&process->references) == 0)
			continue;
		fetch_add_relaxed(&process->references, 1);
		ret[count++] = process;
	}
	lock_release(&d->processes.lock);
	return count;
}

static bool
is_freezing(struct process *process, enum freeze_state state)
{
	return load_relaxed(&process->references) > 0 &&
	       load_acquire(&process->freeze.state) == (unsigned)state;
}

unsigned
process_freezing_count(struct daemon *d, enum freeze_state state)
{
	unsigned count = 0;

	lock_acquire(&d->processes.lock);
	for (struct process *process = d->processes.list; process; process = process->next)
		count += is_freezing(process, state);
	lock_release(&d->processes.lock);
	return count;
}

struct process *
process_freezing(struct daemon *d, enum freeze_state state)
{
	struct process *process;

	lock_acquire(&d->processes.lock);
	process = d->processes.list;
	while (process && !is_freezing(process, state))
		process = process->next;
	if (process)
		fetch_add_relaxed(&process->references, 1);
	lock_release(&d->processes.lock);
	return process;
}

bool
processes_sweep(struct daemon *d)
{
	bool are_kept = false;
	struct process **at = &d->processes.list, *gone = NULL, *process;

	lock_acquire(&d->processes.lock);
	while ((process = *at) != NULL) {
		if (load_relaxed(&process->references) > 0 ||
		    (is_remembered(process) && !process_has_ended(process))) {
			are_kept |= load_relaxed(&process->references) == 0;
			at = &process->next;
			continue;
		}
		CHECK(load_relaxed(&process->wired_promised) == 0);
		*at = process->next;
		process->next = gone;
		gone = process;
	}
	lock_release(&d->processes.lock);
	while ((process = gone) != NULL) {
		gone = process->next;
		process_free(d, process);
	}
	return are_kept;
}

uint32_t
process_room(const struct process *process)
{
	uint64_t limit = process_held_to(process), held = process_counted(process);

	if (limit == 0)
		return UINT32_MAX;
	return held < limit ? (uint32_t)min_u64(limit - held, UINT32_MAX) : 0;
}

/* Long enough for pages that are on their way to have left, or to have stayed. */
#define STUCK_NS 1000000000u

bool
process_stuck(struct process *process, bool is_stuck, uint64_t now_ns)
{
	uint64_t since = load_relaxed(&process->stuck_ns);
	uint64_t most = load_relaxed(&process->resident_most);

	CHECK(now_ns > 0);
	if (!is_stuck) {
		if (since != 0)
			store_relaxed(&process->stuck_ns, 0);
		return false;
	}
	if (since == 0)
		store_relaxed(&process->stuck_ns, now_ns);
	if (since == 0 || now_ns - since < STUCK_NS || most == 0 ||
	    load_relaxed(&process->is_over_fatal))
		return false;
	process_over_fatal(process, most);
	return true;
}

uint32_t
process_footprint_room(struct process *process)
{
	uint64_t most = load_relaxed(&process->footprint_most),
		 held = (uint64_t)load_relaxed(&process->footprint);

	if (most == 0)
		return UINT32_MAX;
	return held < most ? (uint32_t)min_u64(most - held, UINT32_MAX) : 1;
}
