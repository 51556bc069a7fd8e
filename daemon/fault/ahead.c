/* SPDX-License-Identifier: MIT
 *
 * Read-ahead. Runs on: fault servers. Never sleeps, allocates nothing.
 */
#include "fault/ahead.h"

#include "fault/swapin.h"
#include "pagers/pager.h"

/* A run of that many pages at a time is read ahead of, this many pages far, or as far as is worth
 * it, and so many bytes at least. */
#define AHEAD_RUN         8u
#define AHEAD_PAGES       256u
#define AHEAD_LEAST_BYTES 32768u

/* Whether memory and time are left for guesses. */
static bool
may_read(const struct fault_server *server, unsigned pages)
{
	const struct daemon *d = server->daemon;

	return server->seat && !watch_is_relieved() && load_relaxed(&d->park.count) == 0 &&
	       frames_available_for(d, FRAME_READ) > 2 * pages;
}

/* Makes the first pages of [*at, end) that are not there FILLING, and moves *at behind them. =>
 * false: there are none, or none can be had */
static bool
fill_next(const struct target *t, const struct fault *f, uint64_t *at, uint64_t end, unsigned most,
    struct fill *fill)
{
	struct vm_object *o = t->object;
	bool begun = false;

	lock_acquire(&o->lock);
	while (*at < end && slot_kind(load_relaxed(vm_object_slot(o, *at))) != SLOT_ABSENT)
		++*at;
	if (*at < end) {
		*fill = (struct fill){ .task = f->task, .base = t->base, .door = DOOR_PREFAULT };
		fill->is_read_only = t->is_read_only;
		begun = fill_begin(o->daemon, o, *at, (unsigned)min_u64(end - *at, most), 1,
			    FRAME_READ, fill) == RUN_BEGUN;
		/* Left as they are by fill_begin. */
		fill->write = fill->wired = false;
		fill->sequential = true;
		fill->seen_by = SEEN_AHEAD;
	}
	lock_release(&o->lock);
	if (begun)
		*at += fill->count;
	return begun;
}

/* How many pages are read ahead. What a program says of its range holds whatever became of others.
 */
static unsigned
pages_ahead(const struct daemon *d, const struct target *t)
{
	unsigned most = (unsigned)min_u64(AHEAD_PAGES, d->frames.count / 32),
		 least = (unsigned)max_u64(AHEAD_LEAST_BYTES >> d->page_shift, 1);

	if (t->behavior == PAGER_BEHAVIOR_SEQUENTIAL)
		return most;
	return ahead_far(&t->object->external->ahead, least, most);
}

void
ahead_read(
    struct fault_server *server, const struct fault *f, const struct target *t, uint64_t from)
{
	const struct daemon *d = server->daemon;
	unsigned most;
	uint64_t end;
	struct fill fill;

	locks_assert_none();
	if (likely(!t->object->external) || t->want < AHEAD_RUN || t->direction < 0 || t->wired ||
	    !server->seat)
		return;
	most = (unsigned)(fault_io_bytes(d) >> d->page_shift);
	end = min_u64(from + pages_ahead(d, t), t->high);
	while (from < end && may_read(server, most) && fill_next(t, f, &from, end, most, &fill) &&
	       swapin_start_ahead(server, f, &fill))
		continue;
}
