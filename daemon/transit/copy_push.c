/* SPDX-License-Identifier: MIT
 *
 * Content goes up into copies. Runs on: fault servers, jobs. Allocates nothing.
 */
#include "transit/copy_push.h"

#include <errno.h>
#include <unistd.h>

#include "memorystatus/limits.h"
#include "pageq/pageq.h"
#include "pagers/pager.h"
#include "transit/release.h"
#include "transit/run.h"
#include "vm/copy_link.h"

/* A page whose content is to go up. */
struct push {
	const struct stat_shard *stats; /* NULL: nothing is counted */
	struct vm_object *object;
	uint64_t index;
	struct vm_page *row; /* busy; NULL: it has no frame */
	uint64_t slot;       /* of one without a frame */
	void *page;          /* memory for one */
	bool is_read;        /* its content stands there */
	struct cref kept;    /* its content, stored for the page above; CREF_NONE: it is not */
	struct copy_place kept_for; /* without a reference */
	bool may_wait, leaves;      /* as of copy_push */
	bool asks;                  /* the writer's own limit is asked */
	bool is_guess;              /* no thread has written to the page */
	bool keeps;                 /* a page without a frame stays what it is */
	bool is_taken; /* the copy has the handle, or the loss, of a page without a frame */
};

enum step {
	STEP_DONE,  /* nothing lacks the page any more */
	STEP_AGAIN, /* the line has changed, or the page above was waited for */
	STEP_KEEP,  /* the content is to be stored first */
	STEP_BUSY,
	STEP_NO_FRAME,
	STEP_OVER_LIMIT,
	STEP_FAILED,
};

static void
count(const struct push *w, enum stat_index what)
{
	if (w->stats)
		stat_add(*w->stats, what, 1);
}

/* The page above that lacks this one, with a reference. => false: none does */
static bool
target_get(const struct push *w, struct copy_place *ret)
{
	bool lacks;

	copies_lock(w->object->daemon);
	lacks = copy_target_locked(w->object, w->index, ret) &&
		!copy_page_is_own_locked(ret->object, ret->index);
	if (lacks)
		vm_object_get(ret->object);
	copies_unlock(w->object->daemon);
	return lacks;
}

/* Whether it is still that one. => the target's O held */
static bool
is_target_locked(const struct push *w, const struct copy_place *to)
{
	struct copy_place now;
	bool same;

	lock_assert_held(&to->object->lock);
	copies_lock(w->object->daemon);
	same = copy_target_locked(w->object, w->index, &now) && now.object == to->object &&
	       now.index == to->index;
	copies_unlock(w->object->daemon);
	return same;
}

/* A handle that has the content: CREF_NONE if there is none. *ret_is_fresh: it is to be made of
 * zeroes */
static struct cref
handle_of(const struct push *w, bool *ret_is_fresh)
{
	uint32_t word;

	*ret_is_fresh = false;
	if (!w->row && w->keeps)
		return w->kept;
	if (!w->row)
		return slot_kind(w->slot) == SLOT_STORED ? slot_cref(w->slot) : CREF_NONE;
	word = load_acquire(&w->row->word);
	if (page_word_state(word) == PAGE_FILLING) {
		CHECK(w->row->cref == 0);
		*ret_is_fresh = true;
		return CREF_NONE;
	}
	return word & (PAGE_DIRTY | PAGE_DUP) ? w->kept : (struct cref){ w->row->cref };
}

/* => the target's O held */
static void
push_stored(const struct copy_place *to, struct cref handle)
{
	struct vm_object *c = to->object;
	struct daemon *d = c->daemon;

	lock_assert_held(&c->lock);
	pager_adopt(c);
	vm_object_populate_over(c, to->index);
	vm_object_slot_set(c, to->index, slot_with_door(slot_stored(handle), DOOR_COPY));
	pageq_lock(d);
	vm_page_commit_slot(d, c, PAGE_ABSENT, PAGE_STORED);
	pageq_unlock(d);
}

/* => the target's O held */
static void
push_poisoned(const struct copy_place *to)
{
	struct vm_object *c = to->object;
	struct daemon *d = c->daemon;

	lock_assert_held(&c->lock);
	vm_object_populate_over(c, to->index);
	vm_object_slot_set(c, to->index, SLOT_POISONED);
	pageq_lock(d);
	vm_page_commit_slot(d, c, PAGE_ABSENT, PAGE_POISONED);
	pageq_unlock(d);
}

/* Reads pages that the caller has busy. */
static bool
content_read(const struct vm_object *o, uint64_t first, unsigned count, void *pages)
{
	const struct daemon *d = o->daemon;
	size_t bytes = (size_t)count << d->page_shift, have = 0;

	while (have < bytes) {
		ssize_t got = pread(o->backing.memfd, (char *)pages + have, bytes - have,
		    (off_t)((first << d->page_shift) + have));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		have += (size_t)got;
	}
	return true;
}

