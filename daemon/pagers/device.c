/* SPDX-License-Identifier: MIT
 *
 * The daemon's own devices. Runs on: the main thread (at start and end), any thread (find).
 */
#include "pagers/device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "size.h"

int
device_object_create(struct daemon *d, const struct device_memory *of, struct vm_object **ret)
{
	int error = vm_object_create_device(d, of, ret);

	CHECK(of->page_count > 0);
	if (!error)
		store_relaxed(&(*ret)->pager, PAGER_DEVICE);
	return error;
}

/* Takes a frame for page `index`, whose memory is there, for good. => false: no frame is free */
static bool
device_fill(struct vm_object *o, uint64_t index)
{
	struct daemon *d = o->daemon;
	uint32_t frame;

	lock_acquire(&o->lock);
	CHECK(vm_object_populate(o, index, 1, 1) == 1);
	pageq_lock(d);
	frame = frame_take_locked(d, FRAME_FIRST);
	if (frame != FRAME_NONE) {
		struct vm_page *p = &d->frames.pages[frame];

		p->object = o->index;
		p->index = (uint32_t)index;
		p->cref = 0;
		vm_page_flags_set(p, PAGE_DIRTY);
		vm_page_commit(d, o, frame, PAGE_ABSENT, PAGE_DEVICE);
	}
	pageq_unlock(d);
	if (frame != FRAME_NONE)
		vm_object_slot_set(o, index, slot_resident(frame));
	lock_release(&o->lock);
	return frame != FRAME_NONE;
}

static void
device_empty(struct vm_object *o, uint64_t index)
{
	struct daemon *d = o->daemon;
	uint64_t slot;

	lock_acquire(&o->lock);
	slot = load_relaxed(vm_object_slot(o, index));
	if (slot_kind(slot) == SLOT_RESIDENT) {
		vm_object_slot_set(o, index, SLOT_ABSENT);
		pageq_lock(d);
		vm_page_commit(d, o, slot_frame(slot), PAGE_DEVICE, PAGE_ABSENT);
		pageq_unlock(d);
	}
	lock_release(&o->lock);
}

/* => 0 or -errno: devices_destroy takes what has been made */
static int
device_make(struct daemon *d, struct device *v)
{
	const struct device_memory of = {
		.page_count = v->bytes >> d->page_shift, .cache_mode = v->cache_mode, .fd = -1
	};
	int error = device_object_create(d, &of, &v->object);

	CHECK(of.page_count > 0);
	if (error)
		return error;
	if (fallocate(v->object->backing.memfd, 0, 0, (off_t)v->bytes) < 0)
		return -errno;
	for (uint64_t i = 0; i < of.page_count; i++)
		if (!device_fill(v->object, i))
			return -ENOMEM;
	return 0;
}

int
devices_create(struct daemon *d, char *message, size_t message_size)
{
	uint64_t most = frames_wire_most(d) << d->page_shift, all = 0;
	char sizes[4][32];

	CHECK(message_size > 0);
	for (struct device *v = d->devices; v; v = v->next) {
		v->bytes = round_up_u64(v->bytes, d->page_bytes);
		all += v->bytes;
		if (v->bytes > most || all > most) {
			snprintf(message, message_size,
			    "--device %s=%s does not fit: the devices take %s up to it, and of "
			    "--memory %s at most %s may be wired",
			    v->name, size_format(v->bytes, sizes[0], sizeof(sizes[0])),
			    size_format(all, sizes[1], sizeof(sizes[1])),
			    size_format(d->options.memory_bytes, sizes[2], sizeof(sizes[2])),
			    size_format(most, sizes[3], sizeof(sizes[3])));
			return -ENOSPC;
		}
	}
	for (struct device *v = d->devices; v; v = v->next) {
		int error = device_make(d, v);

		if (error) {
			snprintf(message, message_size, "--device %s=%s: %s", v->name,
			    size_format(v->bytes, sizes[0], sizeof(sizes[0])), strerror(-error));
			return error;
		}
	}
	/* What clients may wire is less now. */
	frames_params_refresh(d);
	return 0;
}

void
devices_destroy(struct daemon *d)
{
	struct device *v;

	locks_assert_none();
	CHECK(load_relaxed(&d->stats.levels[STAT_PAGES_IOKIT_MAPPED]) == 0);
	while ((v = d->devices) != NULL) {
		d->devices = v->next;
		if (v->object) {
			for (uint64_t i = 0; i < v->object->page_count; i++)
				device_empty(v->object, i);
			vm_object_put(v->object);
		}
		free(v);
	}
}

const struct device *
device_find(const struct daemon *d, const char *name)
{
	const struct device *v = d->devices;

	CHECK(name != NULL);
	while (v && strncmp(v->name, name, sizeof(v->name)) != 0)
		v = v->next;
	return v;
}

const struct device *
device_of(const struct daemon *d, const struct vm_object *o)
{
	const struct device *v = d->devices;

	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	while (v && v->object != o)
		v = v->next;
	return v;
}

int
device_rights(const struct device *v, uid_t uid, bool is_in_group)
{
	unsigned bits = uid == v->uid ? v->mode >> 6 : is_in_group ? v->mode >> 3 : v->mode;

	CHECK(v->object != NULL);
	/* As for a file. */
	if (uid == 0)
		bits = 6;
	return (bits & 4 ? PROT_READ : 0) | (bits & 2 ? PROT_WRITE : 0);
}
