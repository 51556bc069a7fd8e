/* SPDX-License-Identifier: MIT
 *
 * mremap. Managed memory grows where it is if the addresses behind it are free. Else it becomes a
 * copy of itself at another place, which shares the pages (COPY), and is given back: nothing is
 * read or brought in. Small memory that grows large is copied by content, once.
 */
#include "run.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* As much is copied by content before what it was copied from is given back. */
#define COPY_BYTES (4ull << 20)

static void *
pointer(uint64_t address)
{
	return (void *)(uintptr_t)address;
}

/* What a call asks for: sizes in whole pages. */
struct remap {
	uint64_t from, old_size, size, to;
	int flags;
};

/* The protections of managed memory at `from` are given to what is now at `to`. */
static void
protections_move(const struct remap *m, uint64_t to, uint64_t size)
{
	for (int i = 0; i < RUN_PROTECTIONS; i++)
		for (size_t k = 0; k < run.protected[i].count; k++) {
			struct range r = run.protected[i].ranges[k];
			uint64_t start = r.start > m->from ? r.start : m->from;
			uint64_t end = r.end < m->from + size ? r.end : m->from + size;

			if (start >= end || r.start >= to)
				continue;
			raw_mprotect(to + (start - m->from), end - start, i);
		}
}

/* What a forked child does not get at `from` it does not get at `to`. */
static void
inheritance_move(const struct remap *m, uint64_t to, uint64_t size)
{
	struct range_set *const sets[] = { &run.unforked, &run.wiped };
	bool has_any = false;

	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		const struct range *r;
		uint64_t until;

		for (uint64_t at = m->from;
		     (r = range_set_above(sets[i], at)) != NULL && r->start < m->from + size;
		     at = until) {
			uint64_t start = r->start > at ? r->start : at;

			until = r->end < m->from + size ? r->end : m->from + size;
			set_put(sets[i], to + (start - m->from), to + (until - m->from));
			has_any = true;
		}
	}
	if (has_any && run_managed_part(to, to + size, &(uint64_t){ 0 }, &(uint64_t){ 0 }))
		(void)run_inherit(to, to + size);
}

/* The first `size` bytes. zero: what has been copied is given back at once, if it is much. */
static void
content_copy(const struct remap *m, uint64_t to, uint64_t size, bool zero)
{
	uint64_t from, until;

	if (run_managed_part(m->from, m->from + size, &from, &until) && from == m->from &&
	    until == m->from + size && run_managed_part(to, to + size, &from, &until) &&
	    from == to && until == to + size && pager_check(run.pager) == 0 &&
	    copy_virtually(run.pager, m->from, size, to) == 0)
		return;
	for (uint64_t done = 0, part; done < size; done += part) {
		part = size - done < COPY_BYTES ? size - done : COPY_BYTES;
		memcpy(pointer(to + done), pointer(m->from + done), part);
		if (zero && run_managed_part(m->from + done, m->from + done + part, &from, &until))
			(void)run_zero(from, until);
	}
}

/* To another place, new memory of m->size bytes that the kernel has made at `to`. */
static long
move_to(const struct remap *m, uint64_t to)
{
	uint64_t size = m->size < m->old_size ? m->size : m->old_size;
	bool has_protections = false;
	uint64_t from, until;
	long r;

	for (int i = 0; i < RUN_PROTECTIONS; i++) {
		const struct range *range = range_set_above(&run.protected[i], m -> from);

		has_protections |= range && range->start < m->from + size;
	}
	/* COPY reads what may not be read, too; a copy by content does not. */
	if (has_protections)
		raw_mprotect(m->from, size, RUN_READ_WRITE);
	content_copy(m, to, size, true);
	if (has_protections)
		protections_move(m, to, size);
	inheritance_move(m, to, size);
	if (!(m->flags & MREMAP_DONTUNMAP)) {
		r = run_unmap(m->from, m->from + m->old_size);
		return r == 0 ? (long)to : r;
	}
	for (uint64_t at = m->from; run_managed_part(at, m->from + size, &from, &until); at = until)
		(void)run_zero(from, until);
	return (long)to;
}

