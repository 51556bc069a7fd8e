/* SPDX-License-Identifier: MIT
 *
 * Requests about page lists: UPL_CREATE, UPL_FINISH (jobs).
 */
#include <errno.h>

#include "control/request.h"
#include "region/page_list.h"
#include "upl/upl.h"

/* Pages that are handed back before others' jobs pass. */
#define FINISH_PAGES 512u

/* Flags that both sides know by the same bits. */
#define LIST_FLAGS ((unsigned)UPL_FLAGS)
#define COMMIT_FLAGS                                                                               \
	(UPL_COMMIT_FLAGS | PAGER_UPL_COMMIT_NOTIFY_EMPTY | PAGER_UPL_COMMIT_FREE_ON_EMPTY)
#define ABORT_FLAGS (UPL_ABORT_FLAGS | PAGER_UPL_ABORT_NOTIFY_EMPTY | PAGER_UPL_ABORT_FREE_ON_EMPTY)
#define SAME(A, B)  _Static_assert((unsigned)(A) == (unsigned)(B), "one bit, two names")
SAME(PAGER_UPL_COPYOUT_FROM, UPL_COPYOUT_FROM);
SAME(PAGER_UPL_CLEAN_IN_PLACE, UPL_CLEAN_IN_PLACE);
SAME(PAGER_UPL_RET_ONLY_DIRTY, UPL_RET_ONLY_DIRTY);
SAME(PAGER_UPL_RET_ONLY_ABSENT, UPL_RET_ONLY_ABSENT);
SAME(PAGER_UPL_NOBLOCK, UPL_NOBLOCK);
SAME(PAGER_UPL_PRECIOUS, UPL_PRECIOUS);
SAME(PAGER_UPL_SET_IO_WIRE, UPL_HOLD_WIRED);
SAME(PAGER_UPL_COMMIT_SET_DIRTY, UPL_COMMIT_SET_DIRTY);
SAME(PAGER_UPL_COMMIT_CLEAR_DIRTY, UPL_COMMIT_CLEAR_DIRTY);
SAME(PAGER_UPL_COMMIT_INACTIVATE, UPL_COMMIT_INACTIVATE);
SAME(PAGER_UPL_COMMIT_SPECULATE, UPL_COMMIT_SPECULATE);
SAME(PAGER_UPL_COMMIT_FREE_ABSENT, UPL_COMMIT_FREE_ABSENT);
SAME(PAGER_UPL_COMMIT_CLEAR_PRECIOUS, UPL_COMMIT_CLEAR_PRECIOUS);
SAME(PAGER_UPL_ABORT_RESTART, UPL_ABORT_RESTART);
SAME(PAGER_UPL_ABORT_UNAVAILABLE, UPL_ABORT_UNAVAILABLE);
SAME(PAGER_UPL_ABORT_ERROR, UPL_ABORT_ERROR);
SAME(PAGER_UPL_ABORT_DUMP_PAGES, UPL_ABORT_DUMP_PAGES);
SAME(PAGER_UPL_ABORT_REFERENCE, UPL_ABORT_REFERENCE);
SAME(PAGER_WIRE_UPL_ABSENT, UPL_PAGE_ABSENT);
SAME(PAGER_WIRE_UPL_STORED, UPL_PAGE_STORED);
SAME(PAGER_WIRE_UPL_CLEAN, UPL_PAGE_CLEAN);
SAME(PAGER_WIRE_UPL_DIRTY, UPL_PAGE_DIRTY);
SAME(PAGER_WIRE_UPL_SPECULATIVE, UPL_PAGE_SPECULATIVE);
SAME(PAGER_WIRE_UPL_WIRED, UPL_PAGE_WIRED);
SAME(PAGER_WIRE_UPL_BUSY, UPL_PAGE_BUSY);
SAME(PAGER_WIRE_UPL_LOST, UPL_PAGE_LOST);
SAME(PAGER_UPL_BYTES_MAX, UPL_BYTES_MAX);

static void
reply_without_pages(struct request *r, unsigned pages)
{
	r->reply_bytes = offsetof(struct pager_rep_upl_create, pages) + (pages + 1) / 2;
}

static int
type_query(struct request *r, struct range *range)
{
	struct pager_rep_upl_create *out = r->reply;
	struct page_list_kind kind;
	int error = page_list_query(range, &kind);

	if (error)
		return error;
	out->size = min_u64(kind.size, UPL_BYTES_MAX);
	out->object_type = (kind.is_private ? 0u : PAGER_UPL_SHARED) |
			   (kind.is_device ? PAGER_UPL_DEV_MEMORY : 0u) |
			   (kind.is_contiguous ? PAGER_UPL_PHYS_CONTIG : 0u);
	reply_without_pages(r, 0);
	return 0;
}

