/* SPDX-License-Identifier: MIT
 *
 * Calls on an object's memfd. Runs on: fault servers, workers, jobs.
 */
#include "pmap/backing.h"

#include "core/watch.h"
#include "pmap/uffd.h"

static uint64_t
name_nobody(const struct vm_object *o)
{
	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	return unlikely(o->is_shareable) ? watch_client(0) : 0;
}

static void
name_again(const struct vm_object *o, uint64_t client)
{
	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	if (unlikely(o->is_shareable))
		watch_client(client);
}

int
backing_punch(const struct vm_object *o, uint64_t offset, uint64_t bytes)
{
	uint64_t client = name_nobody(o);
	int error = uffd_punch(o->backing.memfd, offset, bytes);

	name_again(o, client);
	return error;
}

int
backing_allocate(const struct vm_object *o, uint64_t offset, uint64_t bytes)
{
	uint64_t client = name_nobody(o);
	int error = uffd_allocate(o->backing.memfd, offset, bytes);

	name_again(o, client);
	return error;
}

bool
backing_write(const struct vm_object *o, uint64_t offset, const void *content, size_t bytes)
{
	uint64_t client = name_nobody(o);
	bool is_written = uffd_write(o->backing.memfd, offset, content, bytes);

	name_again(o, client);
	return is_written;
}