/* The content gets a handle, for the page above. => no lock held */
static enum step
content_keep(struct push *w, const struct copy_place *to)
{
	locks_assert_none();
	if (!w->is_read && !content_read(w->object, w->index, 1, w->page))
		return STEP_FAILED;
	w->is_read = true;
	w->kept_for = *to;
	if (store_keep(to->object, to->index, w->page, w->leaves, &w->kept) != PAGER_OK)
		return STEP_NO_FRAME;
	count(w, STAT_COMPRESSIONS);
	return STEP_AGAIN;
}

/* The page above has a frame. => the target's O held, dropped */
static enum step
push_resident(const struct push *w, const struct copy_place *to, struct vm_page *above)
{
	struct vm_object *c = to->object;
	enum step step = STEP_DONE;

	lock_assert_held(&c->lock);
	if (!(load_acquire(&above->word) & PAGE_DUP)) {
		lock_release(&c->lock);
		return STEP_DONE;
	}
	if (w->may_wait ? !vm_page_busy_only(above) : !vm_page_busy_try(above)) {
		if (w->may_wait)
			vm_object_wait_unbusy(c, above);
		step = w->may_wait ? STEP_AGAIN : STEP_BUSY;
	} else {
		/* O has been held since before it was busy, so no thread wants it. */
		CHECK(above->cref == CREF_BELOW.v);
		above->cref = 0;
		vm_page_flags_clear(above, PAGE_DUP);
		vm_page_flags_set(above, PAGE_DIRTY);
		(void)vm_page_unbusy(above);
		count(w, STAT_COPY_PUSHES);
	}
	lock_release(&c->lock);
	return step;
}

/* Whether the client that writes pays for the copy as well, and has no room for it in its fatal
 * limit. What others can see may be written by others. => the target's O held */
static bool
is_over_limit(const struct push *w, const struct vm_object *c)
{
	struct process *process = c->owner->bill.process;

	lock_assert_held(&((struct vm_object *)(uintptr_t)c)->lock);
	if (!w->asks || w->object->is_shareable || w->object->owner->bill.process != process ||
	    !vm_object_is_counted(c))
		return false;
	return w->is_guess ? process_over_footprint(process, 1)
			   : process_wants_too_much(process, 1);
}

/* The page above has no frame, and no content. => the target's O held, dropped */
static enum step
push_absent(struct push *w, const struct copy_place *to)
{
	struct vm_object *c = to->object;
	struct hole *hole = vm_object_hole_at(c, to->index);
	bool is_fresh;
	struct cref handle = handle_of(w, &is_fresh);

	lock_assert_held(&c->lock);
	if (hole && w->may_wait) {
		vm_object_wait_holes(c, to->index, to->index + 1);
		lock_release(&c->lock);
		return STEP_AGAIN;
	}
	if (hole) {
		hole->wanted = true;
		lock_release(&c->lock);
		return STEP_BUSY;
	}
	if (is_over_limit(w, c)) {
		lock_release(&c->lock);
		return STEP_OVER_LIMIT;
	}
	if ((w->row || (w->keeps && slot_kind(w->slot) != SLOT_POISONED)) && !is_fresh &&
	    handle.v == 0) {
		lock_release(&c->lock);
		return STEP_KEEP;
	}
	if (!w->row && handle.v == 0) {
		push_poisoned(to);
	} else {
		push_stored(to, is_fresh ? compressor_zeroes(c->daemon->compressor) : handle);
		count(w, STAT_COPY_PUSHES);
		if (!is_fresh && w->kept.v == 0)
			count(w, STAT_COPY_RENAMES);
	}
	lock_release(&c->lock);
	limits_want_of_owner(c);
	w->is_taken = !w->row && !w->keeps;
	if (w->kept.v) {
		w->kept = CREF_NONE;
	} else if (w->row && !is_fresh) {
		/* The copy has the handle now. */
		w->row->cref = 0;
		vm_page_flags_set(w->row, PAGE_DIRTY);
	}
	return STEP_DONE;
}

/* Puts it there, or sees that it is not needed. */
static enum step
push_place(struct push *w, const struct copy_place *to)
{
	struct vm_object *c = to->object;
	uint64_t slot;

	lock_acquire(&c->lock);
	if (!is_target_locked(w, to)) {
		lock_release(&c->lock);
		return STEP_AGAIN;
	}
	slot = load_relaxed(vm_object_slot(c, to->index));
	switch (slot_kind(slot)) {
	case SLOT_RESIDENT:
		return push_resident(w, to, &c->daemon->frames.pages[slot_frame(slot)]);
	case SLOT_ABSENT:
		return push_absent(w, to);
	default:
		lock_release(&c->lock);
		return STEP_DONE;
	}
}

/* Compaction asks whom a stored page is named after. It gets its new name while the handle is still
 * this thread's alone, and has the former one again if the page above does not take it. */