static long
move_anywhere(const struct remap *m)
{
	long to = raw_mmap(0, m->size, RUN_READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (raw_failed(to))
		return to;
	run_forget((uint64_t)to, (uint64_t)to + m->size);
	run_consider((uint64_t)to, (uint64_t)to + m->size, RUN_READ_WRITE, false);
	return move_to(m, (uint64_t)to);
}

static long
move_fixed(const struct remap *m)
{
	long r;

	if (m->to % RUN_PAGE != 0 || m->to + m->size < m->to ||
	    (m->to < m->from + m->old_size && m->from < m->to + m->size))
		return -EINVAL;
	r = run_forget_prepare(m->to, m->to + m->size);
	if (r == 0)
		r = raw_mmap(
		    m->to, m->size, RUN_READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (raw_failed(r))
		return r;
	run_forget(m->to, m->to + m->size);
	run_consider(m->to, m->to + m->size, RUN_READ_WRITE, true);
	return move_to(m, m->to);
}

/* => 0: it has grown; or -errno */
static long
grow_in_place(const struct remap *m)
{
	uint64_t start = m->from + m->old_size, end = m->from + m->size;
	long r = raw_mmap(start, end - start, RUN_READ_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (raw_failed(r))
		return r;
	run_forget(start, end);
	/* It may be a page. What it stays beside is managed, so it is. */
	if (!run_manage(start, end, RUN_READ_WRITE))
		set_put(&run.small, start, end);
	return 0;
}

/* Memory of which a part at least is managed. */
static long
remap_managed(const struct remap *m)
{
	if (m->flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP) || m->size == 0)
		return -EINVAL;
	if (m->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) {
		if (!(m->flags & MREMAP_MAYMOVE) ||
		    ((m->flags & MREMAP_DONTUNMAP) && m->size != m->old_size))
			return -EINVAL;
		return m->flags & MREMAP_FIXED ? move_fixed(m) : move_anywhere(m);
	}
	if (m->size <= m->old_size) {
		long r =
		    m->size < m->old_size ? run_unmap(m->from + m->size, m->from + m->old_size) : 0;

		return r == 0 ? (long)m->from : r;
	}
	if (run_data_is_full(m->size - m->old_size))
		return -ENOMEM;
	if (grow_in_place(m) == 0)
		return (long)m->from;
	return m->flags & MREMAP_MAYMOVE ? move_anywhere(m) : -ENOMEM;
}

/* Small memory that grows large: it becomes managed where it goes. => 0: the kernel may move it */
static long
remap_small(const struct remap *m)
{
	long to;

	if (m->size < RUN_LEAST || m->size <= m->old_size || m->flags != MREMAP_MAYMOVE ||
	    !range_set_contains(&run.small, m->from, m->from + m->old_size))
		return 0;
	to = raw_mmap(0, m->size, RUN_READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (raw_failed(to))
		return 0;
	run_forget((uint64_t)to, (uint64_t)to + m->size);
	if (!run_manage((uint64_t)to, (uint64_t)to + m->size, RUN_READ_WRITE)) {
		raw_munmap((uint64_t)to, m->size);
		return 0;
	}
	content_copy(m, (uint64_t)to, m->old_size, false);
	run_unmap(m->from, m->from + m->old_size);
	return to;
}

/* The kernel does it, and the books follow. */
static long
remap_ordinary(const struct remap *m, size_t old_size, size_t size)
{
	bool was_small = range_set_contains(&run.small, m->from, m->from + m->old_size);
	bool replaces = (m->flags & MREMAP_FIXED) && m->to + m->size >= m->to;
	long r = replaces ? run_forget_prepare(m->to, m->to + m->size) : 0;

	if (r == 0)
		r = raw_mremap(m->from, old_size, size, m->flags, m->to);
	if (raw_failed(r))
		return r;
	run_forget(m->from, m->from + m->old_size);
	run_forget((uint64_t)r, (uint64_t)r + m->size);
	if (was_small)
		set_put(&run.small, (uint64_t)r, (uint64_t)r + m->size);
	return r;
}

void *
run_mremap(void *address, size_t old_size, size_t size, int flags, ...)
{
	struct remap m = { .from = (uintptr_t)address,
		.old_size = run_page_up(old_size),
		.size = run_page_up(size),
		.flags = flags };
	uint64_t from, until;
	struct run_call c;
	bool makes_sense;
	va_list more;
	long r = 0;

	if (flags & MREMAP_FIXED) {
		va_start(more, flags);
		m.to = (uintptr_t)va_arg(more, void *);
		va_end(more);
	}
	makes_sense = m.from % RUN_PAGE == 0 && m.old_size >= old_size && m.old_size > 0 &&
		      m.size >= size && m.size > 0 && m.from + m.old_size >= m.from;
	run_enter(&c);
	if (makes_sense && run_managed_part(m.from, m.from + m.old_size, &from, &until))
		return (void *)run_leave(&c, remap_managed(&m));
	if (makes_sense)
		r = remap_small(&m);
	if (r == 0)
		r = makes_sense ? remap_ordinary(&m, old_size, size)
				: raw_mremap(m.from, old_size, size, flags, m.to);
	return (void *)run_leave(&c, r);
}
