/* SPDX-License-Identifier: MIT
 *
 * Purgeable objects: each change of state, and the order in which objects go, from numbers alone;
 * then against a model that says the rules in another way.
 */
#include "c_unit.h"

#include "memorystatus/pressure.h"
#include "vm/purgeable.h"

/* --- states --- */

static void
test_every_change(void **state)
{
	static const struct {
		enum purgeable_state now, wanted, next;
		enum purgeable_action action;
	} rows[] = {
		{ PURGEABLE_NONVOLATILE, PURGEABLE_NONVOLATILE, PURGEABLE_NONVOLATILE,
		    PURGEABLE_STAYS },
		{ PURGEABLE_NONVOLATILE, PURGEABLE_VOLATILE, PURGEABLE_VOLATILE, PURGEABLE_QUEUES },
		{ PURGEABLE_NONVOLATILE, PURGEABLE_EMPTY, PURGEABLE_EMPTY, PURGEABLE_EMPTIES },
		{ PURGEABLE_VOLATILE, PURGEABLE_NONVOLATILE, PURGEABLE_NONVOLATILE,
		    PURGEABLE_LEAVES },
		{ PURGEABLE_VOLATILE, PURGEABLE_VOLATILE, PURGEABLE_VOLATILE, PURGEABLE_QUEUES },
		{ PURGEABLE_VOLATILE, PURGEABLE_EMPTY, PURGEABLE_EMPTY, PURGEABLE_EMPTIES },
		{ PURGEABLE_EMPTY, PURGEABLE_NONVOLATILE, PURGEABLE_NONVOLATILE, PURGEABLE_LEAVES },
		{ PURGEABLE_EMPTY, PURGEABLE_VOLATILE, PURGEABLE_EMPTY, PURGEABLE_STAYS },
		{ PURGEABLE_EMPTY, PURGEABLE_EMPTY, PURGEABLE_EMPTY, PURGEABLE_EMPTIES },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		enum purgeable_action action;

		assert_int_equal(
		    purgeable_next(rows[i].now, rows[i].wanted, &action), rows[i].next);
		assert_int_equal(action, rows[i].action);
	}
}

static void
test_words(void **state)
{
	(void)state;
	for (uint32_t word = 0; word < 1u << 18; word++) {
		bool is_valid =
		    (word & 3) <= 2 && (word & ~(uint32_t)(3 | 0x20 | 0x40 | 0x700 | 0x10000)) == 0;

		assert_int_equal(purgeable_word_is_valid(word), is_valid);
	}
	assert_false(purgeable_word_is_valid(1u << 31));
	assert_int_equal(purgeable_group(PAGER_PURGEABLE_GROUP(5)), 5);
}

static void
test_groups_of_pressure(void **state)
{
	(void)state;
	assert_int_equal(pressure_purges(PRESSURE_NORMAL, false), 0);
	assert_int_equal(pressure_purges(PRESSURE_WARNING, false), 2);
	assert_int_equal(pressure_purges(PRESSURE_URGENT, false), 5);
	assert_int_equal(pressure_purges(PRESSURE_CRITICAL, false), 8);
	assert_int_equal(pressure_purges(PRESSURE_NORMAL, true), 8);
}

/* --- order --- */

enum { OBJECTS = 24 };
struct world {
	struct purge_queue queue;
	struct purgeable objects[OBJECTS];
	int importance[OBJECTS];
};

static int
importance_of(void *context, const struct purgeable *p)
{
	const struct world *w = context;

	return w->importance[p - w->objects];
}

static void
world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	purge_queue_init(&w->queue);
	for (unsigned i = 0; i < OBJECTS; i++) {
		list_init(&w->objects[i].node);
		list_init(&w->objects[i].token);
		w->objects[i].pages = 1;
		w->importance[i] = 100;
	}
}

static void
add(struct world *w, unsigned i, uint32_t how, uint64_t inactive)
{
	w->objects[i].state = PURGEABLE_VOLATILE;
	w->objects[i].how = how;
	purge_queue_add(&w->queue, &w->objects[i], inactive);
}

/* => the number of the object that goes, which goes; -1: none */
static int
purge(struct world *w, unsigned force)
{
	struct purgeable *p = purge_queue_choose(&w->queue, force, importance_of, w);

	if (!p)
		return -1;
	purge_queue_remove(&w->queue, p, true);
	p->state = PURGEABLE_EMPTY;
	return (int)(p - w->objects);
}

static void
keep(struct world *w, unsigned i)
{
	purge_queue_remove(&w->queue, &w->objects[i], false);
	w->objects[i].state = PURGEABLE_NONVOLATILE;
}

