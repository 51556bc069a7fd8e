/* SPDX-License-Identifier: MIT
 *
 * Pinned pages. Runs on: start; pageout workers, the cleaner's hands, jobs.
 */
#include "pmap/pins.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "daemon.h"
#include "failpt.h"
#include "own.h"
#include "pmap/kernel_types.h"
#include "pmap/pin_program.h"

#define KERNEL_TYPES "/sys/kernel/btf/vmlinux"

static int
bpf(enum bpf_cmd command, union bpf_attr *attr)
{
	long got = syscall(SYS_bpf, command, attr, sizeof(*attr));

	return got < 0 ? -errno : (int)got;
}

/* => 0 or -errno */
static int
layout_read(struct pin_layout *ret)
{
	const struct {
		const char *structure, *member;
		uint32_t *offset;
	} members[] = {
		{ "task_struct", "files", &ret->task_files },
		{ "files_struct", "fdt", &ret->files_fdt },
		{ "fdtable", "fd", &ret->fdt_fd },
		{ "file", "f_mapping", &ret->file_mapping },
		{ "address_space", "i_pages", &ret->mapping_pages },
		{ "xarray", "xa_head", &ret->xarray_head },
		{ "xa_node", "shift", &ret->node_shift },
		{ "xa_node", "slots", &ret->node_slots },
		{ "page", "flags", &ret->page_flags },
		{ "page", "_mapcount", &ret->page_mapcount },
		{ "page", "_refcount", &ret->page_refcount },
		{ "folio", "_pincount", &ret->folio_pincount },
	};
	const struct {
		const char *function;
		uint32_t *number;
	} functions[] = {
		{ "bpf_iter_num_new", &ret->count_new },
		{ "bpf_iter_num_next", &ret->count_next },
		{ "bpf_iter_num_destroy", &ret->count_destroy },
	};
	struct kernel_types types;
	int error = kernel_types_open(KERNEL_TYPES, &types);

	if (error)
		return error;
	for (size_t i = 0; i < ARRAY_LEN(members) && !error; i++)
		error = kernel_types_offset(
		    &types, members[i].structure, members[i].member, members[i].offset);
	for (size_t i = 0; i < ARRAY_LEN(functions) && !error; i++)
		error = kernel_types_function(&types, functions[i].function, functions[i].number);
	if (!error)
		error = kernel_types_value(&types, "PG_lru", &ret->flag_lru);
	if (!error)
		error = kernel_types_value(&types, "PG_head", &ret->flag_head);
	if (!error)
		error = kernel_types_value(&types, "PG_mlocked", &ret->flag_mlocked);
	kernel_types_close(&types);
	return error;
}

/* Runs the program on a look. => 0 or -errno */
static int
look(const struct pins *pins, unsigned number)
{
	uint64_t arguments[1] = { number };
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.test.prog_fd = (uint32_t)pins->program;
	attr.test.ctx_in = (uintptr_t)arguments;
	attr.test.ctx_size_in = sizeof(arguments);
	return bpf(BPF_PROG_TEST_RUN, &attr);
}

/* --- start --- */

/* The last page of a memfd of which three levels of the tree are in use. */
#define PROBE_PAGE 5000u

/* Looks at the page until it is as it should be. */
#define PROBE_TRIES 1000u

/* Extra references on the page of the memfd, or -errno less PIN_WEIGHT. */
static int64_t
probe_look(const struct pins *pins, int memfd)
{
	struct pin_look *l = &pins->looks[0];
	int error;

	l->memfd = (uint32_t)memfd;
	l->count = 1;
	l->pages[0] = PROBE_PAGE;
	l->extra[0] = -1;
	error = look(pins, 0);
	return error ? error - PIN_WEIGHT : l->extra[0];
}

/* Looks until the page has, or has not, references beyond the usual ones: the kernel may have some
 * for a moment. => 0, -ENOTSUP: it stays otherwise, or -errno */
static int
probe_until(const struct pins *pins, int memfd, bool has_extra)
{
	int64_t extra = 0;

	for (unsigned tries = 0; tries < PROBE_TRIES; tries++) {
		extra = probe_look(pins, memfd);
		if (extra < -PIN_WEIGHT)
			return (int)extra + PIN_WEIGHT;
		if ((extra > 0) == has_extra)
			return 0;
		sched_yield();
	}
	return -ENOTSUP;
}

/* A page has no reference beyond the usual ones, some while a pipe has it, and none again. => as
 * probe_until */
static int
probe_page(const struct pins *pins, int memfd, char *page, const int *ends, size_t bytes)
{
	struct iovec part = { page, bytes };
	int error;

	*(volatile char *)page = 1;
	error = probe_until(pins, memfd, false);
	if (error)
		return error;
	if (vmsplice(ends[1], &part, 1, 0) != (ssize_t)bytes)
		return -errno;
	error = probe_until(pins, memfd, true);
	while (read(ends[0], page + bytes, bytes) < 0)
		if (errno != EINTR)
			return -errno;
	return error ? error : probe_until(pins, memfd, false);
}

/* Whether the program sees what it is to see. => as probe_page */
static int
probe(const struct pins *pins, size_t hw_bytes)
{
	int memfd = memfd_create("pagerd-pins", MFD_CLOEXEC), ends[2] = { -1, -1 }, error = 0;
	char *memory = MAP_FAILED;

	if (memfd < 0)
		return -errno;
	if (pipe2(ends, O_CLOEXEC) < 0 || ftruncate(memfd, (PROBE_PAGE + 2) * (off_t)hw_bytes) < 0)
		error = -errno;
	if (!error) {
		memory = mmap(NULL, 2 * hw_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memfd,
		    PROBE_PAGE * (off_t)hw_bytes);
		/* The daemon's memory is locked, for which a page has references of its own. */
		if (memory == MAP_FAILED || munlock(memory, 2 * hw_bytes) < 0)
			error = -errno;
	}
	if (!error)
		error = probe_page(pins, memfd, memory, ends, hw_bytes);
	if (memory != MAP_FAILED)
		munmap(memory, 2 * hw_bytes);
	for (unsigned i = 0; i < 2; i++)
		if (ends[i] >= 0)
			close(ends[i]);
	close(memfd);
	return error;
}

