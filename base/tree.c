/* SPDX-License-Identifier: MIT
 *
 * Search trees. Runs on: any thread. Allocates nothing.
 */
#include "tree.h"

#include "check.h"

/* A parent has a higher rank than its children. Ranks are as good as random, and no client can know
 * them, for they depend on addresses of the daemon's: so no order of keys makes a tree deep. */
static uint64_t
rank_of(const struct tree_node *n)
{
	uint64_t v = n->key * UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)(uintptr_t)n;

	v = (v ^ (v >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	v = (v ^ (v >> 27)) * UINT64_C(0x94d049bb133111eb);
	return v ^ (v >> 31);
}

/* The place that names the node of that key, or where it would hang. */
static struct tree_node **
place_of(struct tree *t, uint64_t key, uint64_t rank)
{
	struct tree_node **at = &t->root;

	while (*at && (*at)->key != key && rank_of(*at) >= rank)
		at = key < (*at)->key ? &(*at)->low : &(*at)->high;
	return at;
}

void
tree_put(struct tree *t, struct tree_node *node, uint64_t key)
{
	struct tree_node *rest, **low = &node->low, **high = &node->high, **at;

	node->key = key;
	at = place_of(t, key, rank_of(node));
	rest = *at;
	*at = node;
	/* What hung there is split by the key. */
	while (rest) {
		CHECK(rest->key != key);
		if (rest->key < key) {
			*low = rest;
			low = &rest->high;
			rest = rest->high;
		} else {
			*high = rest;
			high = &rest->low;
			rest = rest->low;
		}
	}
	*low = *high = NULL;
}

void
tree_take(struct tree *t, struct tree_node *node)
{
	struct tree_node **at = place_of(t, node->key, 0), *low = node->low, *high = node->high;

	CHECK(*at == node);
	/* What hung below it is merged. */
	while (low && high) {
		if (rank_of(low) >= rank_of(high)) {
			*at = low;
			at = &low->high;
			low = low->high;
		} else {
			*at = high;
			at = &high->low;
			high = high->low;
		}
	}
	*at = low ? low : high;
}

struct tree_node *
tree_at_most(const struct tree *t, uint64_t key)
{
	struct tree_node *n = t->root, *best = NULL;

	while (n) {
		if (n->key <= key)
			best = n;
		n = n->key <= key ? n->high : n->low;
	}
	return best;
}

struct tree_node *
tree_at_least(const struct tree *t, uint64_t key)
{
	struct tree_node *n = t->root, *best = NULL;

	while (n) {
		if (n->key >= key)
			best = n;
		n = n->key >= key ? n->low : n->high;
	}
	return best;
}