static void
test_order(void **state)
{
	static const int expected[] = { 6, 7, 2, 0, 5, 4, 1, 3 };
	struct world w;

	(void)state;
	world_init(&w);
	add(&w, 0, PAGER_PURGEABLE_GROUP(1), 0);
	add(&w, 1, PAGER_PURGEABLE_GROUP(7), 0);
	add(&w, 2, PAGER_PURGEABLE_GROUP(0), 0);
	add(&w, 3, PAGER_PURGEABLE_GROUP(7), 0);
	add(&w, 4, PAGER_PURGEABLE_GROUP(1) | PAGER_PURGEABLE_LIFO, 0);
	add(&w, 5, PAGER_PURGEABLE_GROUP(1) | PAGER_PURGEABLE_LIFO, 0);
	add(&w, 6, PAGER_PURGEABLE_GROUP(6) | PAGER_PURGEABLE_OBSOLETE, 1000);
	add(&w, 7, PAGER_PURGEABLE_OBSOLETE, 1000);
	for (unsigned i = 0; i < ARRAY_LEN(expected); i++)
		assert_int_equal(purge(&w, 0), expected[i]);
	assert_int_equal(purge(&w, 8), -1);
	assert_int_equal(w.queue.count, 0);
	assert_true(list_empty(&w.queue.tokens));
}

/* Nothing goes before as many pages have left the inactive queue as were in it. */
static void
test_ageing(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	add(&w, 0, 0, 100);
	w.queue.turned += 99;
	assert_int_equal(purge(&w, 0), -1);
	add(&w, 1, PAGER_PURGEABLE_GROUP(1), 10);
	w.queue.turned++;
	/* The second is ripe no earlier than the first, but later by what it says. */
	assert_int_equal(purge_queue_ripe(&w.queue), 1);
	assert_int_equal(purge(&w, 0), 0);
	assert_int_equal(purge(&w, 0), -1);
	w.queue.turned += 8;
	assert_int_equal(purge(&w, 0), -1);
	w.queue.turned++;
	assert_int_equal(purge(&w, 0), 1);
}

/* A token is nobody's: the ripe one of a higher group lets a lower group go, and its owner waits
 * for the other one's. */
static void
test_tokens_are_nobodys(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	add(&w, 0, PAGER_PURGEABLE_GROUP(7), 10);
	w.queue.turned += 5;
	add(&w, 1, PAGER_PURGEABLE_GROUP(0), 100);
	w.queue.turned += 5;
	assert_int_equal(purge(&w, 0), 1);
	assert_int_equal(purge(&w, 0), -1);
	w.queue.turned += 94;
	assert_int_equal(purge(&w, 0), -1);
	w.queue.turned++;
	assert_int_equal(purge(&w, 0), 0);

	/* What becomes nonvolatile takes the last token along. */
	add(&w, 2, 0, 10);
	add(&w, 3, 0, 20);
	add(&w, 4, 0, 30);
	keep(&w, 2);
	w.queue.turned += 10;
	assert_int_equal(purge(&w, 0), 3);
	w.queue.turned += 9;
	assert_int_equal(purge(&w, 0), -1);
	w.queue.turned++;
	assert_int_equal(purge(&w, 0), 4);

	/* One that does not age goes by others' tokens only, or under pressure. */
	add(&w, 5, PAGER_PURGEABLE_NO_AGING, 0);
	assert_int_equal(purge(&w, 0), -1);
	add(&w, 6, PAGER_PURGEABLE_GROUP(1), 0);
	assert_int_equal(purge(&w, 0), 5);
	assert_int_equal(purge(&w, 0), -1);
	assert_int_equal(purge(&w, 1), -1);
	assert_int_equal(purge(&w, 2), 6);
	assert_true(list_empty(&w.queue.tokens));
}

static void
test_pressure_and_importance(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	for (unsigned i = 0; i < 8; i++)
		add(&w, i, PAGER_PURGEABLE_GROUP(i), 1000);
	assert_int_equal(purge(&w, 2), 0);
	assert_int_equal(purge(&w, 2), 1);
	assert_int_equal(purge(&w, 2), -1);
	for (unsigned i = 2; i < 5; i++)
		assert_int_equal(purge(&w, 5), i);
	assert_int_equal(purge(&w, 5), -1);
	for (unsigned i = 5; i < 8; i++)
		assert_int_equal(purge(&w, 8), i);

	for (unsigned i = 8; i < 12; i++)
		add(&w, i, 0, 1000);
	w.importance[8] = -1; /* passed over */
	w.importance[9] = 30;
	w.importance[10] = 10;
	w.importance[11] = 10;
	assert_int_equal(purge(&w, 8), 10);
	assert_int_equal(purge(&w, 8), 11);
	assert_int_equal(purge(&w, 8), 9);
	assert_int_equal(purge(&w, 8), -1);
	w.importance[8] = 0;
	assert_int_equal(purge(&w, 8), 8);
}

/* Another order while it is volatile: neither is a token put down nor taken away. What ages from
 * now on, and did not, gets one. */
