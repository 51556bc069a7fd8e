/* SPDX-License-Identifier: MIT
 *
 * Which file lies where in shared regions.
 */
#include "region/shared.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "daemon.h"
#include "own.h"
#include "pagers/vnode.h"
#include "region/behave.h"
#include "region/copy.h"
#include "region/map_file.h"

#define REGIONS_END (PAGER_SHARED_BASE + PAGER_SHARED_BYTES)

static struct shared_regions *
regions_blank(void)
{
	struct shared_regions *r = own_alloc(OWN_SHARED, sizeof(*r));

	if (r)
		r->references = 1;
	return r;
}

static void
file_put_locked(struct shared_table *t, struct shared_file *f)
{
	lock_assert_held(&t->lock);
	CHECK(f->references > 0);
	if (--f->references > 0)
		return;
	CHECK(f->uses == 0);
	own_free(OWN_SHARED, f);
}

static void
regions_put_locked(struct shared_table *t, struct shared_regions *r)
{
	struct shared_place *p;

	lock_assert_held(&t->lock);
	CHECK(r->references > 0);
	if (--r->references > 0)
		return;
	while ((p = r->places) != NULL) {
		r->places = p->next;
		file_put_locked(t, p->file);
		own_free(OWN_SHARED, p);
	}
	own_free(OWN_SHARED, r);
}

int
shared_table_create(struct daemon *d)
{
	lock_init(&d->shared.lock, RANK_JOBS);
	d->shared.system = regions_blank();
	return d->shared.system ? 0 : -ENOMEM;
}

void
shared_table_destroy(struct daemon *d)
{
	lock_acquire(&d->shared.lock);
	if (d->shared.system)
		regions_put_locked(&d->shared, d->shared.system);
	lock_release(&d->shared.lock);
	lock_fini(&d->shared.lock);
}

/* --- parts --- */

static int
part_check(const struct daemon *d, const struct pager_shared_part *p)
{
	uint64_t mask = d->page_bytes - 1, most = PAGER_SHARED_BYTES / 4;
	bool is_text = p->flags == 0;

	if (p->size == 0 || ((p->address_offset | p->size | p->file_offset) & mask) != 0 ||
	    p->size > most || p->address_offset > most - p->size ||
	    p->file_offset > (uint64_t)INT64_MAX - p->size)
		return -EINVAL;
	if (p->flags != 0 && p->flags != PAGER_SHARED_COW && p->flags != PAGER_SHARED_ZERO)
		return -EINVAL;
	/* What is shared to the frames is only read. */
	if (p->protection != PROT_READ && (is_text || p->protection != (PROT_READ | PROT_WRITE)))
		return -EINVAL;
	return 0;
}

int
shared_parts_check(const struct daemon *d, const struct pager_shared_part *parts, uint32_t count,
    uint64_t *ret_size)
{
	uint64_t end = 0;

	if (count == 0 || count > PAGER_SHARED_PARTS_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++) {
		int error = part_check(d, &parts[i]);

		if (error)
			return error;
		for (uint32_t n = 0; n < i; n++)
			if (parts[n].address_offset < parts[i].address_offset + parts[i].size &&
			    parts[i].address_offset < parts[n].address_offset + parts[n].size)
				return -EINVAL;
		end = max_u64(end, parts[i].address_offset + parts[i].size);
	}
	*ret_size = end;
	return 0;
}

/* --- places --- */

/* Files that nobody has loaded any more have no place. */
static void
places_prune_locked(struct shared_table *t, struct shared_regions *r)
{
	struct shared_place **at = &r->places, *p;

	lock_assert_held(&t->lock);
	while ((p = *at) != NULL) {
		if (p->file->uses > 0) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		r->count--;
		file_put_locked(t, p->file);
		own_free(OWN_SHARED, p);
	}
}

static struct shared_file *
find_locked(
    const struct shared_table *t, const struct shared_regions *r, const struct shared_file *wanted)
{
	lock_assert_held(&t->lock);
	for (const struct shared_place *p = r->places; p; p = p->next)
		if (p->file->vnode == wanted->vnode && p->file->count == wanted->count &&
		    memcmp(p->file->parts, wanted->parts,
			wanted->count * sizeof(wanted->parts[0])) == 0)
			return p->file;
	return NULL;
}

/* The first place from the address on that is free. => REGIONS_END: none is large enough */
static uint64_t
free_locked(
    const struct shared_table *t, const struct shared_regions *r, uint64_t from, uint64_t size)
{
	lock_assert_held(&t->lock);
	for (const struct shared_place *p = r->places; p; p = p->next) {
		const struct shared_file *f = p->file;

		if (f->address >= from + size)
			break;
		if (f->address + f->size > from)
			from = round_up_u64(f->address + f->size, SHARED_ALIGN);
	}
	return from <= REGIONS_END - size ? from : REGIONS_END;
}

