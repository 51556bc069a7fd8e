/* SPDX-License-Identifier: MIT
 *
 * Lists of pages, linked by index in one array of nodes: 8 bytes a page hold both links, the list
 * the page is on and four bits for the policy. A zeroed node is on no list, so the array may be a
 * sparse mapping that has not been touched. Only list functions write next, prev and list.
 */
#ifndef POL_LIST_H
#define POL_LIST_H

#include <string.h>

#include "policy.h"

#define POL_END POL_PAGES_MAX

struct pol_node {
	uint32_t next : 28, list : 4; /* list: id of the list, 0 = none; links mean nothing then */
	uint32_t prev : 28, bits : 4; /* bits: the policy's own, kept when the page changes lists */
};

/* The head is the oldest or coldest end in every policy here; pages enter at the tail. */
struct pol_list {
	uint32_t head, tail; /* POL_END when empty */
	uint32_t count;
	uint32_t id; /* 1..15, also the index in the policy's array of lists */
};

static inline void
pol_lists_init(struct pol_list *lists, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		lists[i] = (struct pol_list){ .head = POL_END, .tail = POL_END, .id = i };
}

static inline void
pol_push_tail(struct pol_node *nodes, struct pol_list *l, pol_page page)
{
	struct pol_node *node = &nodes[page];

	node->next = POL_END;
	node->prev = l->tail & POL_END;
	node->list = l->id & 15;
	if (l->tail != POL_END)
		nodes[l->tail].next = page & POL_END;
	else
		l->head = page;
	l->tail = page;
	l->count++;
}

static inline void
pol_push_head(struct pol_node *nodes, struct pol_list *l, pol_page page)
{
	struct pol_node *node = &nodes[page];

	node->prev = POL_END;
	node->next = l->head & POL_END;
	node->list = l->id & 15;
	if (l->head != POL_END)
		nodes[l->head].prev = page & POL_END;
	else
		l->tail = page;
	l->head = page;
	l->count++;
}

/* Puts page on the list of `at`, one step nearer to the head than `at`. */
static inline void
pol_insert_before(struct pol_node *nodes, struct pol_list *l, pol_page at, pol_page page)
{
	pol_page before = nodes[at].prev;

	if (before == POL_END) {
		pol_push_head(nodes, l, page);
		return;
	}
	nodes[page].prev = before & POL_END;
	nodes[page].next = at & POL_END;
	nodes[page].list = l->id & 15;
	nodes[before].next = page & POL_END;
	nodes[at].prev = page & POL_END;
	l->count++;
}

/* Leaves the node on no list, with its bits unchanged. */
static inline void
pol_remove(struct pol_node *nodes, struct pol_list *l, pol_page page)
{
	struct pol_node *node = &nodes[page];
	uint32_t next = node->next, prev = node->prev;

	if (prev != POL_END)
		nodes[prev].next = next & POL_END;
	else
		l->head = next;
	if (next != POL_END)
		nodes[next].prev = prev & POL_END;
	else
		l->tail = prev;
	node->list = 0;
	l->count--;
}

/* Removes it from the list that it is on, which must not be 0. */
static inline void
pol_detach(struct pol_node *nodes, struct pol_list *lists, pol_page page)
{
	pol_remove(nodes, &lists[nodes[page].list], page);
}

static inline void
pol_move_tail(struct pol_node *nodes, struct pol_list *lists, unsigned to, pol_page page)
{
	pol_detach(nodes, lists, page);
	pol_push_tail(nodes, &lists[to], page);
}

static inline void
pol_move_head(struct pol_node *nodes, struct pol_list *lists, unsigned to, pol_page page)
{
	pol_detach(nodes, lists, page);
	pol_push_head(nodes, &lists[to], page);
}

/* The state that the core gives; a core without state() unmaps pages at once. */
static inline enum pol_state
pol_state_of(const struct pol_env *env, pol_page page)
{
	return env->state != NULL ? env->state(env->core, page) : POL_INACTIVE;
}

/* Takes the head of a list that is ordered like the core's window, by the last fault or soft fault:
 * its inactive pages are in front, and a mapped head means that there are none. A page that is
 * neither (pinned, in transit) goes to the tail. => POL_NONE if nothing can be proposed now. */
pol_page pol_oldest(
    const struct pol_env *env, struct pol_node *nodes, struct pol_list *lists, unsigned id);

/* Walks n lists (ids 1..n-1; entry 0 is unused). => NULL, or a text that says what is wrong. For
 * check(). */
const char *pol_lists_check(
    const struct pol_node *nodes, const struct pol_list *lists, unsigned n, uint32_t npages);

#endif