static void
test_changes(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	add(&w, 0, PAGER_PURGEABLE_GROUP(3), 10);
	add(&w, 1, PAGER_PURGEABLE_GROUP(2), 20);
	add(&w, 0, PAGER_PURGEABLE_GROUP(1), 1000);
	w.queue.turned += 10;
	assert_int_equal(purge(&w, 0), 0);
	add(&w, 2, PAGER_PURGEABLE_OBSOLETE, 0);
	add(&w, 2, 0, 5);
	assert_int_equal(purge(&w, 0), -1);
	w.queue.turned += 10;
	assert_int_equal(purge(&w, 0), 2);
	assert_int_equal(purge(&w, 0), 1);
	/* And the other way: it needs none any more. */
	add(&w, 3, 0, 1000);
	add(&w, 3, PAGER_PURGEABLE_OBSOLETE, 0);
	assert_int_equal(purge(&w, 0), 3);
	assert_true(list_empty(&w.queue.tokens));
}

/* --- a model --- */

struct model {
	bool queued[OBJECTS];
	uint64_t when[OBJECTS]; /* it was put into its list */
	uint64_t tokens[OBJECTS];
	unsigned token_count;
	uint64_t clock, turned;
};

/* Lower goes first. */
static uint64_t
rank_of(const struct world *w, const struct model *m, unsigned i)
{
	uint32_t how = w->objects[i].how;

	if (how & PAGER_PURGEABLE_OBSOLETE)
		return m->when[i];
	return (1 + (uint64_t)purgeable_group(how) * 2 + !!(how & PAGER_PURGEABLE_LIFO)) * 1000000 +
	       (how & PAGER_PURGEABLE_LIFO ? 999999 - m->when[i] : m->when[i]);
}

static int
model_choose(const struct world *w, const struct model *m, unsigned force)
{
	bool ripe = m->token_count > 0 && m->tokens[0] <= m->turned;
	int best = -1;

	for (unsigned i = 0; i < OBJECTS; i++) {
		uint32_t how = w->objects[i].how;

		if (!m->queued[i] ||
		    (!(how & PAGER_PURGEABLE_OBSOLETE) && !ripe && purgeable_group(how) >= force))
			continue;
		if (best < 0 || rank_of(w, m, i) < rank_of(w, m, (unsigned)best))
			best = (int)i;
	}
	return best;
}

static void
test_against_the_model(void **state)
{
	struct model m = { 0 };
	struct world w;
	uint64_t seed = 1;

	(void)state;
	world_init(&w);
	for (unsigned step = 0; step < 200000; step++) {
		uint64_t random = seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		unsigned i = (unsigned)(random >> 33) % OBJECTS, what = (unsigned)(random >> 60);
		uint32_t how = (uint32_t)(random >> 8) & (0x20 | 0x40 | 0x700);

		/* Obsolete objects have no tokens in the model, so none that has one becomes one.
		 */
		if (what < 6 && !m.queued[i]) {
			uint64_t inactive = (random >> 40) % 50;

			if ((random >> 20) % 4 != 0)
				how &= ~0x20u;
			add(&w, i, how, inactive);
			m.queued[i] = true;
			m.when[i] = ++m.clock;
			if (!(how & 0x20)) {
				uint64_t at = m.turned + inactive;

				if (m.token_count > 0 && m.tokens[m.token_count - 1] > at)
					at = m.tokens[m.token_count - 1];
				m.tokens[m.token_count++] = at;
			}
		} else if (what < 8 && m.queued[i]) {
			bool ages = !(w.objects[i].how & 0x20);

			keep(&w, i);
			m.queued[i] = false;
			m.token_count -= ages;
		} else if (what < 12) {
			unsigned force = (unsigned)(random >> 50) % 9;
			int expected = model_choose(&w, &m, what == 11 ? force : 0);
			bool ripe = m.token_count > 0 && m.tokens[0] <= m.turned;

			assert_int_equal(purge(&w, what == 11 ? force : 0), expected);
			if (expected < 0)
				continue;
			m.queued[expected] = false;
			if (w.objects[expected].how & 0x20)
				continue;
			if (ripe)
				memmove(
				    m.tokens, m.tokens + 1, sizeof(m.tokens) - sizeof(*m.tokens));
			m.token_count--;
		} else {
			w.queue.turned += what;
			m.turned += what;
		}
		if (m.clock > 900000)
			break;
	}
	for (unsigned i = 0; i < OBJECTS; i++) {
		if (m.queued[i])
			keep(&w, i);
		assert_false(purgeable_is_queued(&w.objects[i]));
	}
	assert_true(list_empty(&w.queue.tokens));
	assert_int_equal(w.queue.count, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_change),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_groups_of_pressure),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_ageing),
		cmocka_unit_test(test_tokens_are_nobodys),
		cmocka_unit_test(test_pressure_and_importance),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_against_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