/* Whether the user may have one more there. */
static bool
may_have_locked(const struct shared_table *t, const struct shared_regions *r,
    const struct shared_file *f, bool is_privileged)
{
	uint64_t bytes = f->size;
	unsigned count = 0;

	lock_assert_held(&t->lock);
	for (const struct shared_place *p = r->places; p; p = p->next)
		if (p->file->uid == f->uid) {
			bytes += p->file->size;
			count++;
		}
	return r->count < SHARED_FILES_MAX &&
	       (is_privileged || (count < SHARED_FILES_MAX / 4 && bytes <= PAGER_SHARED_BYTES / 4));
}

/* Puts the file where it may be. => 0, -EEXIST or -ENOSPC */
static int
place_locked(const struct shared_table *t, struct shared_regions *r, struct shared_file *f,
    struct shared_place *place, const struct pager_req_shared_load *in, bool is_privileged)
{
	struct shared_place **at = &r->places;
	bool fixed = in->flags & PAGER_SHARED_AT;
	uint64_t address = fixed ? free_locked(t, r, in->address, f->size) : REGIONS_END;

	lock_assert_held(&t->lock);
	if (fixed && address != in->address && !(in->flags & PAGER_SHARED_ALTERNATE))
		return -EEXIST;
	if (address == REGIONS_END)
		address = free_locked(t, r, PAGER_SHARED_BASE, f->size);
	if (address == REGIONS_END || !may_have_locked(t, r, f, is_privileged))
		return -ENOSPC;
	f->address = address;
	while (*at && (*at)->file->address < address)
		at = &(*at)->next;
	*place = (struct shared_place){ .next = *at, .file = f };
	*at = place;
	f->references++;
	r->count++;
	return 0;
}

/* --- tasks --- */

static struct shared_use *
use_at(struct task *task, uint64_t address)
{
	struct shared_use *u = task->shared;

	while (u && u->file->address != address)
		u = u->next;
	return u;
}

static void
use_add_locked(
    const struct shared_table *t, struct task *task, struct shared_use *u, struct shared_file *f)
{
	lock_assert_held(&t->lock);
	f->uses++;
	f->references++;
	*u = (struct shared_use){ .next = task->shared, .file = f };
	task->shared = u;
}

/* => what is to be put when the lock has been dropped, or NULL */
static struct vnode *
use_end_locked(struct shared_table *t, struct shared_use *u)
{
	struct shared_file *f = u->file;
	struct vnode *v = NULL;

	lock_assert_held(&t->lock);
	CHECK(f->uses > 0);
	if (--f->uses == 0) {
		v = f->vnode;
		f->vnode = NULL;
	}
	file_put_locked(t, f);
	own_free(OWN_SHARED, u);
	return v;
}

/* What the parts of `made` are to be for the task. `made`, `place` and `use` are memory for a new
 * file; what is not needed of it is left. => 0 or as shared_file_load */
static int
load_locked(struct shared_table *t, struct task *task, const struct pager_req_shared_load *in,
    struct shared_file **made, struct shared_place **place, struct shared_use *use,
    bool *ret_is_loaded)
{
	struct shared_regions *r = task->regions ? task->regions : t->system;
	struct shared_file *f;
	int error;

	lock_assert_held(&t->lock);
	places_prune_locked(t, r);
	f = find_locked(t, r, *made);
	*ret_is_loaded = f != NULL;
	if (f && use_at(task, f->address))
		return -EALREADY;
	if (f && in->flags & PAGER_SHARED_AT && in->address != f->address &&
	    !(in->flags & PAGER_SHARED_ALTERNATE))
		return -EEXIST;
	if (!f) {
		f = *made;
		error = place_locked(t, r, f, *place, in, task->bill.account->is_privileged);
		if (error)
			return error;
		*made = NULL;
		*place = NULL;
	}
	if (!task->regions) {
		r->references++;
		task->regions = r;
	}
	use_add_locked(t, task, use, f);
	return 0;
}

int
shared_file_load(struct task *task, int fd, const struct pager_req_shared_load *in, uint64_t size,
    uint64_t *ret_address, bool *ret_is_loaded)
{
	struct daemon *d = task->daemon;
	struct shared_file *made = own_alloc(OWN_SHARED, sizeof(*made));
	struct shared_place *place = own_alloc(OWN_SHARED, sizeof(*place));
	struct shared_use *use = own_alloc(OWN_SHARED, sizeof(*use));
	int error = made && place && use ? 0 : -ENOMEM;
	struct vnode *v = NULL;
	uint64_t pages;

	locks_assert_none();
	if (!error)
		error = vnode_get(d, task, fd, false, &v, &pages);
	if (!error) {
		made->vnode = v;
		made->uid = task->bill.account->uid;
		made->size = size;
		made->count = in->count;
		memcpy(made->parts, in->parts, in->count * sizeof(in->parts[0]));
		lock_acquire(&d->shared.lock);
		error = load_locked(&d->shared, task, in, &made, &place, use, ret_is_loaded);
		if (!error) {
			*ret_address = use->file->address;
			use = NULL;
		}
		lock_release(&d->shared.lock);
	}
	/* A new file has kept the reference. */
	if (v && made)
		vnode_put(d, v);
	own_free(OWN_SHARED, made);
	own_free(OWN_SHARED, place);
	own_free(OWN_SHARED, use);
	return error;
}