static enum step
push_into(struct push *w, const struct copy_place *to)
{
	struct compressor *compressor = w->object->daemon->compressor;
	bool is_fresh, is_pages = w->kept.v == 0;
	struct cref handle = handle_of(w, &is_fresh);
	enum step step;

	if (handle.v &&
	    (is_pages || w->kept_for.object != to->object || w->kept_for.index != to->index))
		compressor_rename(compressor, handle, vm_object_owner(to->object, to->index));
	step = push_place(w, to);
	if (handle.v && is_pages && (w->row ? w->row->cref == handle.v : !w->is_taken))
		compressor_rename(compressor, handle, vm_object_owner(w->object, w->index));
	return step;
}

static enum step
push(struct push *w)
{
	enum step step = STEP_DONE;
	struct copy_place to;

	locks_assert_none();
	do {
		if (!target_get(w, &to)) {
			step = STEP_DONE;
			break;
		}
		step = push_into(w, &to);
		if (step == STEP_KEEP)
			step = content_keep(w, &to);
		vm_object_put(to.object);
	} while (step == STEP_AGAIN);
	/* Something else has come to the page above meanwhile. */
	if (w->kept.v)
		store_keep_undo(w->object->daemon, w->kept);
	return step;
}

static struct vm_page *
row_of(const struct vm_object *o, uint64_t index)
{
	uint64_t slot = load_acquire((_Atomic uint64_t *)(uintptr_t)vm_object_slot(o, index));
	struct vm_page *p;

	CHECK(slot_kind(slot) == SLOT_RESIDENT);
	p = &o->daemon->frames.pages[slot_frame(slot)];
	CHECK(load_acquire(&p->word) & PAGE_BUSY);
	return p;
}

enum copy_pushed
copy_push(const struct stat_shard *stats, struct vm_object *o, uint64_t index, void *page,
    enum copy_manner how)
{
	static const enum copy_pushed results[] = { [STEP_DONE] = COPY_PUSHED,
		[STEP_BUSY] = COPY_BUSY,
		[STEP_NO_FRAME] = COPY_NO_FRAME,
		[STEP_OVER_LIMIT] = COPY_OVER_LIMIT,
		[STEP_FAILED] = COPY_FAILED };
	struct push w = { .stats = stats,
		.object = o,
		.index = index,
		.row = row_of(o, index),
		.page = page,
		.may_wait = how != COPY_ON_WRITE,
		.asks = how == COPY_ON_WRITE || how == COPY_TO_WIRE,
		.leaves = how == COPY_AS_IT_LEAVES };

	locks_assert_none();
	return results[push(&w)];
}

unsigned
copy_push_run(const struct stat_shard *stats, struct vm_object *o, uint64_t first, unsigned count,
    int direction, void *pages)
{
	struct daemon *d = o->daemon;
	bool is_read = content_read(o, first, count, pages);
	unsigned done = 0;

	locks_assert_none();
	for (; is_read && done < count; done++) {
		unsigned at = direction > 0 ? done : count - 1 - done;
		struct push w = { .stats = stats,
			.object = o,
			.index = first + at,
			.row = row_of(o, first + at),
			.page = (char *)pages + ((size_t)at << d->page_shift),
			.is_read = true,
			.asks = true,
			.is_guess = true };

		if (push(&w) != STEP_DONE)
			break;
	}
	return done;
}

bool
copy_push_slot(const struct stat_shard *stats, struct vm_object *o, uint64_t index)
{
	struct push w = {
		.stats = stats,
		.object = o,
		.index = index,
		.slot = load_acquire((_Atomic uint64_t *)(uintptr_t)vm_object_slot(o, index)),
		.may_wait = true,
	};

	locks_assert_none();
	CHECK(slot_kind(w.slot) == SLOT_STORED || slot_kind(w.slot) == SLOT_POISONED);
	CHECK(push(&w) == STEP_DONE);
	return w.is_taken;
}

bool
copy_keep(const struct stat_shard *stats, struct vm_object *o, uint64_t index, const void *content)
{
	const struct copy_place at = { o, index };
	struct cref handle;

	locks_assert_none();
	if (store_keep(o, index, content, false, &handle) != PAGER_OK)
		return false;
	lock_acquire(&o->lock);
	CHECK(load_relaxed(vm_object_slot(o, index)) == SLOT_ABSENT);
	push_stored(&at, handle);
	lock_release(&o->lock);
	limits_want_of_owner(o);
	if (stats)
		stat_add(*stats, STAT_COMPRESSIONS, 1);
	return true;
}

bool
copy_push_kept(const struct stat_shard *stats, struct vm_object *o, uint64_t index, void *content)
{
	struct push w = {
		.stats = stats,
		.object = o,
		.index = index,
		.slot = load_acquire((_Atomic uint64_t *)(uintptr_t)vm_object_slot(o, index)),
		.page = content,
		.is_read = true,
		.may_wait = true,
		.keeps = true,
	};

	locks_assert_none();
	CHECK(slot_kind(w.slot) != SLOT_RESIDENT);
	return push(&w) == STEP_DONE;
}
