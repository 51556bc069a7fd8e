/* SPDX-License-Identifier: MIT */
#include "fault_fixture.h"

#include <sys/eventfd.h>
#include <sys/mman.h>

#include "fault/deferred.h"
#include "fault/parked.h"
#include "fault/server.h"
#include "pageq/page_policy.h"
#include "transit/discard.h"

struct fault_world world;

int __wrap_uffd_poison(int uffd, uint64_t address, size_t bytes, int mode);
void __wrap_uffd_wake(int uffd, uint64_t address, size_t bytes);
int __wrap_uffd_zeropage(int uffd, uint64_t address, size_t bytes, int mode, size_t *ret_done);

int
__wrap_uffd_poison(int uffd, uint64_t address, size_t bytes, int mode)
{
	(void)uffd, (void)bytes, (void)mode;
	world.poisons++;
	if (world.on_poison)
		world.on_poison(world.unit, (address - UNIT_BASE) / 4096);
	return 0;
}

void
__wrap_uffd_wake(int uffd, uint64_t address, size_t bytes)
{
	(void)uffd, (void)bytes;
	world.wakes++;
	world.woken = address;
}

int
__wrap_uffd_zeropage(int uffd, uint64_t address, size_t bytes, int mode, size_t *ret_done)
{
	(void)mode;
	(void)uffd, (void)address;
	world.zeropages++;
	if (world.zeropage_error)
		return world.zeropage_error;
	*ret_done = bytes;
	return 0;
}

int __wrap_uffd_continue(int uffd, uint64_t address, size_t bytes, int mode);

int
__wrap_uffd_continue(int uffd, uint64_t address, size_t bytes, int mode)
{
	(void)uffd, (void)address, (void)bytes, (void)mode;
	world.continues++;
	return world.continue_error;
}

int __wrap_uffd_protect(int uffd, uint64_t address, size_t bytes, int mode);

int
__wrap_uffd_protect(int uffd, uint64_t address, size_t bytes, int mode)
{
	(void)mode;
	(void)uffd, (void)address, (void)bytes;
	return 0;
}

/* All that is stored is away in swap. */
int __wrap_compressor_load(struct compressor *c, struct cref cref, void *page);
void __wrap_compressor_prefetch(struct compressor *c, struct cref cref);
void __wrap_compressor_free(struct compressor *c, struct cref cref);

int
__wrap_compressor_load(struct compressor *c, struct cref cref, void *page)
{
	(void)c, (void)cref, (void)page;
	return -EAGAIN;
}

void
__wrap_compressor_prefetch(struct compressor *c, struct cref cref)
{
	(void)c, (void)cref;
}

void
__wrap_compressor_free(struct compressor *c, struct cref cref)
{
	(void)c, (void)cref;
}

struct fault_server *
faults_start(struct unit *u)
{
	struct vm_entry entry = { .start = UNIT_BASE,
		.end = UNIT_BASE + UNIT_PAGES * 4096ull,
		.protection = PROT_READ | PROT_WRITE };
	struct fault_server *server = calloc(1, sizeof(*server));
	struct daemon *d;

	unit_start(u);
	d = u->daemon;
	memset(&world, 0, sizeof(world));
	world.unit = u;
	assert_int_equal(page_policy_create(d, "mach2q", &d->pageq.policies.common), 0);
	assert_int_equal(park_create(d), 0);
	server->magic = FAULT_SERVER_MAGIC;
	server->daemon = d;
	server->defer = deferred_add;
	server->stats = stats_shard(&d->stats, shard_index_server(d, 0));
	d->seats = calloc(seat_count(d), sizeof(*d->seats));
	server->seat = d->seats;
	server->seat->magic = FAULT_SEAT_MAGIC;
	server->seat->daemon = d;
	store_relaxed(&server->seat->server, server);
	server->seat->bell = d->bells.bells;
	d->servers = server;
	store_relaxed(&u->object->pager, PAGER_STORE);
	entry.mapping = vm_mapping_get(u->mapping);
	unit_map(u->task, &entry);
	return server;
}

void
faults_stop(struct unit *u)
{
	struct daemon *d = u->daemon;
	struct vm_entry e = unit_unmap(u->task);

	parked_drop(d, u->task);
	vm_object_discard(u->object, 0, UNIT_PAGES);
	vm_mapping_put(e.mapping);
	park_destroy(d);
	page_policy_destroy(d->pageq.policies.common);
	free(d->seats);
	free(d->servers);
	unit_stop(u);
}

struct fault
fault_at(struct unit *u, uint64_t index, uint32_t flags)
{
	return (struct fault){
		.task = u->task, .address = UNIT_BASE + index * 4096, .flags = flags, .thread = 1
	};
}

enum slot_kind
kind_at(struct unit *u, uint64_t index)
{
	return slot_kind(load_relaxed(vm_object_slot(u->object, index)));
}

enum page_state
state_at(struct unit *u, uint64_t index)
{
	uint64_t slot = load_relaxed(vm_object_slot(u->object, index));

	assert_int_equal(slot_kind(slot), SLOT_RESIDENT);
	return page_word_state(load_relaxed(&u->daemon->frames.pages[slot_frame(slot)].word));
}