/* The map that the program and the daemon share. => 0 or -errno */
static int
looks_create(struct pins *pins)
{
	union bpf_attr attr;
	size_t bytes = pins->count * sizeof(*pins->looks);
	void *memory;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = BPF_MAP_TYPE_ARRAY;
	attr.key_size = sizeof(uint32_t);
	attr.value_size = sizeof(*pins->looks);
	attr.max_entries = pins->count;
	attr.map_flags = BPF_F_MMAPABLE;
	pins->map = bpf(BPF_MAP_CREATE, &attr);
	if (pins->map < 0)
		return pins->map;
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, pins->map, 0);
	if (memory == MAP_FAILED)
		return -errno;
	pins->looks = memory;
	return 0;
}

static int
pins_create(struct pins *pins, size_t hw_bytes)
{
	struct pin_layout layout;
	int error = failpt_hit(FAIL_PINS_EPERM);

	if (!error)
		error = layout_read(&layout);
	if (!error)
		error = looks_create(pins);
	if (!error) {
		pins->program = pin_program_load(&layout, pins->map);
		error = pins->program < 0 ? pins->program : probe(pins, hw_bytes);
	}
	if (!error) {
		pins->taken = own_alloc(OWN_PINS, pins->count * sizeof(*pins->taken));
		error = pins->taken ? 0 : -ENOMEM;
	}
	return error;
}

static void
pins_destroy(struct pins *pins)
{
	if (pins->looks)
		munmap(pins->looks, pins->count * sizeof(*pins->looks));
	if (pins->program >= 0)
		close(pins->program);
	if (pins->map >= 0)
		close(pins->map);
	own_free(OWN_PINS, pins->taken);
	*pins = (struct pins){ .map = -1, .program = -1 };
}

void
pins_start(struct daemon *d)
{
	struct pins *pins = &d->pins;
	int error;

	CHECK(!pins->looks && d->page_bytes / d->hw_bytes <= PIN_LOOK_MAX);
	*pins = (struct pins){ .map = -1, .program = -1 };
	pins->count = worker_thread_count(d) + CLEANER_HANDS + JOBS_THREADS + 1;
	pins->pages = PIN_LOOK_MAX / (unsigned)(d->page_bytes / d->hw_bytes);
	error = pins_create(pins, d->hw_bytes);
	if (!error)
		error = pin_marks_create(d);
	store_relaxed(&d->stats.levels[STAT_PINS_KNOWN], !error);
	if (!error)
		return;
	pins_destroy(pins);
	log_info(
	    "pages that the kernel has pinned cannot be known (%s): buffers of O_DIRECT reads, "
	    "of io_uring and the like must be wired. Give the daemon CAP_BPF and CAP_PERFMON, "
	    "and a kernel with " KERNEL_TYPES,
	    strerror(-error));
}

void
pins_stop(struct daemon *d)
{
	if (pins_are_known(&d->pins))
		pins_destroy(&d->pins);
	pin_marks_destroy(d);
}

/* --- looking --- */

static unsigned
look_take(struct pins *pins)
{
	for (unsigned i = 0;; i = (i + 1) % pins->count)
		if (!load_relaxed(&pins->taken[i]) && !exchange_acq_rel(&pins->taken[i], true))
			return i;
}

/* The pages of one look. => how many are pinned */
static unsigned
find_some(struct daemon *d, struct pins *pins, unsigned number, const struct vm_object *o,
    const uint64_t *indexes, unsigned count, bool *ret_pinned)
{
	struct pin_look *l = &pins->looks[number];
	unsigned each = (unsigned)(d->page_bytes / d->hw_bytes), found = 0;
	int error;

	CHECK(count * each <= PIN_LOOK_MAX);
	l->memfd = (uint32_t)o->backing.memfd;
	l->count = count * each;
	for (unsigned i = 0; i < l->count; i++) {
		l->pages[i] = indexes[i / each] * each + i % each;
		/* If the memfd is not found. */
		l->extra[i] = 1;
	}
	error = failpt_hit(FAIL_PINS_LOOK_ENOMEM);
	if (!error)
		error = look(pins, number);
	for (unsigned i = 0; i < count; i++) {
		ret_pinned[i] = error != 0;
		for (unsigned k = 0; k < each; k++)
			ret_pinned[i] |= l->extra[i * each + k] > 0;
		found += ret_pinned[i];
	}
	return found;
}

unsigned
pins_find(struct daemon *d, const struct vm_object *o, const uint64_t *indexes, unsigned count,
    bool *ret_pinned)
{
	struct pins *pins = &d->pins;
	unsigned number, found = 0;

	locks_assert_none();
	if (!pins_are_known(pins)) {
		memset(ret_pinned, 0, count * sizeof(*ret_pinned));
		return 0;
	}
	number = look_take(pins);
	for (unsigned done = 0; done < count; done += pins->pages) {
		unsigned n = count - done < pins->pages ? count - done : pins->pages;

		found += find_some(d, pins, number, o, indexes + done, n, ret_pinned + done);
	}
	store_release(&pins->taken[number], false);
	return found;
}
