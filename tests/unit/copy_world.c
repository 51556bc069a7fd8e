/* SPDX-License-Identifier: MIT */
#include "copy_world.h"

#include <sys/mman.h>

#include "memorystatus/frame_wait.h"
#include "pageq/page_policy.h"
#include "region/prefetch.h"

struct copy_world world;

#define OTHER_BASE 0x600000000000ull

/* --- the kernel --- */

static struct place *
place_at(uint64_t address)
{
	for (unsigned i = 0; i < PLACES; i++)
		if (address - world.places[i].address < 4096)
			return &world.places[i];
	return NULL;
}

void
memory_put(const struct place *p, const void *page)
{
	CHECK(pwrite(p->object->backing.memfd, page, 4096, (off_t)p->index * 4096) == 4096);
}

uint32_t
memory_get(const struct place *p)
{
	uint32_t first = 0, last = 0;

	CHECK(pread(p->object->backing.memfd, &first, 4, (off_t)p->index * 4096) == 4);
	CHECK(pread(p->object->backing.memfd, &last, 4, (off_t)p->index * 4096 + 4092) == 4);
	CHECK(first == last);
	return first;
}

void
page_of(uint32_t value, uint32_t *page)
{
	for (unsigned i = 0; i < 1024; i++)
		page[i] = value;
}

int __wrap_uffd_copy(
    int uffd, uint64_t address, const void *source, size_t bytes, int mode, size_t *ret_done);
int __wrap_uffd_zeropage(int uffd, uint64_t address, size_t bytes, int mode, size_t *ret_done);
int __wrap_uffd_continue(int uffd, uint64_t address, size_t bytes, int mode);
int __wrap_uffd_protect(int uffd, uint64_t address, size_t bytes, int mode);
int __wrap_uffd_unprotect(int uffd, uint64_t address, size_t bytes);
void __wrap_uffd_wake(int uffd, uint64_t address, size_t bytes);
int __real_uffd_punch(int memfd, uint64_t offset, uint64_t bytes);
int __wrap_uffd_punch(int memfd, uint64_t offset, uint64_t bytes);

static void
map(struct place *p, bool writable)
{
	p->present = true;
	p->writable = writable;
	p->waits = false;
}

int
__wrap_uffd_copy(
    int uffd, uint64_t address, const void *source, size_t bytes, int mode, size_t *ret_done)
{
	struct place *p = place_at(address);

	(void)uffd;
	CHECK(p && bytes == 4096 && !p->present);
	memory_put(p, source);
	map(p, !(mode & UFFD_MODE_WP));
	*ret_done = bytes;
	return 0;
}

int
__wrap_uffd_zeropage(int uffd, uint64_t address, size_t bytes, int mode, size_t *ret_done)
{
	(void)mode;
	uint32_t page[1024] = { 0 };

	return __wrap_uffd_copy(uffd, address, page, bytes, 0, ret_done);
}

int
__wrap_uffd_continue(int uffd, uint64_t address, size_t bytes, int mode)
{
	struct place *p = place_at(address);

	(void)uffd;
	CHECK(p && bytes == 4096);
	if (!p->present)
		map(p, !(mode & UFFD_MODE_WP));
	return 0;
}

int
protect(uint64_t address, size_t bytes, bool writable)
{
	for (unsigned i = 0; i < PLACES; i++) {
		struct place *p = &world.places[i];

		if (p->address >= address && p->address < address + bytes && p->present)
			map(p, writable);
	}
	return 0;
}

int
__wrap_uffd_protect(int uffd, uint64_t address, size_t bytes, int mode)
{
	(void)mode;
	(void)uffd;
	return protect(address, bytes, false);
}

int
__wrap_uffd_unprotect(int uffd, uint64_t address, size_t bytes)
{
	(void)uffd;
	return protect(address, bytes, true);
}

void
__wrap_uffd_wake(int uffd, uint64_t address, size_t bytes)
{
	(void)uffd;
	for (unsigned i = 0; i < PLACES; i++)
		if (world.places[i].address >= address && world.places[i].address < address + bytes)
			world.places[i].waits = false;
}

int
__wrap_uffd_punch(int memfd, uint64_t offset, uint64_t bytes)
{
	for (unsigned i = 0; i < PLACES; i++) {
		struct place *p = &world.places[i];

		if (p->object->backing.memfd == memfd && p->index * 4096 >= offset &&
		    p->index * 4096 < offset + bytes)
			p->present = p->writable = false;
	}
	return __real_uffd_punch(memfd, offset, bytes);
}

/* --- the compressor --- */

int __wrap_compressor_load(struct compressor *c, struct cref cref, void *page);
void __wrap_compressor_free(struct compressor *c, struct cref cref);
void __wrap_compressor_prefetch(struct compressor *c, struct cref cref);
void __wrap_compressor_rename(struct compressor *c, struct cref cref, struct cowner owner);
struct cref __wrap_compressor_zeroes(struct compressor *c);
int __wrap_compressor_keep(struct compressor *c, const void *page, struct cowner owner,
    int acceleration, struct cref *ret_cref, uint32_t *ret_bytes);
bool __wrap_uffd_write(int memfd, uint64_t offset, const void *page, size_t bytes);

