/* SPDX-License-Identifier: MIT
 *
 * Builds the dense form of a reference string.
 */
#include "trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pol_list.h"

void
trace_init(struct trace *t)
{
	*t = (struct trace){ 0 };
}

void
trace_fini(struct trace *t)
{
	free(t->events);
	free(t->ids);
	free(t->map);
	free(t->next);
	trace_init(t);
}

static uint64_t
trace_hash(const struct trace *t, uint64_t id)
{
	return ((id ^ (id >> 32)) * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - t->map_bits);
}

static uint32_t *
trace_slot(struct trace *t, uint64_t id)
{
	uint64_t mask = (UINT64_C(1) << t->map_bits) - 1, i = trace_hash(t, id);

	while (t->map[i] != 0 && t->ids[t->map[i] - 1] != id)
		i = (i + 1) & mask;
	return &t->map[i];
}

/* Doubles the room for pages. The hash table stays at most half full. */
static int
trace_grow_pages(struct trace *t)
{
	unsigned bits = t->map_bits == 0 ? 12 : t->map_bits + 1;
	uint32_t *map = calloc(UINT64_C(1) << bits, sizeof(*map));
	uint64_t *ids = realloc(t->ids, sizeof(*ids) << (bits - 1));

	if (ids != NULL)
		t->ids = ids;
	if (map == NULL || ids == NULL) {
		free(map);
		return -ENOMEM;
	}
	free(t->map);
	t->map = map;
	t->map_bits = bits;
	for (uint32_t page = 0; page < t->npages; page++)
		*trace_slot(t, t->ids[page]) = page + 1;
	return 0;
}

static int
trace_grow_events(struct trace *t)
{
	size_t capacity = t->capacity == 0 ? 1 << 16 : t->capacity * 2;
	uint32_t *events = realloc(t->events, capacity * sizeof(*events));

	if (events == NULL)
		return -ENOMEM;
	t->events = events;
	t->capacity = capacity;
	return 0;
}

int
trace_add(struct trace *t, uint64_t id, unsigned flags)
{
	uint32_t *slot;
	int error = 0;

	if (t->count >= TRACE_NO_NEXT || t->npages >= POL_PAGES_MAX)
		return -E2BIG;
	if (t->count == t->capacity)
		error = trace_grow_events(t);
	if (error == 0 && (t->map_bits == 0 || t->npages >= UINT32_C(1) << (t->map_bits - 1)))
		error = trace_grow_pages(t);
	if (error != 0)
		return error;
	slot = trace_slot(t, id);
	if (*slot == 0) {
		t->ids[t->npages] = id;
		*slot = ++t->npages;
	}
	t->events[t->count++] = (*slot - 1) << TRACE_SHIFT | flags;
	t->has_writes |= (flags & TRACE_WRITE) != 0;
	t->has_forgets |= (flags & TRACE_FORGET) != 0;
	t->references += !(flags & TRACE_FORGET);
	return 0;
}

int
trace_link(struct trace *t)
{
	uint32_t *last;

	if (t->next != NULL)
		return 0;
	t->next = malloc((t->count + 1) * sizeof(*t->next));
	last = malloc(((size_t)t->npages + 1) * sizeof(*last));
	if (t->next == NULL || last == NULL) {
		free(t->next);
		free(last);
		t->next = NULL;
		return -ENOMEM;
	}
	memset(last, 0xff, ((size_t)t->npages + 1) * sizeof(*last));
	for (size_t i = t->count; i-- > 0;) {
		uint32_t page = t->events[i] >> TRACE_SHIFT;

		/* A page that is forgotten before its next reference has none: it must be brought
		 * in anew in any case. */
		t->next[i] = last[page];
		last[page] = t->events[i] & TRACE_FORGET ? TRACE_NO_NEXT : (uint32_t)i;
	}
	free(last);
	return 0;
}
