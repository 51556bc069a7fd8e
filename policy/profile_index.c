/* SPDX-License-Identifier: MIT
 *
 * Indexes of a run: hash tables, and a sorted array. Runs on: whoever has the run.
 */
#include "profile_index.h"

#include <string.h>

#include "base.h"
#include "check.h"

static uint64_t
mix(uint64_t a, uint64_t b)
{
	uint64_t hash = (a ^ b * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xff51afd7ed558ccd);

	return hash ^ hash >> 32;
}

/* --- numbers by name --- */

struct profile_name {
	struct profile_region name;
	uint32_t number;
	bool is_used;
};

/* Twice as many at least, so that a search ends soon. */
static uint32_t
slots_for(uint32_t count)
{
	uint32_t slots = 2;

	while (slots < 2 * count)
		slots *= 2;
	return slots;
}

size_t
profile_names_bytes(uint32_t count)
{
	return slots_for(count) * sizeof(struct profile_name);
}

void
profile_names_init(struct profile_names *names, void *memory, uint32_t count)
{
	*names = (struct profile_names){ .slots = memory, .mask = slots_for(count) - 1 };
}

/* => the slot of that name, or the free one that it would have */
static struct profile_name *
slot_find(const struct profile_names *names, const struct profile_region *name)
{
	uint64_t at = mix(mix(name->process, name->nth), name->pages);

	for (uint32_t tries = 0;; tries++, at++) {
		struct profile_name *slot = &names->slots[at & names->mask];

		/* There is room for more names than anybody has. */
		CHECK(tries <= names->mask);
		if (!slot->is_used ||
		    (slot->name.process == name->process && slot->name.nth == name->nth &&
			slot->name.pages == name->pages))
			return slot;
	}
}

uint32_t *
profile_name_at(struct profile_names *names, const struct profile_region *name)
{
	struct profile_name *slot;

	CHECK(names->mask > 0);
	slot = slot_find(names, name);
	slot->name = *name;
	slot->is_used = true;
	return &slot->number;
}

uint32_t
profile_name_get(const struct profile_names *names, const struct profile_region *name)
{
	const struct profile_name *slot = names->mask > 0 ? slot_find(names, name) : NULL;

	return slot && slot->is_used ? slot->number : 0;
}

/* --- places by address --- */

/* => the first that ends behind the address, or begins behind the process's: where it would be */
static uint32_t
span_at(const struct profile_spans *s, uint32_t process, uint64_t address)
{
	uint32_t low = 0, high = s->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct profile_span *span = &s->spans[middle];

		if (span->process < process || (span->process == process && span->end <= address))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct profile_span *
profile_span_find(const struct profile_spans *s, uint32_t process, uint64_t address)
{
	uint32_t at = span_at(s, process, address);
	const struct profile_span *span = at < s->count ? &s->spans[at] : NULL;

	return span && span->process == process && span->start <= address ? span : NULL;
}

/* Puts `count` spans in place of those from `at` to below `end`. */
static void
spans_replace(struct profile_spans *s, uint32_t at, uint32_t end, const struct profile_span *with,
    uint32_t count)
{
	CHECK(at <= end && end <= s->count && s->count - (end - at) + count <= PROFILE_SPANS_MAX);
	memmove(&s->spans[at + count], &s->spans[end], (s->count - end) * sizeof(s->spans[0]));
	memcpy(&s->spans[at], with, count * sizeof(s->spans[0]));
	s->count += count - (end - at);
}

void
profile_span_add(struct profile_spans *s, const struct profile_span *span)
{
	uint32_t at = span_at(s, span->process, span->start), end = at, count = 0;
	struct profile_span with[3];

	CHECK(span->start < span->end);
	while (end < s->count && s->spans[end].process == span->process &&
	       s->spans[end].start < span->end)
		end++;
	/* What sticks out on the left and on the right stays. */
	if (end > at && s->spans[at].start < span->start) {
		with[count] = s->spans[at];
		with[count++].end = span->start;
	}
	with[count++] = *span;
	if (end > at && s->spans[end - 1].end > span->end) {
		with[count] = s->spans[end - 1];
		with[count++].start = span->end;
	}
	spans_replace(s, at, end, with, count);
}

/* --- pages that were brought in --- */

static uint16_t *
head_of(struct brought *b, struct profile_page page)
{
	return &b->heads[mix(page.region, page.offset) % BROUGHT_HEADS];
}

/* => what leads to the page, or to the end of those of its hash */
static uint16_t *
link_find(struct brought *b, struct profile_page page)
{
	uint16_t *link = head_of(b, page);

	while (*link != 0 && (b->pages[*link - 1].page.region != page.region ||
				 b->pages[*link - 1].page.offset != page.offset))
		link = &b->pages[*link - 1].next;
	return link;
}

bool
brought_has(const struct brought *b, struct profile_page page)
{
	return *link_find((struct brought *)b, page) != 0;
}

bool
brought_take(struct brought *b, struct profile_page page, uint32_t *ret_mark)
{
	uint16_t *link = link_find(b, page);
	struct brought_page *taken;

	if (*link == 0)
		return false;
	taken = &b->pages[*link - 1];
	*link = taken->next;
	*ret_mark = taken->mark;
	taken->page.region = BROUGHT_NONE;
	return true;
}

bool
brought_oldest(struct brought *b, uint32_t *ret_mark)
{
	while (b->from != b->to) {
		struct profile_page page = b->pages[b->from++ % BROUGHT_MAX].page;

		if (page.region != BROUGHT_NONE)
			return brought_take(b, page, ret_mark);
	}
	return false;
}

bool
brought_add(struct brought *b, struct profile_page page, uint32_t mark, uint32_t *ret_mark)
{
	struct brought_page *at;
	uint16_t *head;
	bool had = false;

	CHECK(page.region != BROUGHT_NONE && !brought_has(b, page));
	if (b->to - b->from == BROUGHT_MAX) {
		at = &b->pages[b->from % BROUGHT_MAX];
		if (at->page.region != BROUGHT_NONE)
			had = brought_take(b, at->page, ret_mark);
		b->from++;
	}
	head = head_of(b, page);
	at = &b->pages[b->to % BROUGHT_MAX];
	*at = (struct brought_page){ .page = page, .mark = mark, .next = *head };
	*head = (uint16_t)(b->to % BROUGHT_MAX + 1);
	b->to++;
	return had;
}