/* What is pushed comes here. */
int
__wrap_compressor_keep(struct compressor *c, const void *page, struct cowner owner,
    int acceleration, struct cref *ret_cref, uint32_t *ret_bytes)
{
	(void)c, (void)acceleration;
	locks_assert_none();
	if (world.is_full)
		return -ENOSPC;
	*ret_cref = store(*(const uint32_t *)page, owner);
	*ret_bytes = 4096;
	world.kept++;
	return 0;
}

/* Whoever has the memory could hold it up. */
bool
__wrap_uffd_write(int memfd, uint64_t offset, const void *page, size_t bytes)
{
	(void)memfd, (void)offset, (void)page, (void)bytes;
	CHECKF(false, "%s: a page is written into its client's memory", world.trail);
	return false;
}

struct cref
store(uint32_t value, struct cowner owner)
{
	uint64_t i = 1;

	while (world.stored[i].used)
		i++;
	CHECK(i < STORED_MAX);
	world.stored[i].used = true;
	world.stored[i].value = value;
	world.stored[i].owner = owner;
	return (struct cref){ i };
}

int
__wrap_compressor_load(struct compressor *c, struct cref cref, void *page)
{
	(void)c;
	CHECK(cref.v < STORED_MAX && world.stored[cref.v].used);
	page_of(world.stored[cref.v].value, page);
	return 0;
}

void
__wrap_compressor_free(struct compressor *c, struct cref cref)
{
	(void)c;
	CHECK(cref.v < STORED_MAX && world.stored[cref.v].used);
	world.stored[cref.v].used = false;
}

void
__wrap_compressor_prefetch(struct compressor *c, struct cref cref)
{
	(void)c, (void)cref;
}

void
__wrap_compressor_rename(struct compressor *c, struct cref cref, struct cowner owner)
{
	(void)c;
	CHECK(cref.v < STORED_MAX && world.stored[cref.v].used);
	if (world.stored[cref.v].owner.v != OF_NOBODY.v)
		world.stored[cref.v].owner = owner;
}

struct cref
__wrap_compressor_zeroes(struct compressor *c)
{
	(void)c;
	return store(0, OF_NOBODY);
}

/* --- its begin and end --- */

static void
place_make(unsigned n, struct vm_object *o, struct task *task, uint64_t base, uint64_t index)
{
	world.places[n] = (struct place){
		.object = o, .task = task, .index = index, .address = base + index * 4096
	};
}

int
copy_world_start(void **state)
{
	struct vm_entry entry = { .protection = PROT_READ | PROT_WRITE };
	struct fault_server *server = calloc(1, sizeof(*server));
	struct daemon *d;

	(void)state;
	memset(&world, 0, sizeof(world));
	world.busy = -1;
	unit_start(&world.unit);
	d = world.unit.daemon;
	/* Where nothing else asks for it, a page gives its copy up. */
	store_relaxed(&d->params.retain_copies, 0);
	assert_int_equal(page_policy_create(d, "mach2q", &d->pageq.policies.common), 0);
	assert_int_equal(park_create(d), 0);
	assert_int_equal(prefetch_create(d), 0);
	world.other = unit_task_of(d, getuid() + 1);
	assert_int_equal(vm_object_create(d, world.other, 64, OBJECT_ALONE, &world.objects[1]), 0);
	assert_int_equal(
	    vm_mapping_create(world.objects[1], world.other, OTHER_BASE, 0, 64, &world.mapping), 0);
	world.objects[0] = world.unit.object;
	store_relaxed(&world.objects[0]->pager, PAGER_STORE);
	store_relaxed(&world.objects[1]->pager, PAGER_STORE);
	place_make(0, world.objects[0], world.unit.task, UNIT_BASE, 100);
	place_make(1, world.objects[0], world.unit.task, UNIT_BASE, 700);
	place_make(2, world.objects[1], world.other, OTHER_BASE, 7);
	entry.mapping = vm_mapping_get(world.unit.mapping);
	entry.start = UNIT_BASE;
	entry.end = UNIT_BASE + UNIT_PAGES * 4096ull;
	/* Each touch is by itself. */
	entry.behavior = PAGER_BEHAVIOR_RANDOM;
	unit_map(world.unit.task, &entry);
	entry.mapping = vm_mapping_get(world.mapping);
	entry.start = OTHER_BASE;
	entry.end = OTHER_BASE + 64 * 4096ull;
	unit_map(world.other, &entry);
	server->magic = FAULT_SERVER_MAGIC;
	server->daemon = d;
	server->stats = stats_shard(&d->stats, shard_index_server(d, 0));
	server->bounce = aligned_alloc(4096, FAULT_CLUSTER_MAX * 4096);
	assert_non_null(server->bounce);
	world.server = server;
	return 0;
}

int
copy_world_stop(void **state)
{
	struct daemon *d = world.unit.daemon;

	(void)state;
	vm_mapping_put(unit_unmap(world.unit.task).mapping);
	vm_mapping_put(unit_unmap(world.other).mapping);
	vm_mapping_put(world.mapping);
	vm_object_put(world.objects[1]);
	task_put(world.other);
	prefetch_destroy(d);
	park_destroy(d);
	page_policy_destroy(d->pageq.policies.common);
	free(world.server->bounce);
	free(world.server);
	unit_stop(&world.unit);
	return 0;
}