int
shared_file_unload(struct task *task, uint64_t address)
{
	struct daemon *d = task->daemon;
	struct shared_use *u = use_at(task, address), **at = &task->shared;
	struct vnode *v;

	locks_assert_none();
	if (!u)
		return -ENOENT;
	while (*at != u)
		at = &(*at)->next;
	*at = u->next;
	lock_acquire(&d->shared.lock);
	v = use_end_locked(&d->shared, u);
	lock_release(&d->shared.lock);
	if (v)
		vnode_put(d, v);
	return 0;
}

/* The next piece of a part. => 0 or -errno */
static int
part_reset(struct range *range, const struct shared_file *f, const struct pager_shared_part *p)
{
	int error = range->at == range->address ? region_copy_check_destination(range) : 0;

	if (error)
		return error;
	if (p->flags == PAGER_SHARED_COW)
		return region_copy_vnode(
		    range, f->vnode, p->file_offset + (range->at - range->address), 0);
	error = range->at == range->address ? region_may_be_discarded(range) : 0;
	if (!error)
		(void)region_discard(range);
	return error;
}

int
shared_file_reset(const struct range *job, uint64_t address, uint64_t *progress, bool *ret_more)
{
	const struct shared_use *u = use_at(job->task, address);
	const struct shared_file *f;
	uint64_t before = 0;

	locks_assert_none();
	*ret_more = false;
	if (!u)
		return -ENOENT;
	f = u->file;
	for (uint32_t i = 0; i < f->count; before += f->parts[i++].size) {
		const struct pager_shared_part *p = &f->parts[i];
		struct range range = *job;
		int error;

		if (*progress >= before + p->size)
			continue;
		if (p->flags == 0) {
			*progress = before + p->size;
			continue;
		}
		range.address = f->address + p->address_offset;
		range.end = range.address + p->size;
		range.at = range.address + (*progress - before);
		error = part_reset(&range, f, p);
		*progress = before + (range.at - range.address);
		*ret_more = !error && *progress < before + p->size;
		if (error || *ret_more)
			return error;
	}
	return 0;
}

/* Memory for `count` links of a list, of which each begins with the pointer to the next one. */
struct blank {
	struct blank *next;
};

static struct blank *
blanks_make(const struct task *task, size_t bytes, int *ret_error)
{
	struct blank *list = NULL, *b;

	*ret_error = 0;
	for (const struct shared_use *u = task->shared; u && *ret_error == 0; u = u->next) {
		b = own_alloc(OWN_SHARED, bytes);
		if (b) {
			b->next = list;
			list = b;
		} else {
			*ret_error = -ENOMEM;
		}
	}
	return list;
}

static void *
blank_take(struct blank **list)
{
	struct blank *b = *list;

	CHECK(b);
	*list = b->next;
	return b;
}

static void
blanks_free(struct blank *list)
{
	while (list)
		own_free(OWN_SHARED, blank_take(&list));
}

int
shared_regions_new(struct task *task, bool for_all)
{
	struct shared_table *t = &task->daemon->shared;
	struct shared_regions *fresh = regions_blank();
	struct shared_place **at;
	struct blank *blanks;
	int error;

	locks_assert_none();
	blanks = blanks_make(task, sizeof(struct shared_place), &error);
	if (!fresh || error) {
		blanks_free(blanks);
		own_free(OWN_SHARED, fresh);
		return -ENOMEM;
	}
	lock_acquire(&t->lock);
	if (for_all) {
		regions_put_locked(t, t->system);
		t->system = fresh;
		fresh->references++;
	}
	/* What it has loaded stays where it is. */
	for (const struct shared_use *u = task->shared; u; u = u->next) {
		struct shared_place *p = blank_take(&blanks);

		for (at = &fresh->places; *at && (*at)->file->address < u->file->address;)
			at = &(*at)->next;
		*p = (struct shared_place){ .next = *at, .file = u->file };
		*at = p;
		u->file->references++;
		fresh->count++;
	}
	if (task->regions)
		regions_put_locked(t, task->regions);
	task->regions = fresh;
	lock_release(&t->lock);
	return 0;
}

int
shared_inherit(struct task *parent, struct task *child)
{
	struct shared_table *t = &parent->daemon->shared;
	struct blank *blanks;
	int error;

	locks_assert_none();
	CHECK(!child->shared && !child->regions);
	if (!parent->regions)
		return 0;
	blanks = blanks_make(parent, sizeof(struct shared_use), &error);
	if (error) {
		blanks_free(blanks);
		return error;
	}
	lock_acquire(&t->lock);
	for (const struct shared_use *u = parent->shared; u; u = u->next)
		use_add_locked(t, child, blank_take(&blanks), u->file);
	parent->regions->references++;
	child->regions = parent->regions;
	lock_release(&t->lock);
	return 0;
}

void
shared_drop(struct task *task)
{
	struct shared_table *t = &task->daemon->shared;

	locks_assert_none();
	while (task->shared)
		(void)shared_file_unload(task, task->shared->file->address);
	if (!task->regions)
		return;
	lock_acquire(&t->lock);
	regions_put_locked(t, task->regions);
	lock_release(&t->lock);
	task->regions = NULL;
}
