/* SPDX-License-Identifier: MIT
 *
 * The page's state machine, all pairs: an allowed arrow moves the frame between gauges and posts
 * the ledger as the states require, which is computed here from their meaning and not from the
 * table; any other pair is a panic.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "c_unit.h"
#include "panics.h"

/* vm_page.h's picture once more, by hand: a state's letter, and the letters it may turn into. */
static const struct {
	char from;
	const char *to;
} picture[] = {
	{ '-', "FDSP" },
	{ 'S', "F-" },
	{ 'P', "-" },
	{ 'F', "AXWP-S" },
	{ 'A', "IW-" },
	{ 'I', "ALW-" },
	{ 'X', "ALW-" },
	{ 'L', "ACW-" },
	{ 'C', "SA-" },
	{ 'W', "A-" },
	{ 'D', "-" },
};

static bool
picture_allows(enum page_state from, enum page_state to)
{
	for (size_t i = 0; i < ARRAY_LEN(picture); i++)
		if (picture[i].from == page_state_letter(from))
			return strchr(picture[i].to, page_state_letter(to)) != NULL;
	return false;
}

static bool
has_frame(enum page_state state)
{
	return strchr("FAIXLCWD", page_state_letter(state)) != NULL;
}

/* Its owner pays for the page by the page. */
static bool
is_billed(enum page_state state)
{
	return has_frame(state) && page_state_letter(state) != 'D';
}

static enum stat_index
gauge_of(enum page_state state)
{
	switch (page_state_letter(state)) {
	case 'F':
	case 'A':
		return STAT_FRAMES_ACTIVE;
	case 'I':
		return STAT_FRAMES_INACTIVE;
	case 'X':
		return STAT_FRAMES_SPECULATIVE;
	case 'L':
	case 'C':
		return STAT_FRAMES_LAUNDRY;
	case 'W':
	case 'D':
		return STAT_FRAMES_WIRED;
	default:
		return STAT_FRAMES_FREE;
	}
}

struct books {
	long long gauges[STAT_COUNT], internal, compressed, wired, footprint;
};

static struct books
books_of(struct unit *u)
{
	struct books b = { .internal = (long long)ledger_pages(
			       &u->task->bill.ledger, PAGER_LEDGER_INTERNAL),
		.compressed = (long long)ledger_pages(
		    &u->task->bill.ledger, PAGER_LEDGER_INTERNAL_COMPRESSED),
		.wired = (long long)ledger_pages(&u->task->bill.ledger, PAGER_LEDGER_WIRED_MEM),
		.footprint =
		    (long long)ledger_pages(&u->task->bill.ledger, PAGER_LEDGER_PHYS_FOOTPRINT) };

	for (int i = 0; i < STAT_COUNT; i++)
		b.gauges[i] = unit_level(u, (enum stat_index)i);
	return b;
}

/* One step as its callers make it. *frame: the page's, FRAME_NONE without one. */
static void
step(struct unit *u, uint32_t *frame, enum page_state from, enum page_state to)
{
	struct daemon *d = u->daemon;

	pageq_lock(d);
	if (!has_frame(from) && !has_frame(to)) {
		vm_page_commit_slot(d, u->object, from, to);
	} else {
		if (!has_frame(from)) {
			*frame = frame_take_locked(d, FRAME_FIRST);
			assert_int_not_equal(*frame, FRAME_NONE);
			d->frames.pages[*frame].object = u->object->index;
			d->frames.pages[*frame].index = 7;
			store_release(&d->frames.pages[*frame].word, FRAME_TAKEN | PAGE_BUSY);
		}
		vm_page_commit(d, u->object, *frame, from, to);
		if (!has_frame(to))
			*frame = FRAME_NONE;
	}
	pageq_unlock(d);
}

