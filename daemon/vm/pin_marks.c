/* SPDX-License-Identifier: MIT
 *
 * Marks of pinned frames. Runs on: pageout workers, and whoever frees a frame. Allocates nothing
 * but at start.
 */
#include "vm/pin_marks.h"

#include <errno.h>
#include <sys/mman.h>

#include "daemon.h"
#include "own.h"

/* A mark is a moment in units of TICK_NS, plus one, in the low bits, and whether the page is held.
 * A page that is found pinned after more than half of what the bits count (4 hours) may count as
 * pinned anew. */
#define MARK_HELD   0x8000u
#define MARK_MOMENT 0x7fffu
#define TICK_NS     (PIN_PASSING_NS / 20)

static uint16_t
mark_at(uint64_t now_ns)
{
	return (uint16_t)(now_ns / TICK_NS % MARK_MOMENT + 1);
}

static uint64_t
mark_age_ns(uint16_t mark, uint64_t now_ns)
{
	uint32_t now = mark_at(now_ns), since = mark & MARK_MOMENT;

	return (now >= since ? now - since : now + MARK_MOMENT - since) * TICK_NS;
}

int
pin_marks_create(struct daemon *d)
{
	struct pin_marks *m = &d->pin_marks;
	size_t bytes = d->frames.rows * sizeof(*m->since);

	CHECK(!m->since && d->frames.rows > 0);
	/* Rows that nobody marks take no memory. */
	m->since = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m->since == MAP_FAILED) {
		m->since = NULL;
		return -ENOMEM;
	}
	own_area(OWN_PIN_MARKS, m->since, bytes);
	return 0;
}

void
pin_marks_destroy(struct daemon *d)
{
	struct pin_marks *m = &d->pin_marks;

	if (!m->since)
		return;
	own_area_forget(m->since);
	munmap(m->since, d->frames.rows * sizeof(*m->since));
	m->since = NULL;
}

void
pin_mark_forget_locked(struct daemon *d, uint32_t frame)
{
	struct pin_marks *m = &d->pin_marks;

	pageq_assert_held(d);
	if (!m->since || m->since[frame] == 0)
		return;
	CHECK(load_relaxed(&m->marked) > 0);
	if (m->since[frame] & MARK_HELD) {
		CHECK(m->held > 0);
		m->held--;
	}
	store_relaxed(&m->marked, load_relaxed(&m->marked) - 1);
	m->since[frame] = 0;
}

enum pin_stay
pin_mark_locked(
    struct daemon *d, uint32_t frame, bool is_pinned, uint64_t now_ns, uint64_t most_held)
{
	struct pin_marks *m = &d->pin_marks;
	uint16_t *mark;

	pageq_assert_held(d);
	CHECK(m->since && frame < d->frames.rows);
	mark = &m->since[frame];
	if (!is_pinned) {
		pin_mark_forget_locked(d, frame);
		return PIN_LEAVES;
	}
	if (*mark == 0) {
		*mark = mark_at(now_ns);
		store_relaxed(&m->marked, load_relaxed(&m->marked) + 1);
	}
	if (*mark & MARK_HELD)
		return PIN_HELD;
	if (mark_age_ns(*mark, now_ns) <= PIN_PASSING_NS)
		return PIN_PASSES;
	if (m->held >= most_held)
		return PIN_LEAVES;
	*mark |= MARK_HELD;
	m->held++;
	return PIN_HELD;
}
