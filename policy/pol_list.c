/* SPDX-License-Identifier: MIT
 *
 * The list functions that are too long for the header: the search for a victim, and validation.
 */
#include "pol_list.h"

/* Pages in transit that one search steps over. */
enum { OLDEST_SKIPS = 32 };

pol_page
pol_oldest(const struct pol_env *env, struct pol_node *nodes, struct pol_list *lists, unsigned id)
{
	for (unsigned skips = 0; lists[id].count > 0 && skips < OLDEST_SKIPS; skips++) {
		pol_page page = lists[id].head;

		switch (pol_state_of(env, page)) {
		case POL_INACTIVE:
			return page;
		case POL_MAPPED:
			return POL_NONE;
		default:
			pol_move_tail(nodes, lists, id, page);
		}
	}
	return POL_NONE;
}

static const char *
pol_list_check(const struct pol_node *nodes, const struct pol_list *l, uint32_t npages)
{
	uint32_t prev = POL_END, count = 0;

	for (uint32_t page = l->head; page != POL_END; page = nodes[page].next) {
		if (page >= npages)
			return "list: index out of range";
		if (nodes[page].list != l->id)
			return "list: member carries another list's id";
		if (nodes[page].prev != prev)
			return "list: back link is wrong";
		if (++count > l->count)
			return "list: longer than its count, or a cycle";
		prev = page;
	}
	if (count != l->count)
		return "list: shorter than its count";
	return prev == l->tail ? NULL : "list: tail is not the last member";
}

const char *
pol_lists_check(
    const struct pol_node *nodes, const struct pol_list *lists, unsigned n, uint32_t npages)
{
	for (unsigned i = 1; i < n; i++) {
		const char *wrong = pol_list_check(nodes, &lists[i], npages);

		if (lists[i].id != i)
			return "list: id is not its place";
		if (wrong != NULL)
			return wrong;
	}
	return NULL;
}
