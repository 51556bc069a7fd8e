/* SPDX-License-Identifier: MIT
 *
 * Requests about submaps: SUBMAP_CREATE, SUBMAP_NAME (control loop), SUBMAP_CHANGE (jobs).
 */
#include <errno.h>
#include <sys/mman.h>

#include "control/names.h"
#include "control/request.h"
#include "region/submap_change.h"
#include "vm/vm_object.h"

/* No process has as many addresses. */
#define SUBMAP_BYTES_MAX (1ull << 47)

#define CREATE_RIGHTS ((uint32_t)(PROT_READ | PROT_WRITE | PAGER_SUBMAP_CHANGE))

/* => 0 with a reference on the object, or as vm_object_create */
static int
object_make(struct request *r, uint64_t pages, struct vm_object **ret)
{
	struct vm_object *o;
	int error;

	CHECK(r->task && pages > 0);
	if (load_relaxed(&r->task->objects) >= param(r->daemon, max_client_objects))
		return -EDQUOT;
	error = vm_object_create(r->daemon, r->task, pages, OBJECT_SHAREABLE, &o);
	if (error)
		return error;
	error = submap_create(o);
	if (error) {
		vm_object_put(o);
		return error;
	}
	*ret = o;
	return 0;
}

int
handle_submap_create(struct request *r)
{
	const struct pager_req_submap_create *in = r->body;
	struct pager_rep_submap_create *out = r->reply;
	struct named_range all;
	struct vm_object *o;
	int error;

	loop_assert(r->daemon);
	if (in->flags != 0 || in->reserved != 0 || in->size == 0 || in->size > SUBMAP_BYTES_MAX ||
	    in->size % r->daemon->page_bytes != 0)
		return -EINVAL;
	error = object_make(r, in->size >> r->daemon->page_shift, &o);
	if (error)
		return error == -ENOSPC || error == -EDQUOT ? -ENOMEM : error;
	all = (struct named_range){ o, 0, o->page_count, true, true };
	error = names_make(r->daemon, &all, r->task->bill.account, &r->reply_fd);
	r->reply_fd_given = !error;
	out->object_id = o->id;
	vm_object_put(o);
	return error;
}

/* What the descriptor that came with the request names, with a reference on its object. => 0 or
 * -EBADF */
static int
name_find(const struct request *r, struct named_range *ret)
{
	struct named_identity identity;

	return r->fd >= 0 && named_identify(r->fd, &identity) == 0 &&
		       named_entry_find(r->daemon, &identity, ret)
		   ? 0
		   : -EBADF;
}

static uint32_t
name_rights(const struct named_range *name)
{
	return (uint32_t)PROT_READ | (name->is_writable ? (uint32_t)PROT_WRITE : 0) |
	       (name->may_change ? (uint32_t)PAGER_SUBMAP_CHANGE : 0);
}

int
handle_submap_name(struct request *r)
{
	const struct pager_req_submap_name *in = r->body;
	struct pager_rep_submap_name *out = r->reply;
	struct named_range name;
	int error;

	loop_assert(r->daemon);
	if (in->flags != 0 || !(in->rights & PROT_READ) || (in->rights & ~CREATE_RIGHTS) != 0)
		return -EINVAL;
	error = name_find(r, &name);
	if (error)
		return error;
	if (in->rights & ~name_rights(&name)) {
		error = -EACCES;
	} else {
		name.is_writable = (in->rights & PROT_WRITE) != 0;
		name.may_change = (in->rights & PAGER_SUBMAP_CHANGE) != 0;
		error = names_make(r->daemon, &name, r->task->bill.account, &r->reply_fd);
		r->reply_fd_given = !error;
		out->object_id = name.object->id;
	}
	/* Not the last reference: the name that was sent ends on this thread only. */
	vm_object_put(name.object);
	return error;
}

static bool
protection_is_valid(uint32_t protection)
{
	return protection == PROT_NONE || protection == PROT_READ ||
	       protection == (PROT_READ | PROT_WRITE);
}