static void
list_describe(struct request *r, const struct page_list *l, uint32_t flags)
{
	struct pager_rep_upl_create *out = r->reply;
	const struct upl *u = l->upl;
	unsigned shown = flags & PAGER_UPL_SET_INTERNAL ? u->count : 0;

	CHECK(u->count <= PAGER_UPL_PAGES_MAX);
	out->id = l->id;
	out->size = (uint64_t)u->count << r->daemon->page_shift;
	out->object_offset = u->first << r->daemon->page_shift;
	out->held = u->held;
	for (unsigned i = 0; i < shown; i++)
		out->pages[i / 2] |=
		    (uint8_t)((u->pages[i] | (upl_holds(u, i) ? PAGER_WIRE_UPL_HELD : 0u))
			      << i % 2 * 4);
	reply_without_pages(r, shown);
	r->reply_fd = u->object->backing.memfd;
}

/* The first piece makes the list, whose number is the request's progress. */
static int
list_make(struct request *r, const struct pager_req_upl_create *in, struct page_list **ret)
{
	unsigned flags = in->flags & LIST_FLAGS;
	struct range range;
	int error = range_init(&range, r->task, in->address, in->size);

	/* What the client has wired stays so: page_list_around refuses to unwire it. */
	if (!(flags & UPL_COPYOUT_FROM))
		flags |= UPL_HOLD_WIRED;
	if (!error)
		error = page_list_begin(&range, flags, ret);
	if (!error)
		r->progress = (*ret)->id;
	return error;
}

int
handle_upl_create(struct request *r)
{
	const struct pager_req_upl_create *in = r->body;
	struct page_list *l = NULL;
	struct range range;
	int error;

	CHECK(r->task);
	if (in->reserved != 0 || in->flags & ~PAGER_WIRE_UPL_FLAGS)
		return -EINVAL;
	if (in->flags & PAGER_UPL_QUERY_OBJECT_TYPE) {
		error = range_init(&range, r->task, in->address, in->size);
		return error ? error : type_query(r, &range);
	}
	if (r->resumed) {
		l = page_list_find(r->task, r->progress);
		CHECK(l);
	} else {
		error = list_make(r, in, &l);
		if (error)
			return error;
	}
	error = page_list_gather(l, r->place, &r->again);
	if (!error && !r->again)
		list_describe(r, l, in->flags);
	return error;
}

static bool
finish_is_valid(const struct request *r, const struct pager_req_upl_finish *in)
{
	switch (in->what) {
	case PAGER_WIRE_UPL_COMMIT:
		return !(in->flags & ~COMMIT_FLAGS) &&
		       (in->offset | in->size) % r->daemon->page_bytes == 0;
	case PAGER_WIRE_UPL_ABORT:
		return !(in->flags & ~ABORT_FLAGS) &&
		       (in->offset | in->size) % r->daemon->page_bytes == 0;
	case PAGER_WIRE_UPL_DESTROY:
		return in->offset == 0 && in->size == 0 && in->flags == 0;
	}
	return false;
}

/* Hands some more of the range back; progress: pages of it that have been. */
static int
list_finish(struct request *r, const struct pager_req_upl_finish *in, struct page_list *l)
{
	uint64_t from = in->offset >> r->daemon->page_shift,
		 count = in->size >> r->daemon->page_shift;
	unsigned at, n;
	int error;

	if (in->what == PAGER_WIRE_UPL_DESTROY)
		count = l->upl->count;
	if (from > l->upl->count || count > l->upl->count - from)
		return -EINVAL;
	at = (unsigned)(from + r->progress);
	n = (unsigned)min_u64(count - r->progress, FINISH_PAGES);
	error = in->what == PAGER_WIRE_UPL_COMMIT
		    ? page_list_commit(l, at, n, in->flags & UPL_COMMIT_FLAGS)
		    : page_list_abort(l, at, n, in->flags & UPL_ABORT_FLAGS);
	r->progress += n;
	r->again = r->progress < count;
	return error;
}

int
handle_upl_finish(struct request *r)
{
	const struct pager_req_upl_finish *in = r->body;
	struct pager_rep_upl_finish *out = r->reply;
	struct page_list *l;
	int error;

	CHECK(r->task);
	if (!finish_is_valid(r, in))
		return -EINVAL;
	l = page_list_find(r->task, in->id);
	if (!l)
		return -ENOENT;
	error = list_finish(r, in, l);
	if (error || r->again)
		return error;
	out->held = l->upl->held;
	if (in->what == PAGER_WIRE_UPL_DESTROY ||
	    (out->held == 0 && in->flags & PAGER_UPL_COMMIT_FREE_ON_EMPTY)) {
		page_list_destroy(l);
		out->ended = 1;
	}
	return 0;
}
