/* SPDX-License-Identifier: MIT
 *
 * The table of pagers and the one way to call them. Runs on: fault servers, workers, jobs. The
 * contract of pager.h is checked here; errors of a disk are answers.
 */
#include "pagers/pager.h"

#include "check.h"
#include "daemon.h"
#include "pagers/vnode.h"

const struct pager_ops pagers[PAGER_KIND_COUNT] = {
	[PAGER_STORE] = {
		.name = "store",
		.is_away = store_is_away,
		.prefetch = store_prefetch,
		.data_request = store_data_request,
		.room_take = store_room_take,
		.data_return = store_data_return,
		.copies_fit = store_copies_fit,
		.drop = store_drop,
		.read_begin = store_read_begin,
		.read_submit = store_read_submit,
		.read_decode = store_read_decode,
		.read_end = store_read_end,
	},
	[PAGER_VNODE] = {
		.name = "vnode",
		.is_external = true,
		.is_away = vnode_is_away,
		.prefetch = vnode_prefetch,
		.data_request = vnode_data_request,
		.room_take = vnode_room_take,
		.copies_fit = vnode_copies_fit,
		.drop = vnode_drop,
		.read_begin = vnode_read_begin,
		.read_submit = vnode_read_submit,
		.read_decode = vnode_read_decode,
		.read_end = vnode_read_end,
		.size_submit = vnode_size_submit,
		.write_submit = vnode_write_submit,
		.write_end = vnode_write_end,
		.sync_submit = vnode_sync_submit,
		.sync_result = vnode_sync_result,
		.is_changed = vnode_is_changed,
		.last_unmap = vnode_last_unmap,
	},
	/* What is resident stays: nothing is ever asked for or returned. */
	[PAGER_DEVICE] = { .name = "device", .is_external = true },
};

/* => the pager of an object of which something has left */
static const struct pager_ops *
pager_of(const struct vm_object *o)
{
	enum pager_kind kind = load_relaxed(&((struct vm_object *)(uintptr_t)o)->pager);

	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	CHECKF(kind > PAGER_NONE && kind < PAGER_KIND_COUNT, "object %llu has no pager (%d)",
	    (unsigned long long)o->id, (int)kind);
	CHECKF(pagers[kind].data_request, "object %llu: its pages never leave (%s)",
	    (unsigned long long)o->id, pagers[kind].name);
	return &pagers[kind];
}

/* An object's first pages leave: it gets the default pager. Two workers may come here at once; both
 * say the same. */
static void
pager_choose(struct vm_object *o)
{
	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	if (unlikely(load_relaxed(&o->pager) == PAGER_NONE))
		store_relaxed(&o->pager, PAGER_STORE);
}

void
pager_adopt(struct vm_object *o)
{
	CHECK(!o->external && !o->is_device);
	pager_choose(o);
}

bool
pager_is_external(const struct vm_object *o)
{
	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	/* The row of PAGER_NONE is empty: an object without a pager is to get the default one. */
	return pagers[load_relaxed(&((struct vm_object *)(uintptr_t)o)->pager)].is_external;
}

bool
pager_is_away(const struct vm_object *o, struct cref copy)
{
	CHECK(copy.v != 0);
	return pager_of(o)->is_away(o->daemon, copy);
}

void
pager_prefetch_any(const struct vm_object *o, struct cref copy)
{
	CHECK(copy.v != 0);
	pager_of(o)->prefetch(o->daemon, copy);
}

enum pager_result
pager_data_request_any(const struct vm_object *o, struct cref copy, void *page)
{
	enum pager_result result;

	CHECK(copy.v != 0);
	result = pager_of(o)->data_request(o->daemon, copy, page);
	CHECK(result == PAGER_OK || result == PAGER_AWAY || result == PAGER_LOST);
	return result;
}

bool
pager_copies_fit_any(const struct vm_object *o)
{
	return pager_of(o)->copies_fit(o->daemon);
}

enum pager_room
pager_room_take(struct vm_object *o, size_t pages)
{
	CHECK(pages > 0);
	locks_assert_none();
	pager_choose(o);
	return pager_of(o)->room_take(o->daemon, pages);
}