/* Whether the request is one, whatever it is about. */
static bool
change_is_valid(const struct daemon *d, const struct pager_req_submap_change *in)
{
	uint32_t fixed = PAGER_ALLOC_FIXED, log2 = in->flags >> PAGER_ALLOC_ALIGNED_SHIFT;

	if (in->size == 0 || in->size > SUBMAP_BYTES_MAX || in->offset > SUBMAP_BYTES_MAX ||
	    (in->size | in->offset) % d->page_bytes != 0)
		return false;
	switch (in->op) {
	case PAGER_SUBMAP_ALLOCATE:
		return protection_is_valid(in->protection) && in->tag <= PAGER_TAG_MAX &&
		       (in->flags == fixed || (in->flags == PAGER_ALLOC_ALIGNED(log2) &&
						  log2 <= PAGER_ALLOC_LOG2_MAX));
	case PAGER_SUBMAP_DEALLOCATE:
		return in->protection == 0 && in->flags == 0 && in->tag == 0;
	case PAGER_SUBMAP_PROTECT:
		return protection_is_valid(in->protection & ~(uint32_t)PAGER_PROT_MAXIMUM) &&
		       in->flags == 0 && in->tag == 0;
	default:
		return false;
	}
}

static int
change_allocate(struct request *r, struct vm_object *o)
{
	const struct pager_req_submap_change *in = r->body;
	struct pager_rep_submap_change *out = r->reply;
	unsigned page_shift = r->daemon->page_shift, log2 = in->flags >> PAGER_ALLOC_ALIGNED_SHIFT;
	struct submap_place place = { .is_fixed = in->flags == PAGER_ALLOC_FIXED,
		.first = in->offset >> page_shift,
		.count = in->size >> page_shift,
		.align = log2 > page_shift ? 1ull << (log2 - page_shift) : 1 };
	uint64_t first;
	int error;

	CHECK(in->op == PAGER_SUBMAP_ALLOCATE);
	error = region_submap_add(o, &place, in->protection, in->tag, &first);
	if (!error)
		out->offset = first << page_shift;
	return error;
}

/* The first step of a removal, or of a protection. => 0 or -errno: nothing has changed */
static int
change_begin(const struct request *r, struct submap_change *c)
{
	const struct pager_req_submap_change *in = r->body;

	if (c->end > c->object->page_count)
		return -EINVAL;
	return in->op == PAGER_SUBMAP_DEALLOCATE
		   ? region_submap_remove(c)
		   : region_submap_protect(c, in->protection & ~(uint32_t)PAGER_PROT_MAXIMUM,
			 in->protection & PAGER_PROT_MAXIMUM);
}

/* A piece of a removal or of a protection; r->object is put after the last one. => 0, or -errno of
 * the first step */
static int
change_piece(struct request *r)
{
	const struct pager_req_submap_change *in = r->body;
	struct pager_rep_submap_change *out = r->reply;
	unsigned page_shift = r->daemon->page_shift;
	struct submap_change c = { .object = r->object,
		.stats = r->stats,
		.place = r->place,
		.first = in->offset >> page_shift,
		.end = (in->offset + in->size) >> page_shift };
	int error;

	c.at = c.first + r->progress;
	error = r->resumed ? 0 : change_begin(r, &c);
	if (!error && in->op == PAGER_SUBMAP_DEALLOCATE)
		region_submap_discard(&c);
	else if (!error)
		region_submap_lower(&c);
	out->pages += c.pages;
	r->progress = c.at - c.first;
	r->again = !error && c.at < c.end;
	if (!r->again) {
		vm_object_put(r->object);
		r->object = NULL;
	}
	return error;
}

int
handle_submap_change(struct request *r)
{
	const struct pager_req_submap_change *in = r->body;
	struct named_range name;
	int error;

	CHECK(r->task);
	if (r->object)
		return change_piece(r);
	if (!change_is_valid(r->daemon, in))
		return -EINVAL;
	error = name_find(r, &name);
	if (error)
		return error;
	if (!name.object->submap)
		error = -ENOTSUP;
	else if (!name.may_change)
		error = -EACCES;
	else if (in->op == PAGER_SUBMAP_ALLOCATE)
		error = change_allocate(r, name.object);
	if (!error && in->op != PAGER_SUBMAP_ALLOCATE) {
		r->object = name.object;
		return change_piece(r);
	}
	vm_object_put(name.object);
	return error;
}
