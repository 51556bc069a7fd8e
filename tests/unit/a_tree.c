/* SPDX-License-Identifier: MIT
 *
 * Search trees against an array: every key there or not, after each of many random steps; and that
 * no order of keys makes one deep.
 */
#include "panics.h"

#include <stdlib.h>

#include "base.h"
#include "tree.h"

enum { KEYS = 200, MANY = 4096 };

struct item {
	int other; /* nodes need not stand first */
	struct tree_node node;
};

static struct item items[MANY];

static const struct item *
item_of(const struct tree_node *n)
{
	return n ? container_of(n, struct item, node) : NULL;
}

static void
look(const struct tree *t, const bool *there)
{
	const struct item *below = NULL, *above = NULL;

	for (int key = 0; key < KEYS; key++) {
		if (there[key])
			below = &items[key];
		assert_ptr_equal(item_of(tree_at_most(t, (uint64_t)key)), below);
	}
	for (int key = KEYS - 1; key >= 0; key--) {
		if (there[key])
			above = &items[key];
		assert_ptr_equal(item_of(tree_at_least(t, (uint64_t)key)), above);
	}
	assert_int_equal(tree_is_empty(t), below == NULL);
}

static void
random_steps(void **state)
{
	struct tree t = { NULL };
	bool there[KEYS] = { false };

	(void)state;
	srand(1);
	for (unsigned n = 0; n < 20000; n++) {
		/* Phases in which it grows, and in which it goes to nothing. */
		int key = rand() % KEYS;
		bool put = rand() % 8 < (n / 1000 % 2 ? 1 : 6);

		if (put && !there[key])
			tree_put(&t, &items[key].node, (uint64_t)key);
		else if (!put && there[key])
			tree_take(&t, &items[key].node);
		there[key] = put;
		if (n % 16 == 0)
			look(&t, there);
	}
}

static unsigned
depth(const struct tree_node *n)
{
	unsigned low, high;

	if (!n)
		return 0;
	low = depth(n->low);
	high = depth(n->high);
	return 1 + (low > high ? low : high);
}

/* Upwards, downwards, from both ends inwards. A tree of random ranks is never as deep as 4 times
 * the logarithm. */
static void
stays_flat(void **state)
{
	(void)state;
	for (int order = 0; order < 3; order++) {
		struct tree t = { NULL };

		for (int i = 0; i < MANY; i++) {
			int key = order == 0   ? i
				  : order == 1 ? MANY - 1 - i
				  : i % 2      ? MANY - 1 - i / 2
					       : i / 2;

			tree_put(&t, &items[key].node, (uint64_t)key);
		}
		assert_true(depth(t.root) <= 4 * 12);
		assert_ptr_equal(item_of(tree_at_most(&t, UINT64_MAX)), &items[MANY - 1]);
		for (int i = 0; i < MANY; i++)
			tree_take(&t, &items[i].node);
		assert_true(tree_is_empty(&t));
	}
}

/* What is not right is a panic: two of a key, and a node that is not there. */
static void
two_of_a_key(void *unused)
{
	struct tree t = { NULL };

	(void)unused;
	tree_put(&t, &items[1].node, 7);
	tree_put(&t, &items[2].node, 7);
}

static void
take_another(void *unused)
{
	struct tree t = { NULL };

	(void)unused;
	tree_put(&t, &items[1].node, 7);
	items[2].node = items[1].node;
	tree_take(&t, &items[2].node);
}

static void
mistakes_are_panics(void **state)
{
	(void)state;
	assert_true(panics(two_of_a_key, NULL, "key"));
	assert_true(panics(take_another, NULL, "node"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_steps),
		cmocka_unit_test(stays_flat),
		cmocka_unit_test(mistakes_are_panics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
