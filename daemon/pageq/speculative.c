/* SPDX-License-Identifier: MIT
 *
 * Pages brought in ahead of use. Runs on: the thread that holds PAGEQ. Allocates nothing.
 */
#include "pageq/speculative.h"

#include "pageq/pageq_priv.h"

void
speculative_init(struct speculative *s)
{
	s->head = s->tail = FRAME_NONE;
}

void
speculative_add_locked(struct daemon *d, uint32_t frame)
{
	struct speculative *s = &d->pageq.speculative;
	struct vm_page *p = frame_row(d, frame);

	pageq_assert_held(d);
	CHECK(frame_page_state(d, frame) == PAGE_SPECULATIVE);
	p->next = FRAME_NONE;
	p->prev = s->tail;
	if (s->tail != FRAME_NONE)
		frame_row(d, s->tail)->next = frame;
	else
		s->head = frame;
	s->tail = frame;
	s->count++;
}

void
speculative_remove_locked(struct daemon *d, uint32_t frame)
{
	struct speculative *s = &d->pageq.speculative;
	struct vm_page *p = frame_row(d, frame);

	pageq_assert_held(d);
	CHECK(frame_page_state(d, frame) == PAGE_SPECULATIVE);
	CHECK(s->count > 0);
	s->count--;
	if (p->prev != FRAME_NONE)
		frame_row(d, p->prev)->next = p->next;
	else
		s->head = p->next;
	if (p->next != FRAME_NONE)
		frame_row(d, p->next)->prev = p->prev;
	else
		s->tail = p->prev;
}
