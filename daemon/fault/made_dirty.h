/* SPDX-License-Identifier: MIT
 *
 * A page becomes dirty by a touch.
 */
#ifndef MADE_DIRTY_H
#define MADE_DIRTY_H

#include "vm/vm_object.h"

/* A page that is held busy is written to from now on. => the copy that it gives up, or CREF_NONE */
static inline struct cref
page_made_dirty(struct vm_object *o, struct vm_page *p, struct task *task)
{
	struct cref given_up = { p->cref };
	uint32_t word = load_acquire(&p->word);

	CHECK(!page_word_is_shown(word));
	/* What is on the way to its place is not all of it, and what was equal to what is below is
	 * so no more. */
	if (unlikely(word & (PAGE_WRITING | PAGE_DUP)))
		vm_page_flags_clear(p, PAGE_WRITING | PAGE_DUP);
	/* Its owner needs it again. */
	if (unlikely(word & PAGE_REUSABLE))
		vm_page_reused(o, p);
	if (word & PAGE_DIRTY)
		return CREF_NONE;
	p->cref = 0;
	vm_page_make_dirty(o, p, task);
	return given_up;
}

#endif
