/* SPDX-License-Identifier: MIT
 *
 * Intrusive search tree (a treap): nodes in the order of a number, no two with the same. Putting
 * in, taking out and finding take a time that grows with the logarithm of how many there are. It is
 * covered by the lock of the structure that holds the root.
 */
#ifndef BASE_TREE_H
#define BASE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tree_node {
	struct tree_node *low, *high; /* with smaller keys, with larger ones; NULL: none */
	uint64_t key;
};

struct tree {
	struct tree_node *root;
};

static inline bool
tree_is_empty(const struct tree *t)
{
	return t->root == NULL;
}
/* No node has the key yet. */
void tree_put(struct tree *t, struct tree_node *node, uint64_t key);
/* The node is in the tree. */
void tree_take(struct tree *t, struct tree_node *node);
/* The node with the largest key that is at most `key`; with the smallest that is at least `key`.
 * NULL: there is none */
struct tree_node *tree_at_most(const struct tree *t, uint64_t key);
struct tree_node *tree_at_least(const struct tree *t, uint64_t key);

#endif
