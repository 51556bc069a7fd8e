/* SPDX-License-Identifier: MIT
 *
 * The window of mapped pages, used if a policy has no deactivate(): pages are unmapped in the order
 * in which a fault or a soft fault mapped them, as soon as more than `width` are mapped. It belongs
 * to the core (daemon or simulator), not to a policy, and is covered by the core's policy lock.
 */
#ifndef POL_WINDOW_H
#define POL_WINDOW_H

#include "pol_list.h"

struct pol_window {
	struct pol_list lists[2]; /* [1]: mapped pages, oldest at the head */
	uint32_t width;
	POL_ENTRIES struct pol_node nodes[]; /* zeroed memory is enough, as for a policy */
};

static inline size_t
pol_window_footprint(uint32_t npages)
{
	return sizeof(struct pol_window) + npages * sizeof(struct pol_node);
}

static inline void
pol_window_init(struct pol_window *w, uint32_t width)
{
	pol_lists_init(w->lists, 2);
	w->width = width;
}

/* The page has been mapped, by a fault or a soft fault. */
static inline void
pol_window_map(struct pol_window *w, pol_page page)
{
	if (w->nodes[page].list != 0)
		pol_detach(w->nodes, w->lists, page);
	pol_push_tail(w->nodes, &w->lists[1], page);
}

/* => the page that leaves a window of `keep` pages when this one is mapped, or POL_NONE */
static inline pol_page
pol_window_leaving(const struct pol_window *w, uint32_t keep, pol_page page)
{
	return w->nodes[page].list == 0 && w->lists[1].count >= keep ? w->lists[1].head : POL_NONE;
}

/* The page is no longer mapped, for whatever reason other than pol_window_deactivate. */
static inline void
pol_window_forget(struct pol_window *w, pol_page page)
{
	if (w->nodes[page].list != 0)
		pol_detach(w->nodes, w->lists, page);
}

/* Takes out up to `want` of the oldest pages while more than `keep` are mapped. `keep` is the width
 * after each fault, and less when victims are needed and no page is inactive. => the number of
 * pages in `out`, which the core unmaps. */
static inline unsigned
pol_window_deactivate(struct pol_window *w, uint32_t keep, unsigned want, pol_page *out)
{
	unsigned n = 0;

	for (; n < want && w->lists[1].count > keep; n++) {
		out[n] = w->lists[1].head;
		pol_detach(w->nodes, w->lists, out[n]);
	}
	return n;
}

#endif