/* A way from ABSENT to the state, by allowed arrows: parents of a breadth-first search. */
static void
walk_to(struct unit *u, uint32_t *frame, enum page_state state)
{
	enum page_state parent[PAGE_STATE_COUNT], queue[PAGE_STATE_COUNT], path[PAGE_STATE_COUNT];
	bool seen[PAGE_STATE_COUNT] = { [PAGE_ABSENT] = true };
	unsigned head = 0, tail = 0, length = 0;

	queue[tail++] = PAGE_ABSENT;
	while (head < tail) {
		enum page_state from = queue[head++];

		for (int to = 0; to < PAGE_STATE_COUNT; to++)
			if (!seen[to] && page_arrow_allowed(from, (enum page_state)to)) {
				seen[to] = true;
				parent[to] = from;
				queue[tail++] = (enum page_state)to;
			}
	}
	assert_true(seen[state]);
	for (enum page_state s = state; s != PAGE_ABSENT; s = parent[s])
		path[length++] = s;
	for (enum page_state from = PAGE_ABSENT; length-- > 0; from = path[length])
		step(u, frame, from, path[length]);
}

static void
test_arrows(void **state)
{
	unsigned allowed = 0;

	(void)state;
	for (int from = 0; from < PAGE_STATE_COUNT; from++)
		for (int to = 0; to < PAGE_STATE_COUNT; to++) {
			assert_int_equal(
			    page_arrow_allowed((enum page_state)from, (enum page_state)to),
			    picture_allows((enum page_state)from, (enum page_state)to));
			allowed += page_arrow_allowed((enum page_state)from, (enum page_state)to);
		}
	assert_int_equal(allowed, 33 + 1);
	/* Nothing beyond the table is asked for by accident. */
	assert_false(page_arrow_allowed((enum page_state)FRAME_FREE, PAGE_ACTIVE));
	assert_false(page_arrow_allowed(PAGE_ACTIVE, (enum page_state)FRAME_COMPRESSOR));
}

static void
check_pair(enum page_state from, enum page_state to)
{
	uint32_t frame = FRAME_NONE;
	struct books before, after;
	struct unit u;

	unit_start(&u);
	walk_to(&u, &frame, from);
	before = books_of(&u);
	step(&u, &frame, from, to);
	after = books_of(&u);
	for (int i = STAT_FRAMES_FREE; i <= STAT_FRAMES_COMPRESSOR; i++) {
		long long want =
		    (gauge_of(to) == (enum stat_index)i) - (gauge_of(from) == (enum stat_index)i);

		if (after.gauges[i] - before.gauges[i] != want)
			fail_msg("%s -> %s: gauge %d moved by %lld, not %lld",
			    page_state_name(from), page_state_name(to), i,
			    after.gauges[i] - before.gauges[i], want);
	}
	assert_int_equal(after.internal - before.internal, is_billed(to) - is_billed(from));
	assert_int_equal(after.gauges[STAT_PAGES_DEVICE] - before.gauges[STAT_PAGES_DEVICE],
	    (to == PAGE_DEVICE) - (from == PAGE_DEVICE));
	assert_int_equal(
	    after.compressed - before.compressed, (to == PAGE_STORED) - (from == PAGE_STORED));
	assert_int_equal(after.wired - before.wired, (to == PAGE_WIRED) - (from == PAGE_WIRED));
	assert_int_equal(after.footprint, after.internal + after.compressed);
	assert_int_equal(after.gauges[STAT_PAGES_INTERNAL], after.internal);
	assert_int_equal(after.gauges[STAT_PAGES_COMPRESSED], after.compressed);
	assert_int_equal(
	    load_relaxed(&u.daemon->frames.free_count), after.gauges[STAT_FRAMES_FREE]);
	assert_int_equal(u.daemon->stats.header->sequence % 2, 0);
	if (frame != FRAME_NONE)
		assert_int_equal(
		    page_word_state(load_relaxed(&u.daemon->frames.pages[frame].word)), to);
	/* Home again: nothing is left in the books. */
	for (enum page_state at = to; at != PAGE_ABSENT;) {
		enum page_state next =
		    page_arrow_allowed(at, PAGE_ABSENT) ? PAGE_ABSENT : PAGE_ACTIVE;

		step(&u, &frame, at, next);
		at = next;
	}
	assert_true(ledger_is_zero(&u.task->bill.ledger));
	assert_int_equal(unit_level(&u, STAT_FRAMES_FREE), UNIT_FRAMES);
	unit_stop(&u);
}

