/* SPDX-License-Identifier: MIT
 *
 * VM objects: life, slots, discard. Runs on: control loop (create), jobs (discard, end), fault
 * servers and workers (get, put, unbusy). O is never held across a system call on the memfd or the
 * userfaultfd.
 */
#include "vm/vm_object.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "failpt.h"
#include "fault/fault.h"
#include "pageout/pageout.h"
#include "pmap/uffd.h"
#include "vm/task.h"
#include "record/recorder.h"
#include "pageq/pageq.h"

#define OBJECTS_MAX (1u << 20)
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u /* Linux 6.3; the headers are older */
#endif

int
object_table_create(struct daemon *d)
{
	struct object_table *t = &d->objects;
	void *memory = mmap(NULL, OBJECTS_MAX * sizeof(void *), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return -errno;
	t->objects = memory;
	t->room = OBJECTS_MAX;
	t->next_id = 1;
	lock_init(&t->lock, RANK_JOBS);
	return 0;
}

void
object_table_destroy(struct daemon *d)
{
	munmap(d->objects.objects, d->objects.room * sizeof(void *));
	lock_fini(&d->objects.lock);
}

static int
table_add(struct daemon *d, struct vm_object *o)
{
	struct object_table *t = &d->objects;
	int error = -ENOMEM;

	lock_acquire(&t->lock);
	for (uint32_t n = 0; n < t->room; n++) {
		uint32_t i = (t->hint + n) % t->room;

		if (t->objects[i])
			continue;
		o->index = i;
		o->id = t->next_id++;
		t->objects[i] = o;
		t->hint = i + 1;
		if (i >= t->used)
			t->used = i + 1;
		error = 0;
		break;
	}
	lock_release(&t->lock);
	return error;
}

static int
memfd_open(uint64_t bytes)
{
	int fd = memfd_create("pagerd-object", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	int error;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)bytes) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

/* What an object takes of its user's shares. */
static const struct {
	enum share share;
	bool is_virtual; /* its addresses, else one */
} object_shares[] = { { SHARE_OBJECTS, false }, { SHARE_DESCRIPTORS, false },
	{ SHARE_VIRTUAL, true } };

static uint64_t
share_amount(const struct vm_object *o, unsigned i)
{
	return object_shares[i].is_virtual
		   ? round_up_u64(o->page_count, SLOTS_PER_RUN) << o->daemon->page_shift
		   : 1;
}

/* The first `count` of them. */
static void
shares_give(struct vm_object *o, unsigned count)
{
	while (count-- > 0)
		share_give(o->daemon, o->bill->account, object_shares[count].share,
		    share_amount(o, count));
}

static int
shares_take(struct vm_object *o)
{
	for (unsigned i = 0; i < ARRAY_LEN(object_shares); i++) {
		int error = share_take(
		    o->daemon, o->bill->account, object_shares[i].share, share_amount(o, i));

		if (error) {
			shares_give(o, i);
			return error;
		}
	}
	return 0;
}

int
vm_object_create(struct daemon *d, struct task *task, uint64_t page_count, uint64_t base_address,
    struct vm_object **ret)
{
	struct vm_object *o;
	int error = failpt_hit(FAIL_OBJECT_CREATE_ENOMEM);

	if (error)
		return error;
	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	o->magic = VM_OBJECT_MAGIC;
	o->daemon = d;
	o->page_count = page_count;
	o->base_address = base_address;
	o->task = task_get(task);
	o->bill = &task->bill;
	store_relaxed(&o->references, 1);
	error = shares_take(o);
	if (error)
		goto fail_shares;
	error = -ENOMEM;
	o->blocks =
	    calloc((page_count + SLOTS_PER_BLOCK - 1) / SLOTS_PER_BLOCK, sizeof(*o->blocks));
	if (!o->blocks)
		goto fail_blocks;
	o->memfd = memfd_open(page_count << d->page_shift);
	error = o->memfd;
	if (error < 0)
		goto fail_memfd;
	error = slots_take(d, page_count, &o->slot_base);
	if (error)
		goto fail_slots;
	lock_init(&o->lock, RANK_OBJECT);
	cond_init(&o->unbusy);
	fetch_add_relaxed(&task->objects, 1);
	error = table_add(d, o);
	if (error)
		goto fail_table;
	*ret = o;
	return 0;

fail_table:
	fetch_sub_relaxed(&task->objects, 1);
	lock_fini(&o->lock);
	cond_fini(&o->unbusy);
	slots_put(d, o->slot_base, page_count);
fail_slots:
	close(o->memfd);
fail_memfd:
	free(o->blocks);
fail_blocks:
	shares_give(o, ARRAY_LEN(object_shares));
fail_shares:
	task_put(task);
	free(o);
	return error;
}

void
vm_object_put(struct vm_object *o)
{
	struct daemon *d = o->daemon;

	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	if (fetch_sub_acq_rel(&o->references, 1) != 1)
		return;
	CHECKF(vm_object_next_live(o, 0, o->page_count) == o->page_count,
	    "object %llu ends with live pages", (unsigned long long)o->id);
	lock_acquire(&d->objects.lock);
	d->objects.objects[o->index] = NULL;
	if (o->index < d->objects.hint)
		d->objects.hint = o->index;
	lock_release(&d->objects.lock);
	slots_put(d, o->slot_base, o->page_count);
	vm_object_blocks_end(o);
	close(o->memfd);
	fetch_sub_relaxed(&o->task->objects, 1);
	shares_give(o, ARRAY_LEN(object_shares));
	task_put(o->task);
	lock_fini(&o->lock);
	cond_fini(&o->unbusy);
	free(o->blocks);
	o->magic = 0;
	free(o);
}

static struct vm_object *
get_unless_ending(struct vm_object *o)
{
	unsigned references = load_relaxed(&o->references);

	while (references > 0)
		if (cas_acq_rel(&o->references, &references, references + 1))
			return o;
	return NULL;
}

/* Owner: low bits of the object's id 10 | its index in the table 20 | page 34. Most of an id is
 * missing: who finds an object must look whether the page has the handle, which no other page has
 * as long as the stored page lives. */
#define OWNER_PAGE_BITS  34
#define OWNER_INDEX_BITS 20
_Static_assert(OBJECTS_MAX == 1u << OWNER_INDEX_BITS, "an owner has room for each index");

struct cowner
vm_object_owner(const struct vm_object *o, uint64_t page)
{
	INVARIANT(page >> OWNER_PAGE_BITS == 0);
	return (struct cowner){ o->id << (OWNER_PAGE_BITS + OWNER_INDEX_BITS) |
				(uint64_t)o->index << OWNER_PAGE_BITS | page };
}

struct vm_object *
vm_object_of_owner(struct daemon *d, struct cowner owner, uint64_t *ret_page)
{
	struct object_table *t = &d->objects;
	uint32_t index = (uint32_t)(owner.v >> OWNER_PAGE_BITS) & (OBJECTS_MAX - 1);
	uint64_t page = owner.v & ((UINT64_C(1) << OWNER_PAGE_BITS) - 1);
	struct vm_object *o;

	lock_acquire(&t->lock);
	o = t->objects[index];
	if (o && page < o->page_count && vm_object_owner(o, page).v == owner.v)
		o = get_unless_ending(o);
	else
		o = NULL;
	lock_release(&t->lock);
	*ret_page = page;
	return o;
}

struct vm_object *
vm_object_next(struct daemon *d, uint32_t *cursor)
{
	struct object_table *t = &d->objects;
	struct vm_object *o = NULL;

	lock_acquire(&t->lock);
	while (*cursor < t->used && !o) {
		o = t->objects[(*cursor)++];
		if (o)
			o = get_unless_ending(o);
	}
	lock_release(&t->lock);
	return o;
}

void
vm_object_slot_set(struct vm_object *o, uint64_t index, uint64_t slot)
{
	_Atomic uint64_t *p = &o->daemon->slots.slots[o->slot_base + index];
	atomic_ushort *block = &o->blocks[index / SLOTS_PER_BLOCK];
	uint64_t old = load_relaxed(p);

	lock_assert_held(&o->lock);
	INVARIANT(load_relaxed(block) & BLOCK_POPULATED);
	if ((slot_kind(old) == SLOT_ABSENT) != (slot_kind(slot) == SLOT_ABSENT)) {
		unsigned short word = load_relaxed(block);

		store_relaxed(
		    block, (unsigned short)(slot_kind(slot) == SLOT_ABSENT ? word - 1 : word + 1));
	}
	store_release(p, slot);
}

void
vm_object_settle(struct vm_object *o)
{
	lock_acquire(&o->lock);
	lock_release(&o->lock);
}

uint64_t
vm_object_next_live(const struct vm_object *o, uint64_t index, uint64_t end)
{
	while (index < end) {
		if (load_relaxed(&o->blocks[index / SLOTS_PER_BLOCK]) & ~BLOCK_POPULATED)
			return index;
		index = round_down_u64(index, SLOTS_PER_BLOCK) + SLOTS_PER_BLOCK;
	}
	return end;
}

void
vm_object_unbusy(struct vm_object *o, uint64_t index, struct vm_page *p)
{
	if (!vm_page_unbusy(p))
		return;
	if (load_acquire(&o->waiters) > 0) {
		lock_acquire(&o->lock);
		cond_broadcast(&o->unbusy);
		lock_release(&o->lock);
	}
	uffd_wake(o->task->uffd, vm_object_address(o, index), o->daemon->page_bytes);
}

#define DISCARD_RUN 256u

/* Copies whose pages are gone, to be freed when O is not held: that may punch the compressor's
 * memory. */
struct copies {
	struct cref crefs[DISCARD_RUN];
	unsigned count;
};

/* Stored and poisoned pages of [first, last): gone at once. => O held */
static uint64_t
discard_slots(struct vm_object *o, uint64_t first, uint64_t last, struct copies *copies)
{
	struct daemon *d = o->daemon;
	uint64_t gone = 0;

	for (uint64_t i = first; i < last; i++) {
		uint64_t slot = load_relaxed(vm_object_slot(o, i));

		if (slot_kind(slot) != SLOT_STORED && slot_kind(slot) != SLOT_POISONED)
			continue;
		vm_object_slot_set(o, i, 0);
		lock_acquire(&d->pageq.lock);
		vm_page_commit_slot(d, o,
		    slot_kind(slot) == SLOT_STORED ? PAGE_STORED : PAGE_POISONED, PAGE_ABSENT);
		pageq_forget_locked(d, o, vm_object_pol_page(o, i));
		lock_release(&d->pageq.lock);
		if (slot_kind(slot) == SLOT_STORED)
			copies->crefs[copies->count++] = slot_cref(slot);
		if (trace_is_on(d))
			trace_forgotten(d, o, i);
		gone++;
	}
	return gone;
}

/* Makes the resident pages of [first, last) busy, waiting for those that are. => O held, dropped
 * and retaken */
static unsigned
busy_resident(struct vm_object *o, uint64_t first, uint64_t last, uint32_t *frames)
{
	unsigned count = 0;

	for (uint64_t i = first; i < last; i++) {
		uint64_t slot = load_relaxed(vm_object_slot(o, i));

		if (slot_kind(slot) != SLOT_RESIDENT)
			continue;
		if (vm_page_busy_only(&o->daemon->frames.pages[slot_frame(slot)])) {
			frames[count++] = slot_frame(slot);
			continue;
		}
		vm_object_wait_unbusy(o, &o->daemon->frames.pages[slot_frame(slot)]);
		i--; /* look again: it may be anything now */
	}
	return count;
}

/* Takes the poison out of the owner's page tables: a page is put over it and punched away again. In
 * our hole nothing else moves a page without a frame, so nobody's page can be hit. => no lock
 * held */
static void
unpoison(struct vm_object *o, uint64_t first, uint64_t last)
{
	struct daemon *d = o->daemon;

	for (uint64_t i = first; i < last && !task_is_dead(o->task); i++) {
		size_t done;

		if (slot_kind(load_acquire(vm_object_slot(o, i))) != SLOT_POISONED)
			continue;
		for (size_t at = 0; at < d->page_bytes; at += d->hw_bytes)
			uffd_zeropage(
			    o->task->uffd, vm_object_address(o, i) + at, d->hw_bytes, &done);
		uffd_punch(o->memfd, i << d->page_shift, d->page_bytes);
	}
}

static uint64_t
discard_run(struct vm_object *o, uint64_t first, uint64_t last)
{
	struct daemon *d = o->daemon;
	uint32_t frames[DISCARD_RUN];
	bool wanted[DISCARD_RUN];
	struct copies copies = { .count = 0 };
	unsigned count, start;
	struct hole hole;
	uint64_t gone;

	lock_acquire(&o->lock);
	vm_object_wait_holes(o, first, last);
	vm_object_hole_begin(o, &hole, first, last);
	lock_release(&o->lock);
	unpoison(o, first, last);
	lock_acquire(&o->lock);
	count = busy_resident(o, first, last, frames);
	lock_release(&o->lock);
	/* Punch only what is held busy: runs of neighbours. */
	for (start = 0; start < count;) {
		uint64_t from = d->frames.pages[frames[start]].index;
		unsigned n = 1;

		while (start + n < count && d->frames.pages[frames[start + n]].index == from + n)
			n++;
		uffd_punch(o->memfd, from << d->page_shift, (uint64_t)n << d->page_shift);
		start += n;
	}
	lock_acquire(&o->lock);
	for (unsigned i = 0; i < count; i++) {
		struct vm_page *p = &d->frames.pages[frames[i]];
		uint64_t index = p->index;
		struct cref cref = { p->cref };
		uint32_t word = load_acquire(&p->word);

		vm_object_slot_set(o, index, 0);
		lock_acquire(&d->pageq.lock);
		pageq_discard_locked(d, o, frames[i]);
		lock_release(&d->pageq.lock);
		if (cref.v)
			copies.crefs[copies.count++] = cref;
		if (trace_is_on(d))
			trace_forgotten(d, o, index);
		/* WANTED may have been set until the frame was freed; those threads are woken
		 * below. */
		wanted[i] = word & PAGE_WANTED;
		frames[i] = (uint32_t)(index - first);
	}
	gone = count + discard_slots(o, first, last, &copies);
	if (load_acquire(&o->waiters) > 0)
		cond_broadcast(&o->unbusy);
	lock_release(&o->lock);
	for (unsigned i = 0; i < copies.count; i++)
		compressor_free(d->compressor, copies.crefs[i]);
	for (unsigned i = 0; i < count; i++)
		if (wanted[i])
			uffd_wake(
			    o->task->uffd, vm_object_address(o, first + frames[i]), d->page_bytes);
	vm_object_hole_close(o, &hole);
	if (count > 0)
		pageout_freed(d);
	return gone;
}

/* The same for pages that were refused: nothing is there any more, unless somebody has been served
 * after all. */
static void
unrefuse(struct vm_object *o, uint64_t first, uint64_t end)
{
	struct daemon *d = o->daemon;
	uint64_t address;

	while (park_refused_take(
	    d, o->task, vm_object_address(o, first), vm_object_address(o, end), &address)) {
		uint64_t start = round_down_u64(address, d->page_bytes);
		uint64_t index = (start - o->base_address) >> d->page_shift;
		bool resident;
		struct hole hole;
		size_t done;

		if (task_is_dead(o->task))
			continue;
		lock_acquire(&o->lock);
		vm_object_wait_holes(o, index, index + 1);
		vm_object_hole_begin(o, &hole, index, index + 1);
		resident = slot_kind(load_relaxed(vm_object_slot(o, index))) == SLOT_RESIDENT;
		lock_release(&o->lock);
		for (size_t at = 0; at < d->page_bytes && !resident; at += d->hw_bytes)
			uffd_zeropage(o->task->uffd, start + at, d->hw_bytes, &done);
		if (!resident)
			uffd_punch(o->memfd, index << d->page_shift, d->page_bytes);
		vm_object_hole_close(o, &hole);
	}
}

uint64_t
vm_object_discard(struct vm_object *o, uint64_t first, uint64_t count)
{
	uint64_t end = first + count, gone = 0;

	/* As vm_object_settle; and who is refusing a page of it is waited for: its poison is among
	 * what goes. */
	lock_acquire(&o->lock);
	vm_object_wait_holes(o, first, end);
	lock_release(&o->lock);
	for (uint64_t i = first; (i = vm_object_next_live(o, i, end)) < end;) {
		uint64_t last = min_u64(round_down_u64(i, DISCARD_RUN) + DISCARD_RUN, end);

		gone += discard_run(o, i, last);
		i = last;
	}
	unrefuse(o, first, end);
	vm_object_release(o, first, end);
	return gone;
}
