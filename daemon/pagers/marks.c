/* SPDX-License-Identifier: MIT */
#include "pagers/marks.h"

#include <stdlib.h>
#include <string.h>

#include "daemon.h"
#include "own.h"

/* Words that are taken at a time, each into a sum of its own. */
#define LANES 8u

/* Different words make different sums of one sum, and different sums stay different. */
static uint64_t
add(uint64_t sum, uint64_t word)
{
	sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
	return sum ^ sum >> 32;
}

/* Never 0. */
static uint64_t
mark_of(const struct vm_object *o, const void *content)
{
	uint64_t lanes[LANES] = { 1, 2, 3, 4, 5, 6, 7, 8 }, words[LANES], mark;
	const char *from = content;

	for (size_t at = 0; at < o->daemon->page_bytes; at += sizeof(words)) {
		memcpy(words, from + at, sizeof(words));
		for (unsigned i = 0; i < LANES; i++)
			lanes[i] = add(lanes[i], words[i]);
	}
	mark = load_acquire(&o->external->vnode->changes);
	for (unsigned i = 0; i < LANES; i++)
		mark = add(mark, lanes[i]);
	return mark ? mark : 1;
}

void
marks_make(struct vm_object *o)
{
	struct external *x = o->external;
	atomic_ullong *marks;

	locks_assert_none();
	if (!x || load_acquire(&x->marks))
		return;
	/* Memory comes with the first mark in each of its pages. */
	marks = own_alloc(OWN_MARKS, o->page_count * sizeof(*marks));
	if (!marks)
		return;
	lock_acquire(&o->lock);
	if (!load_relaxed(&x->marks)) {
		store_release(&x->marks, marks);
		marks = NULL;
	}
	lock_release(&o->lock);
	own_free(OWN_MARKS, marks);
}

void
marks_set(struct vm_object *o, uint64_t index, const void *content)
{
	atomic_ullong *marks = load_acquire(&o->external->marks);

	CHECK(index < o->page_count);
	if (marks)
		store_relaxed(&marks[index], mark_of(o, content));
}

void
marks_clear(struct vm_object *o, uint64_t index)
{
	atomic_ullong *marks = o->external ? load_acquire(&o->external->marks) : NULL;

	CHECK(index < o->page_count);
	if (marks)
		store_relaxed(&marks[index], 0);
}

bool
marks_match(const struct vm_object *o, uint64_t index, const void *content)
{
	atomic_ullong *marks = load_acquire(&o->external->marks);
	unsigned long long mark = marks ? load_relaxed(&marks[index]) : 0;

	CHECK(index < o->page_count);
	return mark && mark == mark_of(o, content);
}