static void
test_allowed_post(void **state)
{
	(void)state;
	for (int from = 0; from < PAGE_STATE_COUNT; from++)
		for (int to = 0; to < PAGE_STATE_COUNT; to++)
			if (page_arrow_allowed((enum page_state)from, (enum page_state)to))
				check_pair((enum page_state)from, (enum page_state)to);
}

struct attempt {
	enum page_state from, to;
};

static void
try_pair(void *argument)
{
	const struct attempt *a = argument;
	uint32_t frame = FRAME_NONE;
	struct unit u;

	unit_start(&u);
	walk_to(&u, &frame, a->from);
	step(&u, &frame, a->from, a->to);
}

/* The page is in another state than its caller believes. */
static void
try_lie(void *argument)
{
	const struct attempt *a = argument;
	uint32_t frame = FRAME_NONE;
	struct unit u;

	unit_start(&u);
	walk_to(&u, &frame, a->from);
	step(&u, &frame, a->to, PAGE_ABSENT);
}

static void
try_unlocked(void *argument)
{
	const struct attempt *a = argument;
	uint32_t frame = FRAME_NONE;
	struct unit u;

	unit_start(&u);
	walk_to(&u, &frame, a->from);
	vm_page_commit(u.daemon, u.object, frame, a->from, a->to);
}

static bool
attempt_panics(
    void (*body)(void *argument), enum page_state from, enum page_state to, const char *text)
{
	struct attempt a = { from, to };

	return panics(body, &a, text);
}

static void
test_forbidden_panic(void **state)
{
	unsigned forbidden = 0;

	(void)state;
	for (int from = 0; from < PAGE_STATE_COUNT; from++)
		for (int to = 0; to < PAGE_STATE_COUNT; to++) {
			if (page_arrow_allowed((enum page_state)from, (enum page_state)to))
				continue;
			forbidden++;
			if (!attempt_panics(
				try_pair, (enum page_state)from, (enum page_state)to, "no arrow"))
				fail_msg("%s -> %s is no arrow, and did not panic",
				    page_state_name((enum page_state)from),
				    page_state_name((enum page_state)to));
		}
	assert_int_equal(forbidden, PAGE_STATE_COUNT * PAGE_STATE_COUNT - 34);
	assert_true(attempt_panics(try_lie, PAGE_INACTIVE, PAGE_ACTIVE, "is INACTIVE, not ACTIVE"));
	assert_true(attempt_panics(try_lie, PAGE_WIRED, PAGE_LAUNDRY, "is WIRED, not LAUNDRY"));
	if (DEBUG_LEVEL >= 1)
		assert_true(attempt_panics(try_unlocked, PAGE_ACTIVE, PAGE_INACTIVE, "PAGEQ"));
}

static void
test_busy(void **state)
{
	uint32_t frame = FRAME_NONE;
	struct vm_page *p;
	struct unit u;

	(void)state;
	unit_start(&u);
	walk_to(&u, &frame, PAGE_ACTIVE);
	p = &u.daemon->frames.pages[frame];
	vm_page_flags_clear(p, PAGE_BUSY | PAGE_WANTED);
	assert_true(vm_page_busy_only(p));
	assert_false(vm_page_busy_only(p));
	assert_false(vm_page_unbusy(p)); /* WANTED was not set */
	assert_true(vm_page_busy_try(p));
	assert_false(vm_page_busy_try(p));
	assert_true(vm_page_unbusy(p)); /* WANTED was set */
	assert_true(vm_page_busy_try(p));
	assert_false(vm_page_unbusy(p)); /* and that was forgotten */
	/* Flags live beside the state and survive an arrow. */
	vm_page_flags_set(p, PAGE_DIRTY);
	step(&u, &frame, PAGE_ACTIVE, PAGE_INACTIVE);
	assert_true(load_relaxed(&p->word) & PAGE_DIRTY);
	assert_int_equal(page_word_state(load_relaxed(&p->word)), PAGE_INACTIVE);
	step(&u, &frame, PAGE_INACTIVE, PAGE_ABSENT);
	unit_stop(&u);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arrows),
		cmocka_unit_test(test_allowed_post),
		cmocka_unit_test(test_forbidden_panic),
		cmocka_unit_test(test_busy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