enum pager_result
pager_data_return(struct vm_object *o, uint64_t index, unsigned worker, const void *page, int press,
    struct cref *ret_copy)
{
	enum pager_result result;

	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	CHECK(index < o->page_count);
	locks_assert_none();
	pager_choose(o);
	CHECK(pager_of(o)->data_return);
	result = pager_of(o)->data_return(o, index, worker, page, press, ret_copy);
	CHECK((result == PAGER_OK && ret_copy->v != 0) || result == PAGER_AGAIN);
	return result;
}

void
pager_drop(const struct vm_object *o, struct cref copy)
{
	CHECK(copy.v != 0);
	locks_assert_none();
	if (unlikely(copy.v == CREF_BELOW.v))
		return;
	pager_of(o)->drop(o->daemon, copy);
}

enum pager_result
pager_read_begin(const struct vm_object *o, uint64_t index, const struct cref *copies,
    unsigned count, size_t most_bytes, struct pager_read *ret)
{
	enum pager_result result;

	CHECK(count > 0 && count <= PAGER_READ_MAX && most_bytes > 0);
	result = pager_of(o)->read_begin(o, index, copies, count, most_bytes, ret);
	CHECK(result == PAGER_OK || result == PAGER_AGAIN);
	CHECK(result != PAGER_OK ||
	      (ret->count > 0 && ret->count <= count && ret->length <= most_bytes));
	return result;
}

enum pager_result
pager_read_submit(const struct vm_object *o, const struct pager_read *read,
    struct swap_channel *channel, void *buffer, uint64_t cookie)
{
	enum pager_result result;

	CHECK(read->count > 0 && buffer);
	locks_assert_none();
	result = pager_of(o)->read_submit(o, read, channel, buffer, cookie);
	CHECK(result == PAGER_OK || result == PAGER_AGAIN || result == PAGER_FAILED);
	return result;
}

enum pager_result
pager_read_decode(const struct vm_object *o, const struct pager_read *read, unsigned i,
    const void *buffer, void *page)
{
	enum pager_result result;

	CHECK(i < read->count);
	result = pager_of(o)->read_decode(o, read, i, buffer, page);
	CHECK(result == PAGER_OK || result == PAGER_LOST || result == PAGER_FAILED);
	return result;
}

void
pager_read_end(const struct vm_object *o, const struct pager_read *read, int error)
{
	CHECK(read->count > 0 && error <= 0);
	pager_of(o)->read_end(o, read, error);
}

/* => the pager of an object with a place for each page */
static const struct pager_ops *
external_pager_of(const struct vm_object *o)
{
	const struct pager_ops *ops = pager_of(o);

	CHECK(o->external && ops->write_submit);
	return ops;
}

bool
pager_size_submit(const struct vm_object *o, struct swap_channel *channel, uint64_t cookie)
{
	locks_assert_none();
	return external_pager_of(o)->size_submit(o, channel, cookie);
}

uint64_t
pager_bytes_within(const struct vm_object *o, uint64_t size)
{
	CHECK(o->external);
	return size > o->external->offset ? size - o->external->offset : 0;
}

enum pager_result
pager_write_submit(const struct vm_object *o, uint64_t offset, size_t bytes,
    struct swap_channel *channel, void *buffer, uint64_t cookie)
{
	enum pager_result result;

	locks_assert_none();
	/* The end of a file may lie in the midst of a page of several blocks. */
	CHECK(bytes > 0 && offset % 4096 == 0 &&
	      offset + bytes <= o->page_count << o->daemon->page_shift);
	result = external_pager_of(o)->write_submit(o, offset, bytes, channel, buffer, cookie);
	CHECK(result == PAGER_OK || result == PAGER_AGAIN || result == PAGER_FAILED);
	return result;
}

void
pager_write_end(const struct vm_object *o, int error)
{
	CHECK(error <= 0);
	external_pager_of(o)->write_end(o, error);
}

bool
pager_sync_submit(const struct vm_object *o, struct swap_channel *channel, uint64_t cookie)
{
	locks_assert_none();
	return external_pager_of(o)->sync_submit(o, channel, cookie);
}

int
pager_sync_result(const struct vm_object *o, int error)
{
	CHECK(error <= 0);
	return external_pager_of(o)->sync_result(o, error);
}

bool
pager_is_changed(const struct vm_object *o)
{
	return external_pager_of(o)->is_changed(o);
}

bool
pager_last_unmap(struct vm_object *o)
{
	locks_assert_none();
	return external_pager_of(o)->last_unmap(o);
}
